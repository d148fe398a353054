"""LinuxKernel: plans applied to the real kernel.

One dedicated thread owns everything that must not be shared: the netlink sockets, the nftables context, and
its own network namespace, which it changes to work inside sandboxes. The event loop awaits it and never
blocks; calls are taken in the order in which they are made, so plans never interleave. A second thread, the
reaper, only deletes links.

A call that was cancelled while it waited in the queue does not happen; one that has begun runs to its end
(shield it where its outcome matters).
"""

import asyncio
import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fairway.kernel import dump, features, foreign, holding, listeners, schedule, surroundings, sysctls
from fairway.kernel.executor import Executor
from fairway.kernel.features import Missing
from fairway.kernel.holding import PortHolder
from fairway.kernel.links import alias_of
from fairway.kernel.listeners import Listeners
from fairway.kernel.nft import NftError
from fairway.kernel.rtnetlink import dump_links, read_link
from fairway.model.address import Address as AddressText
from fairway.model.address import Cidr
from fairway.model.errors import Fault, System
from fairway.model.foreign import ForeignFilters
from fairway.plan import Counted, Element, Fact, HeldPort, Plan, Sysctl

T = TypeVar("T")
_ALIAS_LIMIT = 255


class LinuxKernel:
    """Implements the engine's ``Kernel`` protocol. Needs CAP_NET_ADMIN and CAP_SYS_ADMIN."""

    def __init__(
        self,
        owner: str,
        *,
        ruleset: str,
        namespaces: str,
        mounts: Sequence[str],
        listeners: Listeners,
        ports: PortHolder,
        host_namespace: str | None = None,
    ) -> None:
        """Take hold of the host's network namespace; nothing is changed yet.

        ``owner`` tells this daemon's links from another's; ``ruleset`` is the base table as nft text;
        ``namespaces`` is the directory of namespace files (see ``namespaces.prepare_run_directory``);
        overlay mounts below ``mounts`` are ours. The host's namespace is the calling thread's, or
        ``host_namespace`` (a file), so that tests have a host of their own.

        Raises System when the kernel does not let us work.
        """
        self._closed = False
        self._alias = alias_of(owner)
        if not owner or len(self._alias.encode()) > _ALIAS_LIMIT:
            raise ValueError(f"an owner is 1 to {_ALIAS_LIMIT - len(alias_of(''))} bytes long")
        self._namespaces = namespaces.rstrip("/")
        self._mounts = tuple(mounts)
        self._worker = ThreadPoolExecutor(1, "kernel-worker")
        try:
            self._executor = self._worker.submit(
                lambda: Executor(
                    alias=self._alias,
                    ruleset=ruleset,
                    home=host_namespace,
                    holder=listeners,
                    ports=ports,
                )
            ).result()
        except OSError as error:
            self._worker.shutdown()
            raise System(f"cannot take hold of the host's network: {error}; is this root?") from error

    async def apply(self, plan: Plan) -> None:
        """Take every step, or none. Raises Fault (Conflict, InvalidParameter, System), naming what failed."""
        await self._run(lambda: self._work(plan, schedule.apply))

    async def withdraw(self, plan: Plan) -> Sequence[Fault]:
        """Take every step even if some fail; the failures. Links are deleted soon after (see ``reaper``)."""
        return await self._run(lambda: self._work(plan, schedule.withdraw))

    async def facts(self) -> frozenset[Fact]:
        """What holds now, see ``dump``. Raises System."""
        return await self._run(
            lambda: dump.facts(self._executor, self._alias, self._namespaces, self._mounts)
        )

    async def occupied(self) -> Sequence[Cidr]:
        """Subnets that the host's routes and interfaces use, ours excluded, in order."""
        return await self._run(lambda: surroundings.occupied(self._executor.visits.host, self._alias))

    async def interfaces(self) -> Mapping[str, bool]:
        """All interface names of the host, each with whether it is ours."""
        return await self._run(self._interfaces)

    async def bridge_addresses(self, name: str) -> Sequence[Cidr] | None:
        """Addresses of a bridge of the host, whoever made it, in order; None if there is no such bridge."""
        return await self._run(lambda: dump.bridge_addresses(dump.view(self._executor.visits.host), name))

    async def ports_free(self, ports: Sequence[tuple[str, AddressText, int]]) -> Sequence[bool]:
        """Whether the host could listen there itself; an address that it does not have counts as free."""
        return await self._run(lambda: [listeners.port_free(*port) for port in ports])

    async def foreign_filters(self) -> ForeignFilters:
        """Other programs' tables that filter forwarded packets. Raises System if one cannot be read."""
        return await self._run(
            lambda: ForeignFilters(
                tuple(foreign.read(self._executor.ruleset.context())),
                surroundings.uplinks(self._executor.visits.host),
            )
        )

    async def sysctl(self, namespace: str, key: str) -> str:
        """Value of a sysctl, stripped. Raises NotFound."""
        return await self._run(lambda: sysctls.read(self._executor.namespaces, namespace, key))

    async def counted(self) -> Counted:
        """The nftables table: its elements and what was counted. Raises System."""
        return await self._run(lambda: self._executor.ruleset.counted())

    async def held(self) -> Collection[HeldPort]:
        """The ports that the port holder holds. Raises System."""
        return await self._run(lambda: holding.facts(self._executor.ports))

    async def listing(self) -> str:
        """The nftables table as ``nft`` prints it. Raises System."""
        return await self._run(lambda: self._executor.ruleset.listing())

    async def disturbed(self) -> frozenset[str]:
        """Until somebody else may have changed something of ours since the last call; what, for the log.

        Links, addresses, routes, forwarding, namespaces that are kept, the nftables table. What this process
        does itself does not count. May tell too often, never too rarely. One waits at a time; cancel it
        before ``close``.
        """
        return await self._executor.watch.disturbed(lambda: self._run(self._executor.look))

    async def adopt(self, path: str, pid: int) -> bool:
        """Keep the network namespace of a process at ``path`` if none is kept there; whether that was needed.

        Raises System.
        """

        def work() -> bool:
            try:
                return self._executor.namespaces.adopt(path, pid)
            except OSError as error:
                text = f"cannot keep the network namespace of process {pid} at {path}: {error.strerror}"
                raise System(text) from error

        return await self._run(work)

    async def differing(self, wanted: Sequence[Sysctl]) -> Sequence[Sysctl]:
        """Of these sysctls those that hold another value, each with that one; empty if there is no such file.

        Raises InvalidParameter, System.
        """
        return await self._run(lambda: sysctls.differing(self._executor.namespaces, wanted))

    async def intact(self) -> bool:
        """Whether the nftables table has our rules as they were written; user chains may have any."""
        return await self._run(lambda: self._executor.ruleset.intact())

    async def install(self) -> bool:
        """Write the nftables table's rules if they are not as they should be, and clear away what a crash
        left; whether something was written. Raises System."""

        def work() -> bool:
            self._executor.namespaces.find(self._namespaces)
            written = self._executor.ruleset.install()
            return self._executor.translation.ensure() or written

        return await self._run(work)

    async def uninstall(self) -> None:
        """Remove the nftables tables, with everything in them. Raises System."""

        def work() -> None:
            self._executor.ruleset.uninstall()
            self._executor.translation.remove()

        await self._run(work)

    async def features(self) -> tuple[Missing, ...]:
        """What this host lacks, each with what it needs and how to get it."""
        return await self._run(lambda: features.probe(self._executor.namespaces))

    async def close(self) -> None:
        """Finish what is under way and let go of the kernel; everything made stays. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._executor.watch.close()
        try:
            await self._run(self._executor.close)
        finally:
            await asyncio.to_thread(self._worker.shutdown)

    def _work(self, plan: Plan, work: Callable[[Plan, schedule.Hand], T]) -> T:
        """Afterwards, if rules had to be written, forget what began without them: their elements are back."""
        executor = self._executor
        ruled = executor.ruleset.rewritten and any(isinstance(fact, Element) for fact in plan.facts())
        result = work(plan, executor.take)
        if ruled:
            executor.ruleset.rewritten = False
            executor.conntrack.forget_unanswered(surroundings.subnets(executor.visits.host, self._alias))
        return result

    def _interfaces(self) -> dict[str, bool]:
        links = map(read_link, self._executor.visits.host.dump(dump_links()))
        going = self._executor.reaper.going
        return {link.name: link.alias == self._alias for link in links if not going(link)}

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._guarded, work)

    def _guarded(self, work: Callable[[], T]) -> T:
        """In the worker: no sandbox stays open after a call, and only kinds of faults come out."""
        try:
            return work()
        except OSError as error:
            raise System(f"the kernel cannot be asked: {error.strerror or error}") from error
        except (ValueError, struct.error, NftError) as error:
            raise System(f"the kernel's answer cannot be read: {error}") from error
        finally:
            self._executor.visits.leave_all()
