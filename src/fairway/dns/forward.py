"""Carries questions to upstream servers: the sockets and timers under ``exchange``.

Every exchange has its own sockets, so the kernel picks a random source port for each, and a random id
besides: a forger must hit both (RFC 5452). The sockets are connected, so the kernel drops what comes from
elsewhere and reports an unreachable server at once.

A sandbox may have ``PER_SANDBOX`` questions under way, and fewer when many sandboxes are asking: descriptors
are shared among those, so one that floods is refused while the others are served. (Docker refuses beyond 1024
per container, and shares nothing.)
"""

import os
import socket
from collections.abc import Callable, Sequence

from fairway.companion.loop import READ, Loop, Timer
from fairway.companion.stream import Stream
from fairway.dns import wire
from fairway.dns.exchange import Ask, Exchange, Reply
from fairway.dns.upstreams import Server
from fairway.dns.wire import Query

PER_SANDBOX = 256


class Forwarder:
    """Puts questions of sandboxes to upstream servers, ``capacity`` at a time."""

    def __init__(self, loop: Loop, capacity: int) -> None:
        self._loop = loop
        self._capacity = capacity
        self._outstanding: dict[str, int] = {}

    def forward(
        self,
        sandbox: str,
        query: Query,
        message: bytes,
        servers: Sequence[Server],
        reply: Callable[[bytes], None],
        *,
        stream: bool,
    ) -> None:
        """Ask ``servers`` the query, whose bytes are ``message``; ``reply`` is called exactly once.

        ``stream``: the client takes an answer of any size.
        """
        outstanding = self._outstanding.get(sandbox, 0)
        if outstanding >= min(PER_SANDBOX, self._capacity // (len(self._outstanding) + 1) + 1):
            reply(wire.reply(query, wire.REFUSED))
            return
        self._outstanding[sandbox] = outstanding + 1

        def done(answer: bytes) -> None:
            self._outstanding[sandbox] -= 1
            if not self._outstanding[sandbox]:
                del self._outstanding[sandbox]
            reply(answer)

        exchange = Exchange(query, servers, stream=stream, now=self._loop.now())
        _Flight(self._loop, exchange, message, query.question, done).begin()


class _Flight:
    """One exchange under way, with its sockets."""

    def __init__(
        self, loop: Loop, exchange: Exchange, message: bytes, question: bytes, done: Callable[[bytes], None]
    ) -> None:
        self._loop = loop
        self._exchange = exchange
        self._message = message[2:]
        self._question = question
        self._done = done
        self._datagrams: dict[Ask, tuple[socket.socket, bytes]] = {}
        self._streams: list[Stream] = []
        self._timer: Timer | None = None
        self._over = False

    def begin(self) -> None:
        self._act(self._exchange.tick(self._loop.now()))

    def _act(self, action: Ask | Reply | None) -> None:
        while isinstance(action, Ask):
            reached = self._connect(action) if action.stream else self._send(action)
            action = None if reached else self._exchange.failed(action, self._loop.now())
        if isinstance(action, Reply):
            self._land(action.message)
        else:
            self._arm()

    def _arm(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._exchange.wake, self._tick)

    def _tick(self) -> None:
        self._act(self._exchange.tick(self._loop.now()))

    def _land(self, answer: bytes) -> None:
        self._over = True
        if self._timer:
            self._timer.cancel()
        for sock, _ in self._datagrams.values():
            self._loop.unwatch(sock.fileno())
            sock.close()
        for stream in self._streams:
            stream.close()
        self._done(answer)

    def _send(self, ask: Ask) -> bool:
        """Send, or send again, a datagram; False if the server cannot be reached."""
        try:
            if ask not in self._datagrams:
                self._datagrams[ask] = self._datagram_socket(ask)
            sock, ident = self._datagrams[ask]
            sock.send(ident + self._message)
        except OSError:
            return False
        return True

    def _datagram_socket(self, ask: Ask) -> tuple[socket.socket, bytes]:
        sock = socket.socket(ask.server.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            sock.connect(ask.server.address)
        except OSError:
            sock.close()
            raise
        self._loop.watch(sock.fileno(), READ, lambda _events: self._datagram_ready(ask))
        return sock, os.urandom(2)

    def _datagram_ready(self, ask: Ask) -> None:
        sock, ident = self._datagrams[ask]
        try:
            message = sock.recv(wire.STREAM_LIMIT)
        except BlockingIOError:
            return
        except OSError:
            self._act(self._exchange.failed(ask, self._loop.now()))
            return
        self._heard(ask, ident, message)

    def _heard(self, ask: Ask, ident: bytes, message: bytes) -> None:
        if wire.answers(message, int.from_bytes(ident, "big"), self._question):
            self._act(self._exchange.heard(ask, message, self._loop.now()))

    def _connect(self, ask: Ask) -> bool:
        """Send the question over a new TCP connection; False if that cannot even begin."""
        try:
            sock = socket.socket(ask.server.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError:
            return False
        try:
            sock.connect(ask.server.address)
        except BlockingIOError:
            pass  # being connected
        except OSError:
            sock.close()
            return False
        ident = os.urandom(2)

        def closed() -> None:
            if not self._over:
                self._act(self._exchange.failed(ask, self._loop.now()))

        stream = Stream(
            self._loop,
            sock,
            wire.STREAM_PREFIX,
            received=lambda message: self._heard(ask, ident, message),
            ended=lambda: stream.close(),
            closed=closed,
            connecting=True,
        )
        self._streams.append(stream)
        stream.send(ident + self._message)
        return True
