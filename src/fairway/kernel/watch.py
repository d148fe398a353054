"""Notices that somebody else may have changed something of ours, at no cost while nobody does.

    rtnetlink   one socket on the host hears its own namespace and all that a veth of ours leads into
                (NETLINK_LISTEN_ALL_NSID). A filter in the kernel drops what cannot be of interest
    nfnetlink   each change of nftables, by transaction
    mounts      poll(2) tells that the mount table changed; then the namespaces that we keep are looked at

The sockets live on the event loop; what their messages mean is decided in ``changes``. If some were lost
because they came too fast, something may have changed.

Measured (6.18): a container's start makes 28 events on rtnetlink and its stop 26, of which the filter lets 5
and 10 through; reading them takes 0.3 ms on an idle machine, up to 1.3 ms on a busy one. 10,000 elements of
our own are 1.3 MB in 346 datagrams, dropped unread in 3 ms; being told does not make the transaction
measurably slower. From a change to its report pass 60 to 90 ms, of which 50 are ``SETTLE``.

Rejected: asking for the generation of the ruleset at intervals, which does not tell our table from others';
inotify, which does not see the unmounting of a bind mount.
"""

import asyncio
import contextlib
import errno
import functools
import select
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path

from fairway.kernel import bpf
from fairway.kernel.changes import LinkChanges, TableChanges
from fairway.kernel.netlink import (
    NETLINK_NETFILTER,
    RECEIVE_BUFFER,
    SO_RCVBUFFORCE,
    SOL_NETLINK,
    Channel,
    envelopes,
)
from fairway.kernel.nfnetlink import get_generation, read_thread
from fairway.kernel.rtnetlink import (
    IFF_UP,
    IFLA_IFALIAS,
    NETCONFA_IFINDEX,
    NETCONFA_IFINDEX_ALL,
    RTA_GATEWAY,
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_DELROUTE,
    RTM_NEWLINK,
    RTM_NEWNETCONF,
)

SETTLE = 0.05
"""Seconds for which more is waited for once there is something: one change makes many events."""
LOOK = 0.5
"""Seconds between looks at the namespaces that we keep while the mount table keeps changing."""
EVENT = 1 << 14
"""Bytes that no datagram exceeds: the kernel fills one page or two. Larger buffers cost more to get."""
TURN = 64
"""Datagrams that are read before others on the event loop have their turn."""

MOST = 100
"""Changes that are told at once, about; who makes more need not fill our memory."""

_ADD_MEMBERSHIP, _LISTEN_ALL_NSID = 1, 8
_INT = struct.Struct("=i")
_CONTROL = socket.CMSG_SPACE(_INT.size)
_LINK, _IPV4_ADDRESS, _IPV4_ROUTE, _IPV6_ADDRESS, _IPV6_ROUTE = 1, 5, 7, 9, 11
_IPV4_NETCONF, _IPV6_NETCONF = 24, 25
_GROUPS = (_LINK, _IPV4_ADDRESS, _IPV4_ROUTE, _IPV6_ADDRESS, _IPV6_ROUTE, _IPV4_NETCONF, _IPV6_NETCONF)
_NFTABLES = 7
_CAP_NET_BROADCAST = 11
_BODY = 16
"""Where a netlink message's body begins."""

FILTER = bpf.assemble(
    {
        "start": [
            bpf.load_type(),
            bpf.if_type(RTM_NEWLINK, "link"),
            bpf.if_type(RTM_DELLINK, "family"),
            bpf.if_type(RTM_DELADDR, bpf.KEEP),
            bpf.if_type(RTM_DELROUTE, "route"),
            bpf.if_type(RTM_NEWNETCONF, "configuration"),
            bpf.if_equal(0, bpf.DROP, bpf.DROP),
        ],
        # Bridges tell of their ports in a family of their own, too. Of links that are up, only those with an
        # alias may have changed in what we keep.
        "link": [
            bpf.load_byte(_BODY),
            bpf.if_equal(0, "", bpf.DROP),
            bpf.load_byte(bpf.low_byte(_BODY + 8)),
            bpf.if_set(IFF_UP, "", bpf.KEEP),
            bpf.find(IFLA_IFALIAS, _BODY + 16),
            bpf.if_equal(0, bpf.DROP, bpf.KEEP),
        ],
        "family": [bpf.load_byte(_BODY), bpf.if_equal(0, bpf.KEEP, bpf.DROP)],
        "route": [bpf.find(RTA_GATEWAY, _BODY + 12), bpf.if_equal(0, bpf.DROP, bpf.KEEP)],
        "configuration": [
            bpf.find(NETCONFA_IFINDEX, _BODY + 4),
            bpf.if_equal(0, bpf.DROP),
            bpf.load_found(),
            bpf.if_equal(NETCONFA_IFINDEX_ALL & 0xFFFFFFFF, bpf.KEEP, bpf.DROP),
        ],
    }
)


