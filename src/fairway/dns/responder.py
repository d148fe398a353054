"""Answers of one sandbox, from bytes to bytes; encoded answers are kept for reuse.

Nearly all queries repeat: same name, type and flags. Their answers are kept under the query's bytes behind
the id, with the name in lower case. The reply echoes the id and the question as asked, so a client that
randomises case (0x20) gets its own spelling back. Only queries that end with the question or a bare OPT are
kept: a query with an EDNS cookie differs each time, would never be found again, and is read in full instead.
An answer of several addresses is kept as its rotations, given out in turn (Docker shuffles; turns spread as
evenly).

The kept answers belong to one snapshot: a new responder is made when the zone or a table of it changes.
"""

from collections.abc import Iterator, Sequence
from itertools import cycle

from fairway.dns import wire
from fairway.dns.wire import Query
from fairway.dns.zone import Answer, Forward, decide
from fairway.model.dns import NetworkNames, Zone

CAPACITY = 2048
"""Answers kept per sandbox; a client that asks random names of a network only empties its own."""

ROTATIONS = 16
"""Rotations kept of one answer: a name of 200 addresses must not cost 200 x 200 records."""

_BARE_OPT = 11
_Key = tuple[bytes, bytes, bytes]
_Turns = Iterator[tuple[bytes, bytes]]
"""Header behind the id, and what follows the name; forever, one rotation after another."""


class Responder:
    """Answers queries of one sandbox out of one snapshot."""

    def __init__(self, zone: Zone | None, networks: Sequence[NetworkNames] = ()) -> None:
        """A responder without zone answers SERVFAIL: sockets are open, but nothing is known yet."""
        self.zone = zone
        self._networks = networks
        self._datagrams: dict[_Key, _Turns] = {}
        self._streams: dict[_Key, _Turns] = {}

    def respond(self, message: bytes, *, stream: bool, upstream: bool) -> bytes | Query | None:
        """The reply to send; or the query to forward; or None to stay silent.

        ``stream`` lifts the limit on the answer's size; ``upstream`` says whether there is a server to ask.
        """
        kept = self._streams if stream else self._datagrams
        end = message.find(b"\0", wire.HEADER) + 5
        name = message[wire.HEADER : end - 4]
        key = (message[2 : wire.HEADER], name.lower(), message[end - 4 :])
        if (found := kept.get(key)) is not None:
            head, tail = next(found)
            return b"".join((message[:2], head, name, tail))
        query = wire.parse(message)
        if not isinstance(query, Query):
            return query
        verdict = self._verdict(query, upstream=upstream)
        if isinstance(verdict, Forward):
            return query
        replies = _encode(query, verdict, wire.STREAM_LIMIT if stream else query.limit)
        whole = len(query.question) == end - wire.HEADER and len(message) - end <= _BARE_OPT
        if whole and self._settled(verdict, upstream=upstream):
            _keep(kept, key, replies, end - 4)
        return replies[0]

    def _settled(self, verdict: Answer, *, upstream: bool) -> bool:
        """Whether the verdict holds as long as the snapshot does: upstream servers come and go."""
        if self.zone is None:
            return False
        return upstream or not self.zone.forward or verdict.rcode == wire.NOERROR

    def _verdict(self, query: Query, *, upstream: bool) -> Answer | Forward:
        if self.zone is None:
            return Answer(wire.SERVFAIL)
        return decide(self.zone, self._networks, query.name, query.qtype, query.qclass, upstream=upstream)


def _keep(kept: dict[_Key, _Turns], key: _Key, replies: Sequence[bytes], name_end: int) -> None:
    if len(kept) >= CAPACITY:
        kept.clear()
    turns = cycle([(reply[2 : wire.HEADER], reply[name_end:]) for reply in replies])
    next(turns)
    kept[key] = turns


def _encode(query: Query, answer: Answer, limit: int) -> list[bytes]:
    """The whole reply, once for each rotation of its addresses."""
    try:
        records = [wire.address_record(a) for a in answer.addresses]
        if answer.pointer:
            records.append(wire.pointer_record(answer.pointer))
    except (OSError, ValueError):
        # Nothing that was published for one name may stop the service of others.
        return [wire.reply(query, wire.SERVFAIL)]
    starts = range(0, len(records), len(records) // ROTATIONS + 1) or range(1)
    turns = (records[i:] + records[:i] for i in starts)
    return [wire.reply(query, answer.rcode, turn, limit) for turn in turns]
