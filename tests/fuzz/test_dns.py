"""DNS messages of any bytes: to the responder, to an exchange with upstream servers, as a TCP stream."""

import socket
import struct
from itertools import pairwise

from dnslib import DNSError, DNSRecord
from hypothesis import strategies as st

from fairway.companion.loop import Loop
from fairway.companion.stream import HIGH_WATER, Stream
from fairway.dns import responder, wire
from fairway.dns.exchange import DEADLINE, Ask, Exchange, Reply
from fairway.dns.responder import Responder
from fairway.dns.upstreams import parse_resolv_conf, parse_server
from fairway.dns.wire import Query
from fairway.dns.zone import decide
from fairway.model.address import Address
from fairway.model.dns import NetworkNames, Zone
from fuzz.running import fuzz

NAMES = {
    "web": (Address("172.18.0.2"), Address("fd00::2")),
    "many": tuple(Address(f"10.0.{i // 250}.{i % 250 + 1}") for i in range(400)),
}
NETWORK = NetworkNames(id="n", name="net1", names=NAMES, reverse={Address("172.18.0.2"): "web.net1"})
ZONE = Zone(sandbox="s", networks=("n",), forward=True)

LABELS = st.one_of(
    st.sampled_from(
        (
            b"web",
            b"WEB",
            b"many",
            b"net1",
            b"2",
            b"0",
            b"18",
            b"172",
            b"in-addr",
            b"arpa",
            b"ip6",
            b"\0",
            b".",
            b"a" * 63,
        )
    ),
    st.binary(max_size=63),
)
TAILS = st.sampled_from((b"\0", b"\0", b"\0", b"", b"\xc0\x0c", b"\xc0\x00", b"\xff\xff", b"\x40a", b"\x80"))


@st.composite
def names(draw: st.DrawFn) -> bytes:
    labels = draw(st.lists(LABELS, max_size=6))
    return b"".join(bytes((len(label),)) + label for label in labels) + draw(TAILS)


