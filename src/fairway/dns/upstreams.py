"""The servers asked for names that no zone has: parsed from text, and from the host's resolv.conf.

resolv.conf is read anew when its modification time or identity changes, looked at when a query needs it and
at most once a second. So an idle resolver never wakes up, and a laptop that changes networks is followed
without a restart. Rejected: inotify, which loses the file when it is replaced by rename, as every network
manager does.
"""

import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fairway.model.errors import InvalidParameter
from fairway.model.number import decimal

MAX_SERVERS = 3
"""Asked per query, as in glibc (MAXNS in resolv.h) and Docker."""

CHECK_INTERVAL = 1.0
"""Seconds between looks at resolv.conf."""


class Server(NamedTuple):
    """One upstream: address family and what connect(2) takes for it."""

    family: int
    address: tuple[str, int] | tuple[str, int, int, int]


class ResolvConf(NamedTuple):
    """What resolv.conf(5) says; the last ``search`` or ``domain`` line counts, options add up."""

    servers: tuple[Server, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def parse_server(text: str) -> Server:
    """``192.0.2.1``, ``192.0.2.1:5353``, ``fd00::1``, ``fe80::1%eth0``, ``[fd00::1]:5353``.

    Raises InvalidParameter.
    """
    host, port = _split(text)
    try:
        found = socket.getaddrinfo(host, 53, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    except (
        OSError,
        ValueError,
    ):  # ValueError: no text that could be a name (Python encodes it for the lookup)
        found = []
    if not host or not found or not port:
        raise InvalidParameter(f"invalid DNS server: {text!r}")
    family, _, _, _, address = found[0]
    return Server(family, (str(address[0]), port, *address[2:]))


def _split(text: str) -> tuple[str, int]:
    """Host and port; port 0 if it is no number."""
    host, port = text, "53"
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not (rest == "" or rest.startswith(":")):
            return "", 0
        port = rest[1:] if rest else port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    return host, decimal(port, 65535) or 0


def parse_resolv_conf(text: str) -> ResolvConf:
    """The file as libc would read it; lines that make no sense are skipped, as there (resolv.conf(5))."""
    servers: list[Server] = []
    search: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        keyword, *values = line.split() or [""]
        if keyword == "nameserver" and values:
            try:
                servers.append(parse_server(values[0]))
            except InvalidParameter:
                continue  # resolv.conf(5): what cannot be parsed does not count
        elif keyword in ("search", "domain"):
            search = () if values == ["."] else tuple(values)
        elif keyword == "options":
            options += values
    return ResolvConf(tuple(servers), search, tuple(options))


class HostServers:
    """The servers of the host's resolv.conf, as they are now."""

    def __init__(self, path: str, now: Callable[[], float]) -> None:
        self._path = Path(path)
        self._now = now
        self._looked = -CHECK_INTERVAL
        self._seen: tuple[int, int, int] | None = None
        self._servers: tuple[Server, ...] = ()

    def servers(self) -> tuple[Server, ...]:
        """At most three, in the file's order; none while the file is missing."""
        now = self._now()
        if now - self._looked >= CHECK_INTERVAL:
            self._looked = now
            self._look()
        return self._servers

    def _look(self) -> None:
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_ino, status.st_size)
            if seen == self._seen:
                return
            text = self._path.read_text(errors="replace")
        except FileNotFoundError:
            self._seen, self._servers = None, ()
        except OSError as error:
            # Keep what was known: an unreadable file says nothing about the servers.
            print(f"cannot read {self._path}: {error}", file=sys.stderr)
        else:
            self._seen, self._servers = seen, parse_resolv_conf(text).servers[:MAX_SERVERS]
