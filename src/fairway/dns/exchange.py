"""One question put to upstream servers: whom to ask when, and which answer counts. Pure; time is passed in.

```
ask first ──HEDGE──▶ ask next too ──HEDGE──▶ … ──REPEAT──▶ ask again, those that did not fail ──▶ DEADLINE
    │ SERVFAIL, REFUSED, unreachable: ask next at once                                         SERVFAIL
    └ any other answer: reply, done
```

The servers of a resolv.conf are meant to be equal, so the first answer of any counts, NXDOMAIN included; a
slow or dead first server costs ``HEDGE``, not the five seconds after which a client gives up. Only when all
have failed does the client see a failure, and then the last server's own.

The question goes out over UDP. A truncated answer is fetched again over TCP when it can be delivered whole;
a UDP client that takes no more than 1232 bytes gets the truncated one and comes back over TCP itself.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from fairway.dns import wire
from fairway.dns.upstreams import Server
from fairway.dns.wire import Query

HEDGE = 0.4
"""Seconds before the next server is asked in parallel."""
REPEAT = 1.2
"""Seconds before a server is asked again, in case the datagram was lost."""
DEADLINE = 4.5
"""Seconds until the client is told SERVFAIL; glibc waits 5."""


class Ask(NamedTuple):
    """Put the question to this server."""

    server: Server
    stream: bool = False
    """Over TCP."""


class Reply(NamedTuple):
    """Send this to the client; the exchange is over."""

    message: bytes


class Exchange:
    """Decides about one question. ``wake`` is the time at which ``tick`` wants to be called."""

    def __init__(self, query: Query, servers: Sequence[Server], *, stream: bool, now: float) -> None:
        """``stream``: the client asked over TCP, so an answer of any size can be delivered."""
        self.wake = now
        self._query = query
        self._limit = wire.STREAM_LIMIT if stream else query.limit
        self._deadline = now + DEADLINE
        self._queue = deque([*servers, *servers])
        self._untried = set(servers)
        self._working = set(servers)
        self._fallback: bytes | None = None

    def tick(self, now: float) -> Ask | Reply | None:
        """Time has come to ``wake``; the first call, at once, asks the first server."""
        return self._give_up() if now >= self._deadline else self._next(now)

    def heard(self, ask: Ask, message: bytes, now: float) -> Ask | Reply | None:
        """``message`` answers the question (``wire.answers``)."""
        rcode = wire.rcode_of(message)
        if rcode not in (wire.NOERROR, wire.NXDOMAIN):
            self._fallback = self._fallback or message
            return self.failed(ask, now)
        if wire.truncated(message) and not ask.stream and self._limit > wire.OUR_LIMIT:
            self._fallback = message
            return Ask(ask.server, stream=True)
        return self._reply(message)

    def failed(self, ask: Ask, now: float) -> Ask | Reply | None:
        """The server cannot be reached, or says that it will not answer."""
        self._working.discard(ask.server)
        if not self._working:
            return self._give_up()
        return self._next(now) if self._untried else None

    def _next(self, now: float) -> Ask | None:
        """Ask the next server that has not failed."""
        while self._queue:
            server = self._queue.popleft()
            if server in self._working:
                self._untried.discard(server)
                self.wake = min(self._deadline, now + (HEDGE if self._untried else REPEAT))
                return Ask(server)
        self.wake = self._deadline
        return None

    def _give_up(self) -> Reply:
        if self._fallback is not None:
            return self._reply(self._fallback)
        return Reply(wire.reply(self._query, wire.SERVFAIL))

    def _reply(self, message: bytes) -> Reply:
        if len(message) > self._limit:
            return Reply(wire.cut(self._query))
        return Reply(self._query.id.to_bytes(2, "big") + message[2:])
