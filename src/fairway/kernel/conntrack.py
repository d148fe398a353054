"""Forgetting tracked connections: of an address that goes, or of one published port.

The kernel's table of connections outlives what made them. Without this, a UDP client that never pauses keeps
its translation to a container that is gone, and reaches whoever gets its address next.

    an address        connections that it began (original source) and that it answers (reply source), however
                      they are translated
    a published port  those that came to the host's port and are answered by the container's address and port

Measured (6.18, 262,144 buckets): deleting by a pattern in the kernel costs 0.02 ms when there is no
connection, 0.1 ms with a few, 3 ms with 20,000; a dump 9.6 ms with none and 55 ms with 20,000. So a few
patterns are matched by the kernel. In one dump are matched: many; IPv6, for which the kernel's match is
inverted (see ``ctnetlink``); and all where the kernel cannot match (before Linux 6.8).

Nobody waits for it but who comes next: a thread of its own forgets what was withdrawn, all that came up
meanwhile at once, and establishing ``Flows`` waits for that. So the connections of an address that is given
out again are never taken for its predecessor's.
"""

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import Empty, SimpleQueue

from fairway.kernel import ctnetlink
from fairway.kernel.ctnetlink import ANY, Connection, Direction
from fairway.kernel.netlink import NETLINK_NETFILTER, Answer, Channel, Message, absent, failed
from fairway.model.address import Cidr, Family, family
from fairway.model.errors import System
from fairway.plan import Flows, Step

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
KINDS: tuple[Family, ...] = (4, 6)
FEW = 64
"""Patterns up to which the kernel matches faster than we do."""
PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
_REFUSED = (errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT)


class Conntrack:
    """The hand for ``Flows``. Only for the worker thread; the table is another thread's in between."""

    def __init__(self) -> None:
        self._table = Table()
        self._gone: SimpleQueue[Flows] = SimpleQueue()
        self._pool = ThreadPoolExecutor(1, "kernel-conntrack")
        self._pool.submit(int)  # its thread is there from now on; later the host may have none left
        self._running: list[Future[str]] = []
        """What was begun, each with the error that it ends in, empty if none."""

    def take(self, steps: Sequence[Step]) -> list[bool]:
        """A run of one presence. Never a change: what is forgotten cannot be brought back.

        Raises System if what was withdrawn before could not be forgotten.
        """
        if steps[0].present:
            self.settle()
        elif not self._table.lacks():
            for step in steps:
                if isinstance(step.fact, Flows):
                    self._gone.put(step.fact)
            self._submit(self._forget)
        return [False] * len(steps)

    def forget_unanswered(self, subnets: Sequence[Cidr]) -> None:
        """Forget connections from there that nobody has answered, a moment later.

        One that began while the rules were away was left untranslated, and would stay so. Raises System if
        what was withdrawn before could not be forgotten.
        """
        if not self._table.lacks():
            networks = [ipaddress.ip_network(subnet) for subnet in subnets]
            self._submit(lambda: self._table.forget_unanswered(networks))

    def settle(self) -> None:
        """Wait until everything withdrawn so far is forgotten, or could not be."""
        wait(self._running)

    def close(self) -> None:
        """Finish and stop. Raises System if something could not be forgotten."""
        self._pool.shutdown()
        self._table.close()
        self._tell()

    def _submit(self, work: Callable[[], None]) -> None:
        def told() -> str:
            try:
                work()
            except OSError as error:
                return f"cannot delete tracked connections: {error.strerror or error}"
            return ""

        self._running.append(self._pool.submit(told))
        self._tell()

    def _forget(self) -> None:
        """Whatever is in the queue, at once. Raises OSError."""
        flows: dict[Flows, None] = {}
        with contextlib.suppress(Empty):
            while True:
                flows[self._gone.get_nowait()] = None
        self._table.forget(flows)

    def _tell(self) -> None:
        ended = [future for future in self._running if future.done()]
        self._running = [future for future in self._running if future not in ended]
        if texts := [text for future in ended if (text := future.result())]:
            raise System("; ".join(texts))


