"""Whole answers of a sandbox, first and repeated."""

from dnslib import EDNS0 as Edns
from dnslib import DNSHeader, DNSQuestion, DNSRecord, EDNSOption
from hypothesis import given
from hypothesis import strategies as st

from fairway.dns import responder, wire
from fairway.dns.responder import Responder
from fairway.dns.wire import Query
from fairway.model.address import Address
from fairway.model.dns import NetworkNames, Zone

MANY = tuple(Address(f"10.0.{i // 250}.{i % 250 + 1}") for i in range(300))
NET = NetworkNames(
    id="n",
    name="net1",
    names={
        "web": (Address("172.18.0.2"), Address("172.18.0.3"), Address("172.18.0.4")),
        "one": (Address("172.18.0.9"),),
        "mixed": (Address("10.0.0.1"), Address("fd00::1")),
        "many": MANY,
        "broken": (Address("no address"),),
    },
    reverse={Address("172.18.0.2"): "a..b"},
)


def make(*, forward: bool = True) -> Responder:
    return Responder(Zone(sandbox="s", networks=("n",), forward=forward), [NET])


def ask(name: str, qtype: int = wire.A, ident: int = 1, edns: Edns | None = None) -> bytes:
    record = DNSRecord(DNSHeader(id=ident, rd=1), q=DNSQuestion(name, qtype))
    if edns:
        record.add_ar(edns)
    return bytes(record.pack())


def answer(server: Responder, message: bytes, *, stream: bool = False, upstream: bool = True) -> DNSRecord:
    reply = server.respond(message, stream=stream, upstream=upstream)
    assert isinstance(reply, bytes)
    return DNSRecord.parse(reply)


def addresses(record: DNSRecord) -> list[str]:
    return [str(r.rdata) for r in record.rr]


def test_id_and_case_of_every_query_are_echoed() -> None:
    server = make()
    for ident, name in enumerate(("one", "ONE", "oNe", "one"), 100):
        record = answer(server, ask(name, ident=ident))
        assert (record.header.id, str(record.q.qname), str(record.rr[0].rname)) == (
            ident,
            f"{name}.",
            f"{name}.",
        )
        assert addresses(record) == ["172.18.0.9"]


def test_addresses_take_turns() -> None:
    server = make()
    firsts = [addresses(answer(server, ask("web")))[0] for _ in range(6)]
    assert firsts == ["172.18.0.2", "172.18.0.3", "172.18.0.4"] * 2


def test_types_whose_number_looks_like_a_letter_are_kept_apart() -> None:
    server = make()
    for qtype in (65, 97, 65, 97):
        assert answer(server, ask("one", qtype)).q.qtype == qtype


def test_each_query_variant_gets_its_own_answer() -> None:
    server = make()
    for _ in range(2):
        assert addresses(answer(server, ask("one"))) == ["172.18.0.9"]
        assert answer(server, ask("one", wire.AAAA)).rr == []
        assert answer(server, ask("one")).ar == []
        assert [r.rtype for r in answer(server, ask("one", edns=Edns(udp_len=1232))).ar] == [wire.OPT]
        recursion_not_desired = bytearray(ask("one"))
        recursion_not_desired[2] = 0
        assert answer(server, bytes(recursion_not_desired)).header.rd == 0


def test_size_limits_differ_by_transport_and_client() -> None:
    server = make()
    for _ in range(3):
        short = answer(server, ask("many"))
        assert (short.header.tc, len(short.rr)) == (1, (512 - 12 - 10) // 16)
        large = answer(server, ask("many", edns=Edns(udp_len=8192)))
        assert (large.header.tc, len(large.rr)) == (0, 300)
        whole = answer(server, ask("many"), stream=True)
        assert (whole.header.tc, len(whole.rr)) == (0, 300)


def test_rotations_of_unequal_records_stay_well_formed_when_cut() -> None:
    names = {"x": tuple(Address(a) for i in range(1, 40) for a in (f"10.0.0.{i}", f"fd00::{i:x}"))}
    server = Responder(Zone(sandbox="s", networks=("n",)), [NetworkNames(id="n", name="net1", names=names)])
    for _ in range(20):
        assert answer(server, ask("x", wire.ANY)).header.tc == 1


def test_every_address_of_a_large_set_gets_its_turn() -> None:
    server = make()
    seen = {a for _ in range(responder.ROTATIONS) for a in addresses(answer(server, ask("many")))}
    assert seen == set(MANY)


def test_cookies_are_answered_and_not_kept() -> None:
    server = make()
    for i in range(10):
        cookie = Edns(udp_len=1232, opts=[EDNSOption(10, bytes([i]) * 8)])
        assert addresses(answer(server, ask("one", edns=cookie))) == ["172.18.0.9"]
    assert not server._datagrams


def test_what_is_kept_is_bounded() -> None:
    server = make()
    for i in range(responder.CAPACITY + 10):
        assert answer(server, ask(f"x{i}.net1")).header.rcode == wire.NXDOMAIN
    assert len(server._datagrams) <= responder.CAPACITY


def test_upstream_servers_that_appear_are_used() -> None:
    server = make()
    assert answer(server, ask("www.example"), upstream=False).header.rcode == wire.SERVFAIL
    assert isinstance(server.respond(ask("www.example"), stream=False, upstream=True), Query)


def test_a_sandbox_without_zone_is_told_to_ask_again_later() -> None:
    assert answer(Responder(None), ask("one")).header.rcode == wire.SERVFAIL


def test_bad_data_fails_alone() -> None:
    server = make()
    assert answer(server, ask("broken")).header.rcode == wire.SERVFAIL
    assert answer(server, ask("2.0.18.172.in-addr.arpa", wire.PTR)).header.rcode == wire.SERVFAIL
    assert addresses(answer(server, ask("one"))) == ["172.18.0.9"]


@given(st.lists(st.binary(max_size=80) | st.sampled_from([ask("web"), ask("WEB"), ask("one")]), max_size=8))
def test_no_bytes_spoil_later_answers(packets: list[bytes]) -> None:
    server = make()
    for packet in packets:
        for stream in (False, True):
            server.respond(packet, stream=stream, upstream=True)
    assert addresses(answer(server, ask("one", ident=9))) == ["172.18.0.9"]


@given(st.integers(0, 40), st.integers(0, 255))
def test_one_flipped_byte_is_answered_as_if_never_seen(at: int, value: int) -> None:
    """The kept answers must not be found by a packet that reads differently."""
    packet = bytearray(ask("one", edns=Edns(udp_len=1232)))
    packet[at % len(packet)] = value
    warm, cold = make(), make()
    warm.respond(ask("one", edns=Edns(udp_len=1232)), stream=False, upstream=True)
    warm.respond(ask("one"), stream=False, upstream=True)
    message = bytes(packet)
    for _ in range(2):
        assert warm.respond(message, stream=False, upstream=True) == cold.respond(
            message, stream=False, upstream=True
        )
