"""Who may see which name, and what goes upstream."""

import pytest

from fairway.dns import wire
from fairway.dns.zone import FORWARD, NODATA, NXDOMAIN, REFUSED, SERVFAIL, Answer, Forward, decide
from fairway.model.address import Address
from fairway.model.dns import NetworkNames, Zone

V4, V4_OTHER, V6 = Address("172.18.0.2"), Address("172.19.0.9"), Address("fd00::2")
NET1 = NetworkNames(
    id="n1",
    name="Net1",
    names={"web": (V4, V6), "db": (Address("172.18.0.3"),)},
    reverse={V4: "web.net1", V6: "web.net1"},
)
NET2 = NetworkNames(id="n2", name="my.net2", names={"web": (V4_OTHER,), "only2": (V4_OTHER,)})
ZONE = Zone(sandbox="s", networks=("n1", "n2"), names={"link": (V4,), "db": (V4_OTHER,)})
INTERNAL = Zone(sandbox="s", networks=("n1", "n2"), forward=False)

MX, TXT, SRV, HTTPS = 15, 16, 33, 65


def verdict(name: str, qtype: int = wire.A, zone: Zone = ZONE, *, upstream: bool = True) -> Answer | Forward:
    return decide(zone, (NET1, NET2), name, qtype, wire.IN, upstream=upstream)


@pytest.mark.parametrize(
    ("name", "qtype", "addresses"),
    [
        ("web", wire.A, (V4,)),
        ("web", wire.AAAA, (V6,)),
        ("web", wire.ANY, (V4, V6)),
        ("web.net1", wire.A, (V4,)),
        ("web.my.net2", wire.A, (V4_OTHER,)),
        ("only2", wire.A, (V4_OTHER,)),
        ("link", wire.A, (V4,)),
        ("db", wire.A, (V4_OTHER,)),
    ],
)
def test_known_names(name: str, qtype: int, addresses: tuple[Address, ...]) -> None:
    assert verdict(name, qtype) == Answer(addresses=addresses)


@pytest.mark.parametrize("qtype", [MX, TXT, SRV, HTTPS])
def test_a_known_name_is_never_refuted(qtype: int) -> None:
    assert verdict("web", qtype) == NODATA
    assert verdict("only2", wire.AAAA) == NODATA
    assert verdict("web.net1", qtype) == NODATA


@pytest.mark.parametrize("name", ["x.net1", "a.b.net1", "x.my.net2", "only2.net1"])
@pytest.mark.parametrize("upstream", [True, False])
def test_names_below_a_network_never_leave(name: str, upstream: bool) -> None:
    assert verdict(name, upstream=upstream) == NXDOMAIN


@pytest.mark.parametrize("name", ["stranger", "www.example", "web.search.domain", "net1", "", "web.net2"])
@pytest.mark.parametrize("qtype", [wire.A, wire.AAAA, MX])
def test_strangers_go_upstream(name: str, qtype: int) -> None:
    assert verdict(name, qtype) is FORWARD


def test_strangers_without_upstream() -> None:
    assert verdict("stranger", upstream=False) == NXDOMAIN
    assert verdict("www.example", upstream=False) == SERVFAIL


@pytest.mark.parametrize("upstream", [True, False])
@pytest.mark.parametrize("name", ["stranger", "www.example", "9.9.9.9.in-addr.arpa"])
def test_nothing_leaves_an_internal_sandbox(name: str, upstream: bool) -> None:
    assert verdict(name, zone=INTERNAL, upstream=upstream) == NXDOMAIN
    assert verdict("web", zone=INTERNAL, upstream=upstream) == Answer(addresses=(V4,))


def test_addresses_are_named() -> None:
    assert verdict("2.0.18.172.in-addr.arpa", wire.PTR) == Answer(pointer="web.net1")
    assert verdict("2." + "0." * 29 + "d.f.ip6.arpa", wire.PTR) == Answer(pointer="web.net1")
    assert verdict("9.9.18.172.in-addr.arpa", wire.PTR) is FORWARD


def test_private_reverse_names_come_first() -> None:
    zone = Zone(sandbox="s", networks=("n1",), reverse={V4: "mine"})
    assert verdict("2.0.18.172.in-addr.arpa", wire.PTR, zone) == Answer(pointer="mine")


@pytest.mark.parametrize(("qtype", "qclass"), [(wire.A, 3), (wire.AXFR, wire.IN), (wire.IXFR, wire.IN)])
def test_other_classes_and_transfers_are_refused(qtype: int, qclass: int) -> None:
    assert decide(ZONE, (NET1,), "web", qtype, qclass, upstream=True) == REFUSED