@st.composite
def records(draw: st.DrawFn) -> bytes:
    data = draw(st.one_of(st.binary(max_size=20), names()))
    kind = draw(st.sampled_from((1, 5, 12, 28, 41, 41, 41, 250, 65535)))
    head = (kind, draw(st.integers(0, 65535)), draw(st.sampled_from((0, 1 << 16, 1 << 15, 2**32 - 1))))
    length = draw(st.sampled_from((len(data), len(data), len(data), 0, 65535)))
    return draw(st.one_of(st.just(b"\0"), names())) + struct.pack("!HHIH", *head, length) + data


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Mostly a query, with counts that mostly tell the truth."""
    more = draw(st.lists(records(), max_size=3))
    flags = draw(st.sampled_from((0x0100, 0x0100, 0x0110, 0, 0x8180, 0x0800, 0x7800, 0xFFFF)))
    counts = draw(
        st.sampled_from(((1, 0, 0, len(more)),) * 6 + ((0, 0, 0, 0), (2, 0, 0, 0), (1, 65535, 65535, 65535)))
    )
    question = draw(names()) + struct.pack(
        "!HH",
        draw(st.sampled_from((1, 12, 28, 255, 252, 15, 0, 65535))),
        draw(st.sampled_from((1, 1, 1, 3, 255))),
    )
    return struct.pack("!HHHHHH", draw(st.integers(0, 65535)), flags, *counts) + question + b"".join(more)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    message = bytearray(draw(messages()))
    for at, value in draw(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=3)):
        if at < len(message):
            message[at] = value
    return bytes(message[: draw(st.integers(0, len(message)))] if draw(st.booleans()) else message)


def readable(message: bytes) -> bool:
    """To dnslib, which takes no label that is not UTF-8."""
    try:
        DNSRecord.parse(message)
    except DNSError:
        return False
    return True


ANY = st.one_of(messages(), damaged(), st.binary(max_size=80))


def test_a_query_is_answered_in_the_room_it_gives_or_ignored() -> None:
    server = Responder(ZONE, [NETWORK])

    def check(message: bytes) -> None:
        query = wire.parse(message)
        for stream in (False, True):
            for _ in range(3):  # the second and third come from the answers at hand
                reply = server.respond(message, stream=stream, upstream=True)
                if not isinstance(reply, bytes):
                    continue
                assert reply[:2] == message[:2]
                limit = (
                    wire.STREAM_LIMIT
                    if stream
                    else query.limit
                    if isinstance(query, Query)
                    else wire.PLAIN_LIMIT
                )
                assert len(reply) <= limit
                assert readable(reply) or not readable(message)
        assert max(len(server._datagrams), len(server._streams)) <= responder.CAPACITY

    fuzz(check, ANY, 250)


def test_an_answer_at_hand_is_the_one_that_would_be_made() -> None:
    """The short way past the parser must never find an answer for a message that the parser reads differently."""
    server = Responder(ZONE, [NETWORK])

    def check(message: bytes) -> None:
        kept = server.respond(message, stream=True, upstream=True)
        fresh = Responder(ZONE, [NETWORK]).respond(message, stream=True, upstream=True)
        assert type(kept) is type(fresh)
        if isinstance(kept, bytes) and isinstance(fresh, bytes):
            assert kept[:12] == fresh[:12]
            assert sorted(kept) == sorted(fresh)

    fuzz(check, ANY, 200)


def test_a_name_is_decided_whatever_it_is() -> None:
    def check(name: str) -> None:
        for qtype in (wire.A, wire.PTR, wire.ANY):
            decide(ZONE, [NETWORK], name, qtype, wire.IN, upstream=False)

    texts = st.lists(
        st.sampled_from(("1", "in-addr", "arpa", "ip6", "web", "", "٣", "\udcff", "0" * 3, "a")), max_size=34
    )
    fuzz(check, st.one_of(st.text(), texts.map(".".join)), 200)


def test_an_exchange_ends_with_an_answer_that_fits() -> None:
    servers = [parse_server(f"192.0.2.{i}") for i in (1, 2)]

    def check(case: tuple[bytes, list[bytes], bool]) -> None:
        asked, answers, stream = case
        query = wire.parse(asked)
        if not isinstance(query, Query):
            return
        limit = wire.STREAM_LIMIT if stream else query.limit
        exchange = Exchange(query, servers, stream=stream, now=0.0)
        action, last = exchange.tick(0.0), None
        for answer in answers:
            if isinstance(action, Ask):
                last = action
            if isinstance(action, Reply) or last is None:
                break
            head = query.id.to_bytes(2, "big")
            for heard in (answer, head + answer[2:]):
                if wire.answers(heard, query.id, query.question) and not isinstance(action, Reply):
                    action = exchange.heard(last, heard, 0.1)
        while not isinstance(action, Reply):
            assert exchange.wake <= DEADLINE
            action = exchange.tick(exchange.wake)
        assert len(action.message) <= limit
        assert action.message[:2] == query.id.to_bytes(2, "big")

    def response(asked: bytes) -> st.SearchStrategy[bytes]:
        """Bytes that answer the question, but for what follows it."""
        query = wire.parse(asked)
        question = query.question if isinstance(query, Query) else b""
        head = st.sampled_from((0x8180, 0x8380, 0x8182, 0x8183, 0x8185, 0x8000, 0xFFFF))
        return st.builds(
            lambda flags, count, rest: struct.pack("!HHHHHH", 0, flags, count, 1, 0, 0) + question + rest,
            head,
            st.sampled_from((1, 1, 0, 2)),
            st.binary(max_size=1500),
        )

    cases = messages().flatmap(
        lambda asked: st.tuples(
            st.just(asked), st.lists(st.one_of(response(asked), ANY), max_size=4), st.booleans()
        )
    )
    fuzz(check, cases, 100)


def test_frames_arrive_whole_however_they_are_cut() -> None:
    def check(case: tuple[list[bytes], bytes, list[int]]) -> None:
        sent, rest, cuts = case
        ours, theirs = socket.socketpair()
        loop = Loop()
        got: list[bytes] = []
        ours.setblocking(False)
        stream = Stream(
            loop,
            ours,
            wire.STREAM_PREFIX,
            received=got.append,
            ended=lambda: stream.finish(),
            closed=loop.stop,
        )
        data = b"".join(wire.STREAM_PREFIX.pack(len(each)) + each for each in sent)
        tail = wire.STREAM_PREFIX.pack(len(rest) + 1) + rest
        whole = data + tail
        places = sorted({0, len(whole), *(cut % (len(whole) + 1) for cut in cuts)})
        with theirs:
            for first, last in pairwise(places):
                theirs.sendall(whole[first:last])
                loop.call_at(0.0, loop.stop)
                loop.run()
            theirs.shutdown(socket.SHUT_WR)
            while stream.open:
                loop.run()
        loop.close()
        assert got == sent
        assert len(stream._in) <= len(tail) <= HIGH_WATER

    frames = st.lists(st.one_of(st.binary(max_size=40), st.just(b"x" * 3000)), max_size=4)
    fuzz(check, st.tuples(frames, st.binary(max_size=30), st.lists(st.integers(0, 10_000), max_size=6)), 150)


def test_a_resolv_conf_of_any_text_is_read() -> None:
    words = st.sampled_from(
        (
            "nameserver",
            "search",
            "domain",
            "options",
            "1.2.3.4",
            "fe80::1%lo",
            "[::1]:53",
            "a..b",
            "x" * 70,
            ".",
            "\0",
            "1:" + "9" * 5000,
            "::1%" + "z" * 99,
            "\n",
            " ",
            "#",
            "\ud800",
            "ü",
        )
    )
    fuzz(
        parse_resolv_conf,
        st.one_of(st.lists(words, max_size=12).map(" ".join), st.lists(words).map("".join), st.text()),
        300,
    )
