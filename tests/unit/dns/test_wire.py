"""The codec against dnslib as an independent reader and writer, and against arbitrary bytes."""

import struct

import pytest
from dnslib import EDNS0 as Edns
from dnslib import DNSHeader, DNSQuestion, DNSRecord, EDNSOption
from hypothesis import given
from hypothesis import strategies as st

from fairway.dns import wire
from fairway.dns.wire import Query


def ask(name: str, qtype: int = wire.A, **edns: int) -> bytes:
    record = DNSRecord(DNSHeader(id=0x1234, rd=1), q=DNSQuestion(name, qtype))
    if edns:
        record.add_ar(Edns(**edns))
    return bytes(record.pack())


def parsed(message: bytes) -> Query:
    query = wire.parse(message)
    assert isinstance(query, Query)
    return query


def rcode(message: object) -> int:
    assert isinstance(message, bytes)
    return int(DNSRecord.parse(message).header.rcode)


def test_a_question_is_read() -> None:
    query = parsed(ask("WeB.Net1", wire.AAAA))
    assert (query.id, query.name, query.qtype, query.qclass) == (0x1234, "web.net1", wire.AAAA, wire.IN)
    assert (query.limit, query.edns) == (512, False)
    assert b"\x03WeB\x04Net1\x00" in query.question


def test_the_client_announces_the_size_it_takes() -> None:
    assert parsed(ask("web", udp_len=4096)).limit == 4096
    assert parsed(ask("web", udp_len=100)).limit == 512, "RFC 6891 6.2.3: below 512 counts as 512"


def test_an_edns_version_unknown_to_us_is_badvers() -> None:
    reply = wire.parse(ask("web", udp_len=1232, version=1))
    assert isinstance(reply, bytes)
    decoded = DNSRecord.parse(reply)
    assert decoded.header.rcode == 0
    assert decoded.ar[0].edns_rcode == 1, "BADVERS is 16: the upper bits travel in the OPT"


def test_an_answer_is_read_by_dnslib() -> None:
    query = parsed(ask("WEB", wire.ANY))
    records = [wire.address_record("172.17.0.2"), wire.address_record("fd00::2")]
    decoded = DNSRecord.parse(wire.reply(query, wire.NOERROR, records))
    assert decoded.header.id == 0x1234
    assert (decoded.header.qr, decoded.header.aa, decoded.header.ra, decoded.header.rd) == (1, 0, 1, 1)
    assert str(decoded.q.qname) == "WEB."
    assert [(str(r.rname), r.rtype, str(r.rdata), r.ttl) for r in decoded.rr] == [
        ("WEB.", wire.A, "172.17.0.2", 600),
        ("WEB.", wire.AAAA, "fd00::2", 600),
    ]


def test_a_pointer_is_read_by_dnslib() -> None:
    query = parsed(ask("2.0.17.172.in-addr.arpa", wire.PTR))
    decoded = DNSRecord.parse(wire.reply(query, wire.NOERROR, [wire.pointer_record("web.net1")]))
    assert str(decoded.rr[0].rdata) == "web.net1."


def test_opt_is_answered_by_opt_only() -> None:
    with_opt = DNSRecord.parse(wire.reply(parsed(ask("web", udp_len=4096)), wire.NXDOMAIN))
    assert [r.rtype for r in with_opt.ar] == [wire.OPT]
    assert with_opt.header.rcode == wire.NXDOMAIN
    assert DNSRecord.parse(wire.reply(parsed(ask("web")), wire.NXDOMAIN)).ar == []


def test_what_does_not_fit_is_left_out_and_tc_set() -> None:
    records = [wire.address_record(f"10.0.0.{i}") for i in range(1, 101)]
    message = wire.reply(parsed(ask("web", udp_len=1232)), wire.NOERROR, records, 512)
    assert len(message) <= 512
    decoded = DNSRecord.parse(message)
    assert decoded.header.tc == 1
    assert len(decoded.rr) == (512 - 12 - 9 - 11) // 16
    assert [r.rtype for r in decoded.ar] == [wire.OPT]
    whole = DNSRecord.parse(wire.reply(parsed(ask("web")), wire.NOERROR, records))
    assert (whole.header.tc, len(whole.rr)) == (0, 100)


HEAD = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(HEAD + b"\xc0\x0c\0\1\0\1", id="compression pointer in the question"),
        pytest.param(HEAD + b"\x03we", id="label cut off"),
        pytest.param(HEAD + b"\x03web\0\0\1", id="class cut off"),
        pytest.param(HEAD, id="no question"),
        pytest.param(HEAD + b"\x40" + b"a" * 64 + b"\0\0\1\0\1", id="label over 63 bytes"),
        pytest.param(HEAD + (b"\x3f" + b"a" * 63) * 4 + b"\0\0\1\0\1", id="name over 255 bytes"),
        pytest.param(struct.pack("!6H", 7, 0, 2, 0, 0, 0) + b"\0\0\1\0\1" * 2, id="two questions"),
        pytest.param(struct.pack("!6H", 7, 0, 0, 0, 0, 0), id="count of zero questions"),
        pytest.param(struct.pack("!6H", 7, 0, 1, 0, 0, 1) + b"\0\0\1\0\1", id="announced record missing"),
        pytest.param(ask("web", udp_len=512) + ask("web", udp_len=512)[-11:], id="two OPTs"),
    ],
)
def test_malformed_is_formerr(message: bytes) -> None:
    if message.count(b"\0\0\x29") == 2:
        message = message[:11] + b"\2" + message[12:]
    assert rcode(wire.parse(message)) == wire.FORMERR