class Table:
    """The connections of the namespace in which ``lacks`` is asked first."""

    def __init__(self) -> None:
        self._channel: Channel | None = None
        self._lacks: str | None = None
        self._matches = True
        """Whether the kernel takes patterns, until it says no."""

    def lacks(self) -> str:
        """Why the kernel cannot be asked about connections, empty if it can."""
        if self._lacks is None:
            try:
                self._channel = Channel(NETLINK_NETFILTER)
                refusal = failed(self._channel.exchange([ctnetlink.statistics()]))
                self._lacks = str(refusal) if refusal else ""
            except OSError as error:
                self._lacks = str(error.strerror)
        return self._lacks

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()

    def forget(self, flows: Iterable[Flows]) -> None:
        """Delete the connections. Raises OSError."""
        by_family: dict[Family, list[Flows]] = {4: [], 6: []}
        for flow in flows:
            by_family[family(flow.address)].append(flow)
        if not self._forget_matching(by_family[4]):
            self._forget_listed(4, by_family[4])
        self._forget_listed(6, by_family[6])

    def forget_unanswered(self, networks: Sequence[Network]) -> None:
        """Delete the connections from the networks that nobody has answered. Raises OSError."""
        for kind in KINDS if self._tracked() else ():
            unanswered = (each for each in self._list(kind) if not each.answered)
            sources = [(each, ipaddress.ip_address(each.original.source)) for each in unanswered]
            self._delete(each for each, source in sources if any(source in network for network in networks))

    def _forget_matching(self, flows: Sequence[Flows]) -> bool:
        """Let the kernel find them; False if there are too many or it cannot."""
        messages = [message for flow in flows for message in _patterns(flow)]
        if not self._matches or len(messages) > FEW:
            return False
        refusal = failed(a for a in self._exchange(messages) if not absent(a))
        if refusal and refusal.code in _REFUSED:
            self._matches = False
        elif refusal:
            raise OSError(refusal.code, str(refusal))
        return self._matches

    def _forget_listed(self, kind: Family, flows: Sequence[Flows]) -> None:
        if not flows or not self._tracked():
            return
        self._delete(matching(flows, self._list(kind)))

    def _list(self, kind: Family) -> Iterator[Connection]:
        assert self._channel is not None
        return map(ctnetlink.read_connection, self._channel.dump(ctnetlink.dump_connections(kind)))

    def _delete(self, connections: Iterable[Connection]) -> None:
        answers = self._exchange([ctnetlink.delete_connection(c) for c in connections])
        if refusal := failed(a for a in answers if not absent(a)):
            raise OSError(refusal.code, str(refusal))

    def _tracked(self) -> int:
        """The number of connections: without any, no dump is needed."""
        (answer,) = self._exchange([ctnetlink.statistics()])
        return ctnetlink.read_statistics(answer.objects[0]) if answer.objects else 0

    def _exchange(self, messages: Sequence[Message]) -> list[Answer]:
        assert self._channel is not None
        return self._channel.exchange(messages)


def matching(flows: Sequence[Flows], connections: Iterator[Connection]) -> Iterator[Connection]:
    """The connections that one of the flows means, at a cost that does not grow with the flows."""
    wanted = set(map(_key, flows))
    for connection in connections:
        original, reply = connection.original, connection.reply
        port = original.protocol, original.destination_port, reply.source, reply.source_port
        if wanted & {original.source, reply.source, (*port, b""), (*port, original.destination)}:
            yield connection


def _key(flow: Flows) -> object:
    address = _packed(flow.address)
    if not flow.host_port:
        return address
    return PROTOCOLS[flow.protocol], flow.host_port, address, flow.port, _packed(flow.host_address)


def _patterns(flow: Flows) -> Iterator[Message]:
    address = _packed(flow.address)
    if not flow.host_port:
        yield ctnetlink.delete_matching(Direction(source=address), ANY)
        yield ctnetlink.delete_matching(ANY, Direction(source=address))
        return
    protocol = PROTOCOLS[flow.protocol]
    came = Direction(
        destination=_packed(flow.host_address), protocol=protocol, destination_port=flow.host_port
    )
    yield ctnetlink.delete_matching(came, Direction(source=address, protocol=protocol, source_port=flow.port))


def _packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed if address else b""
