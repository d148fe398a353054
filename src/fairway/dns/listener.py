"""Serves one sandbox on the two sockets that were opened in its network namespace.

Fair by turns: from a UDP socket at most ``BATCH`` queries are taken before others have theirs, from a TCP
connection one buffer. TCP connections of a sandbox are limited and closed when idle (RFC 7766 section 6.2.3),
so a sandbox that floods harms itself only.
"""

import socket
from contextlib import suppress
from typing import NamedTuple

from fairway.companion.loop import READ, Loop
from fairway.companion.stream import Stream
from fairway.dns import wire
from fairway.dns.directory import Directory, Entry
from fairway.dns.forward import Forwarder
from fairway.dns.upstreams import HostServers, Server

BATCH = 64
MAX_QUERY = 4096
"""Bytes read of a datagram; queries are far smaller."""
MAX_CONNECTIONS = 64
"""TCP connections of one sandbox."""
IDLE = 10.0
"""Seconds without a query after which a TCP connection is closed."""
PAUSE = 0.5
"""Seconds without accepting after descriptors ran out."""


class Backend(NamedTuple):
    """What all listeners share."""

    loop: Loop
    directory: Directory
    host: HostServers
    forwarder: Forwarder


class Listener:
    """The server of one sandbox. Owns both sockets."""

    def __init__(self, sandbox: str, udp: socket.socket, tcp: socket.socket, backend: Backend) -> None:
        self.sandbox = sandbox
        self.backend = backend
        self.connections: set[Connection] = set()
        self._udp = udp
        self._tcp = tcp
        udp.setblocking(False)
        tcp.setblocking(False)
        backend.loop.watch(udp.fileno(), READ, self._datagrams)
        backend.loop.watch(tcp.fileno(), READ, self._accept)

    def close(self) -> None:
        """Close the sockets and all connections; replies still under way are dropped."""
        for connection in tuple(self.connections):
            connection.stream.close()
        for sock in (self._udp, self._tcp):
            self.backend.loop.unwatch(sock.fileno())
            sock.close()

    def entry(self) -> tuple[Entry, tuple[Server, ...]]:
        """The sandbox's entry, and the servers that its strangers are forwarded to."""
        entry = self.backend.directory.entry(self.sandbox)
        return entry, self.backend.host.servers() if entry.upstreams is None else entry.upstreams

    def _datagrams(self, _events: int) -> None:
        entry, servers = self.entry()
        respond, upstream = entry.responder.respond, bool(servers)
        receive, send = self._udp.recvfrom, self._udp.sendto
        for _ in range(BATCH):
            try:
                message, client = receive(MAX_QUERY)
            except OSError:
                return  # drained
            reply = respond(message, stream=False, upstream=upstream)
            if isinstance(reply, bytes):
                try:
                    send(reply, client)
                except OSError:
                    continue  # a full buffer or an impossible source: as lost as any datagram
            elif reply is not None:
                self._forward(reply, message, client, servers)

    def _forward(
        self, query: wire.Query, message: bytes, client: tuple[str, int], servers: tuple[Server, ...]
    ) -> None:
        def reply(answer: bytes) -> None:
            # The sandbox may be closed by now.
            with suppress(OSError):
                self._udp.sendto(answer, client)

        self.backend.forwarder.forward(self.sandbox, query, message, servers, reply, stream=False)

    def _accept(self, _events: int) -> None:
        try:
            sock, _ = self._tcp.accept()
        except BlockingIOError:
            return
        except OSError:
            self._pause()
            return
        sock.setblocking(False)
        if len(self.connections) >= MAX_CONNECTIONS:
            sock.close()
            return
        self.connections.add(Connection(self, sock))

    def _pause(self) -> None:
        """Out of descriptors: the listening socket stays readable, so look away for a while."""
        self.backend.loop.change(self._tcp.fileno(), 0)
        self.backend.loop.call_at(self.backend.loop.now() + PAUSE, self._resume)

    def _resume(self) -> None:
        if self._tcp.fileno() >= 0:
            self.backend.loop.change(self._tcp.fileno(), READ)


class Connection:
    """One TCP connection of a client; queries may be pipelined, replies come as they are ready."""

    def __init__(self, listener: Listener, sock: socket.socket) -> None:
        self._listener = listener
        self._loop = listener.backend.loop
        self._pending = 0
        self._half_closed = False
        self._last = self._loop.now()
        self.stream = Stream(
            self._loop,
            sock,
            wire.STREAM_PREFIX,
            received=self._received,
            ended=self._ended,
            closed=self._closed,
        )
        self._timer = self._loop.call_at(self._last + IDLE, self._check)

    def _received(self, message: bytes) -> None:
        self._last = self._loop.now()
        entry, servers = self._listener.entry()
        reply = entry.responder.respond(message, stream=True, upstream=bool(servers))
        if isinstance(reply, bytes):
            self.stream.send(reply)
        elif reply is not None:
            self._pending += 1
            self._listener.backend.forwarder.forward(
                self._listener.sandbox, reply, message, servers, self._replied, stream=True
            )

    def _replied(self, answer: bytes) -> None:
        self._pending -= 1
        self.stream.send(answer)
        if self._half_closed and not self._pending:
            self.stream.finish()

    def _ended(self) -> None:
        self._half_closed = True
        if not self._pending:
            self.stream.finish()

    def _check(self) -> None:
        """Close if nothing was asked for ``IDLE`` seconds, or a half-closed client does not read."""
        if self._loop.now() - self._last >= IDLE:
            self.stream.close()
        else:
            self._timer = self._loop.call_at(self._last + IDLE, self._check)

    def _closed(self) -> None:
        self._timer.cancel()
        self._listener.connections.discard(self)