def test_the_longest_name_is_legal() -> None:
    name = ".".join(["a" * 63] * 3 + ["a" * 61])
    assert parsed(ask(name)).name == name


def test_other_opcodes_are_not_implemented() -> None:
    status = bytearray(ask("web"))
    status[2] |= 2 << 3
    assert rcode(wire.parse(bytes(status))) == wire.NOTIMP


def test_responses_and_fragments_get_no_answer() -> None:
    response = bytearray(ask("web"))
    response[2] |= 0x80
    assert wire.parse(bytes(response)) is None, "else two servers could answer one another for ever"
    assert wire.parse(ask("web")[:11]) is None


@given(st.binary(max_size=600))
def test_any_bytes_are_read_without_raising(message: bytes) -> None:
    found = wire.parse(message)
    assert found is None or isinstance(found, Query | bytes)
    wire.answers(message, 7, b"\3web\0\0\1\0\1")


@given(st.binary(max_size=300), st.integers(0, 3), st.integers(0, 2))
def test_any_bytes_behind_a_good_header_are_read_without_raising(rest: bytes, qd: int, ar: int) -> None:
    found = wire.parse(struct.pack("!HHHHHH", 7, 0x0100, qd, 0, 0, ar) + rest)
    if isinstance(found, Query):
        assert DNSRecord.parse(wire.reply(found, wire.NOERROR)).header.id == 7
    else:
        assert rcode(found) in (wire.FORMERR, wire.NOERROR)


@given(st.lists(st.from_regex(r"[a-zA-Z0-9_-]{1,63}", fullmatch=True), min_size=1, max_size=3))
def test_names_agree_with_dnslib(labels: list[str]) -> None:
    name = ".".join(labels)
    assert parsed(ask(name)).name == name.lower()
    assert wire.encode_name(name) in ask(name)


@pytest.mark.parametrize("name", ["a..b", "a" * 64, ".".join(["a" * 50] * 6)])
def test_impossible_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a domain name"):
        wire.encode_name(name)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("2.0.17.172.in-addr.arpa", "172.17.0.2"),
        ("2." + "0." * 29 + "d.f.ip6.arpa", "fd00::2"),
        ("0.17.172.in-addr.arpa", None),
        ("x.0.17.172.in-addr.arpa", None),
        ("256.0.17.172.in-addr.arpa", None),
        ("\0.0.17.172.in-addr.arpa", None),
        ("é.0.17.172.in-addr.arpa", None),
        ("g." + "0." * 31 + "ip6.arpa", None),
        ("00." + "0." * 31 + "ip6.arpa", None),
        ("web", None),
    ],
)
def test_reverse_names(name: str, address: str | None) -> None:
    assert wire.reverse_address(name) == address


def test_only_the_answer_to_the_question_counts() -> None:
    query = parsed(ask("web.example"))
    good = wire.reply(query, wire.NOERROR, [wire.address_record("192.0.2.1")])
    assert wire.answers(good, 0x1234, query.question)
    assert wire.answers(good.replace(b"web", b"WEB"), 0x1234, query.question)
    assert not wire.answers(good, 0x1235, query.question), "another id"
    assert not wire.answers(good.replace(b"web", b"wab"), 0x1234, query.question), "another name"
    other_type = wire.reply(parsed(ask("web.example", wire.AAAA)), wire.NOERROR)
    assert not wire.answers(other_type, 0x1234, query.question)
    assert not wire.answers(ask("web.example"), 0x1234, query.question), "a query"


def test_a_failure_need_not_repeat_the_question() -> None:
    question = parsed(ask("web.example")).question
    assert wire.answers(struct.pack("!6H", 7, 0x8001, 0, 0, 0, 0), 7, question)
    assert not wire.answers(struct.pack("!6H", 7, 0x8000, 0, 0, 0, 0), 7, question)
    assert not wire.answers(struct.pack("!6H", 7, 0x8003, 0, 0, 0, 0), 7, question)


def test_cut_says_ask_over_tcp() -> None:
    message = wire.cut(parsed(ask("web")))
    assert wire.truncated(message)
    assert DNSRecord.parse(message).rr == []


def test_options_such_as_cookies_are_tolerated() -> None:
    record = DNSRecord(DNSHeader(id=1), q=DNSQuestion("web"))
    record.add_ar(Edns(udp_len=1232, opts=[EDNSOption(10, b"12345678")]))
    assert parsed(bytes(record.pack())).limit == 1232
