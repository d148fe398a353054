"""Publishing: which host ports lead to a container, from its start to its end and in between.

    choose    bindings → host ports, held in the book (``ports.py``): addresses are settled here
    apply     the kernel follows, and holds the ports itself; an automatic one that a process of the host was
              quicker to take gives way to another
    follow    what changes in the kernel when a running container's ports change: only what differs, so that
              connections through its other ports go on
    forgotten the connections that came through ports which are no longer published

A port without an address is published on all of the host's, IPv4 and IPv6 under the same number, unless the
network or the daemon says where. Nothing is published where nobody could come in: on the host's own network,
on none, on internal ones alone.
"""

import re
from collections.abc import Callable, Collection

import msgspec

from fairway.drivers.routes import published_at
from fairway.engine.attachments import Attachments
from fairway.engine.bindings import requested
from fairway.engine.core import Core
from fairway.engine.ports import Ports, unpublished
from fairway.firewall.publish import flows
from fairway.model.address import Address
from fairway.model.container import Container
from fairway.model.errors import Conflict, Fault, NotFound, System
from fairway.model.network import ANY_ADDRESS, ANY_IPV6_ADDRESS, Endpoint, Network, PortMapping
from fairway.plan import Plan, difference, withdraw

_LISTEN = re.compile(r"listen (tcp|udp|sctp)[46]? (\S*):(\d+): (?:bind: )?(.*)")
"""How the kernel says that a port cannot be held, in Go's words."""
_IN_USE = "address already in use"
"""The one reason for which another port may do."""


class Publishing:
    def __init__(self, core: Core, attachments: Attachments, ports: Ports) -> None:
        self._core = core
        self._attachments = attachments
        self.ports = ports

    async def choose(
        self,
        container: Container,
        kept: Collection[PortMapping] = (),
        avoid: Collection[tuple[str, int]] = (),
    ) -> tuple[PortMapping, ...]:
        """Host ports for all that the container wants published, held from here on; see ``Ports.choose``.

        Raises InvalidParameter for a binding that is none, System in Docker's words for a port in use.
        """
        wanted = requested(container)
        way_in = self._attachments.way_in(container)
        if not wanted or way_in is None:
            return ()
        network, endpoint = way_in
        everywhere = () if all(b.addresses for b in wanted) else await self._everywhere(network)
        try:
            bindings = [b.on(everywhere) for b in wanted]
            return await self.ports.choose(container.id, bindings, kept, avoid, container.previous_ports)
        except Conflict as fault:
            raise _refused(container, endpoint, fault.message) from fault

    async def _everywhere(self, network: Network) -> tuple[Address, ...]:
        """Where ports go that name no address: the network's choice, else the daemon's, else everywhere."""
        own = network.bridge.host_binding_ipv4 if network.bridge else None
        chosen = own or self._core.settings.host_address or ANY_ADDRESS
        if chosen == ANY_ADDRESS and await self._has_ipv6():
            return ANY_ADDRESS, ANY_IPV6_ADDRESS
        return (chosen,)

    async def _has_ipv6(self) -> bool:
        try:
            return await self._core.kernel.sysctl("", "net/ipv6/conf/all/disable_ipv6") == "0"
        except NotFound:  # a kernel without IPv6
            return False

    async def apply(self, container: Container, plan: Callable[[Container], Plan]) -> tuple[Container, Plan]:
        """Have the kernel follow; the container as it publishes then (and as the state has it), and the plan.

        ``plan`` is asked again when another port had to be chosen. Raises as ``Kernel.apply``, and System in
        Docker's words for a port that a process of the host has.
        """
        avoid: set[tuple[str, int]] = set()
        while True:
            wanted = plan(container)
            try:
                await self._core.kernel.apply(wanted)
            except Fault as fault:
                self._core.doubt.set()
                lost = _LISTEN.search(fault.message)
                if lost is None:
                    raise
                protocol, address, number, reason = lost.groups()
                avoid.add((protocol, int(number)))
                if not reason.startswith(_IN_USE) or not self._open(container, protocol, int(number)):
                    text = f"failed to bind host port {address or ANY_ADDRESS}:{number}/{protocol}: {reason}"
                    way_in = self._attachments.way_in(container)
                    raise _refused(container, way_in[1] if way_in else None, text) from fault
                container = await self._otherwise(container, avoid)
            else:
                return container, wanted

    def _open(self, container: Container, protocol: str, number: int) -> bool:
        """Whether another port would do as well, and this one has not been given up already."""
        has = any((p.protocol, p.host_port) == (protocol, number) for p in container.ports)
        bindings = requested(container)
        return has and not any(b.fixed and (b.protocol, b.first) == (protocol, number) for b in bindings)

    async def _otherwise(self, container: Container, avoid: Collection[tuple[str, int]]) -> Container:
        kept = [p for p in container.ports if (p.protocol, p.host_port) not in avoid]
        ports = await self.choose(container, kept, avoid)
        changed = msgspec.structs.replace(container, ports=ports)
        try:
            await self._core.state.commit(changed)
        except BaseException:
            self.ports.release(container.id, ports, container.ports)
            raise
        self.ports.release(container.id, container.ports, ports)
        return changed

    def without(self, container: Container, network_id: str) -> Container:
        """The container as it publishes once it has left a network: not at all, if that was the way in."""
        if container.ports and self._attachments.way_in(container, without=network_id) is None:
            return unpublished(container)
        return container

    def follow(self, old: Container, new: Container) -> Plan:
        """What the kernel has to do for a container in its sandbox to publish other ports."""
        sandbox = self._core.state.sandboxes.get(old.sandbox)
        if sandbox is None:
            return Plan()
        before, after = (self._attachments.outward(c, sandbox) for c in (old, new))
        return difference(after, before)

    def forgotten(self, old: Container, new: Container) -> Plan:
        """Ends the connections that came through ports which ``new`` does not publish any more."""
        active = [(n, e) for n, e in self._core.state.attachments(old.id) if e.id]
        targets, _ = published_at(active)
        still = frozenset(new.ports)
        return withdraw(f for port in old.ports if port not in still for f in flows(port, targets))


def _refused(container: Container, endpoint: Endpoint | None, reason: str) -> System:
    """Docker's text, and its kind: 500."""
    where = f"{container.name} ({endpoint.id})" if endpoint else container.name
    return System(
        "failed to set up container networking: driver failed programming external connectivity on "
        f"endpoint {where}: {reason}"
    )