class Watch:
    """Made in the worker thread, whose namespace is the host's; used on the event loop."""

    def __init__(
        self, links: LinkChanges, tables: TableChanges | None, lost: Callable[[], Sequence[str]]
    ) -> None:
        """``lost`` names the namespaces that are no longer kept; without ``tables``, there is no nftables.

        Raises OSError.
        """
        self._links = links
        self._lost_namespaces = lost
        self._found: set[str] = set()
        self._something = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._look: asyncio.TimerHandle | None = None
        self._overrun = False
        self._read: dict[int, Callable[[], None]] = {}
        """What reads each descriptor."""
        with contextlib.ExitStack() as opened:
            self._route = opened.enter_context(_socket(socket.NETLINK_ROUTE, _GROUPS))
            self._route.setsockopt(SOL_NETLINK, _LISTEN_ALL_NSID, 1)
            bpf.attach(self._route, FILTER)
            self._read[self._route.fileno()] = self._read_route
            if tables is not None:
                self._nftables = opened.enter_context(_socket(NETLINK_NETFILTER, (_NFTABLES,)))
                self._read[self._nftables.fileno()] = functools.partial(self._read_nftables, tables)
            mountinfo = opened.enter_context(Path("/proc/self/mountinfo").open("rb"))
            # The file counts as readable at all times, so the event loop cannot watch it by itself.
            self._mounts = opened.enter_context(select.epoll())
            self._mounts.register(mountinfo, select.EPOLLPRI)
            self._read[self._mounts.fileno()] = self._read_mounts
            self._opened = opened.pop_all()

    async def disturbed(self, dump: Callable[[], Awaitable[None]]) -> frozenset[str]:
        """See ``LinuxKernel``. ``dump`` tells our ``LinkChanges`` what there is, when messages were lost."""
        self._begin()
        await self._something.wait()
        await asyncio.sleep(SETTLE)
        if self._overrun:
            self._overrun = False
            try:
                await dump()
            except BaseException:
                self._overrun = True
                raise
        found, self._found = frozenset(self._found), set()
        self._something.clear()
        return found

    def close(self) -> None:
        """Idempotent."""
        if self._loop is not None:
            for descriptor in self._read:
                self._loop.remove_reader(descriptor)
            self._loop = None
        if self._look is not None:
            self._look.cancel()
        self._opened.close()

    def _begin(self) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            for descriptor, read in self._read.items():
                self._loop.add_reader(descriptor, read)
            self._read_mounts()  # a change before this is used up by adding, and not told again

    def _tell(self, *found: str) -> None:
        self._found.update(word for word in found if word and len(self._found) < MOST)
        if self._found:
            self._something.set()

    def _read_route(self) -> None:
        for data, namespace in self._datagrams(self._route):
            for kind, sender, body in envelopes(data):
                self._tell(self._links.take(namespace, kind, sender, body))

    def _read_nftables(self, tables: TableChanges) -> None:
        for data, _ in self._datagrams(self._nftables):
            self._tell(*tables.take(data))

    def _read_mounts(self) -> None:
        self._mounts.poll(0)
        if self._look is None and self._loop is not None:
            self._look = self._loop.call_later(LOOK, self._look_at_namespaces)

    def _look_at_namespaces(self) -> None:
        self._look = None
        self._tell(*(f"network namespace {path} is not kept any more" for path in self._lost_namespaces()))

    def _datagrams(self, sock: socket.socket) -> Iterator[tuple[bytes, int | None]]:
        """Those that are there, up to a limit, each with the namespace's id that it comes from."""
        for _ in range(TURN):
            try:
                data, ancillary, _, _ = sock.recvmsg(EVENT, _CONTROL)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._overrun = True
                self._tell("more changed at once than can be told")
                continue
            number = next(
                (_INT.unpack(value)[0] for _, kind, value in ancillary if kind == _LISTEN_ALL_NSID), None
            )
            yield data, number


def _socket(protocol: int, groups: Iterable[int]) -> socket.socket:
    """Hears the groups in the thread's namespace. Raises OSError."""
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    made = socket.socket(socket.AF_NETLINK, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        made.bind((0, 0))
        for group in groups:
            made.setsockopt(SOL_NETLINK, _ADD_MEMBERSHIP, group)
    except OSError:
        made.close()
        raise
    return made


def hears_everything() -> bool:
    """Whether this process may hear other namespaces; the kernel says nothing if not (CAP_NET_BROADCAST)."""
    status = Path("/proc/thread-self/status").read_text().splitlines()
    effective = next(line.split()[1] for line in status if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> _CAP_NET_BROADCAST & 1)


def nftables_thread() -> int:
    """What the kernel calls the calling thread in events of nftables; inside containers it has other numbers.

    0 if this kernel has no nftables. Raises OSError.
    """
    try:
        channel = Channel(NETLINK_NETFILTER)
    except OSError as error:
        if error.errno == errno.EPROTONOSUPPORT:
            return 0
        raise
    try:
        (answer,) = channel.exchange([get_generation()])
        return max((read_thread(body) for body in answer.objects), default=0)
    finally:
        channel.close()
