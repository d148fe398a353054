"""Sockets that hold ports.

    ``""``          one IPv6 socket for both families; an IPv4 one where the host has no IPv6
    ``0.0.0.0``     an IPv4 socket
    ``::``          an IPv6 socket for IPv6 only
    an address      a socket of its family

TCP sockets listen, as only that keeps others out who set SO_REUSEADDR, too. We set it so that connections in
TIME_WAIT do not refuse us. UDP sockets are bound without it, and tell with each datagram which address it was
sent to, so that the answer comes from there.

SCTP ports are held where the kernel has SCTP sockets, and never proxied; where it has none (CONFIG_IP_SCTP),
there is nothing that others could listen with.
"""

import errno
import socket
from collections.abc import Iterable

from fairway.model.hold import Hold

BACKLOG = 4096
"""Connections not accepted yet; the kernel takes net.core.somaxconn if that is less."""

_KINDS = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}
_NO_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def opened(hold: Hold) -> socket.socket | None:
    """The socket that holds the port, non-blocking; None for SCTP without sockets. Raises OSError."""
    try:
        if hold.address:
            return _bound(hold, hold.address, dual=False)
        try:
            return _bound(hold, "::", dual=True)
        except OSError as error:
            if error.errno not in _NO_FAMILY:
                raise
        return _bound(hold, "0.0.0.0", dual=False)
    except OSError as error:
        if hold.protocol == "sctp" and error.errno in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
            return None
        raise


def blamed(hold: Hold) -> str:
    """Which address of a port that could not be held is in use."""
    if hold.address:
        return hold.address
    return "0.0.0.0" if _refuses(hold, "0.0.0.0") or not _refuses(hold, "::") else "::"


def _refuses(hold: Hold, address: str) -> bool:
    try:
        sock = _bound(hold, address, dual=False)
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    sock.close()
    return False


def _bound(hold: Hold, address: str, *, dual: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind, number = _KINDS[hold.protocol]
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, number)
    try:
        for level, option, value in _options(family, hold.protocol, dual):
            sock.setsockopt(level, option, value)
        sock.bind((address, hold.port))
        if hold.protocol == "tcp":
            sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _options(family: int, protocol: str, dual: bool) -> Iterable[tuple[int, int, int]]:
    if family == socket.AF_INET6:
        yield socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dual
    if protocol == "tcp":
        yield socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
    if protocol == "udp" and family == socket.AF_INET6:
        yield socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1
    elif protocol == "udp":
        yield socket.IPPROTO_IP, IP_PKTINFO, 1


IP_PKTINFO = 8
"""linux/in.h; Python's socket module has no name for it before 3.14."""
