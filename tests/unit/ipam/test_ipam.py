"""Subnets and addresses as Docker hands them out."""

import pytest

from fairway.ipam import Ipam
from fairway.ipam.subnets import DEFAULT_POOLS, choose, ula_pool
from fairway.model.address import Address, Cidr, Family
from fairway.model.errors import Conflict, Fault, Forbidden, InvalidParameter
from fairway.model.network import Network, Pool
from fairway.model.request import PoolRequest
from fairway.model.system import AddressPool


def network(*pools: Pool, id_: str = "a" * 64) -> Network:
    return Network(id=id_, name="n", driver="bridge", created=0, pools=pools, static=True)


def take(ipam: Ipam, net: Network, wanted: str | None = None, previous: str | None = None) -> str:
    return ipam.allocate(net, Address(wanted) if wanted else None, 4, Address(previous) if previous else None)


def test_default_pools_in_dockers_order() -> None:
    used: list[Cidr] = []
    for _ in range(31):
        used.append(choose(DEFAULT_POOLS, 4, used))
    assert used[:3] == ["172.17.0.0/16", "172.18.0.0/16", "172.19.0.0/16"]
    assert used[14:17] == ["172.31.0.0/16", "192.168.0.0/20", "192.168.16.0/20"]
    with pytest.raises(InvalidParameter, match="fully subnetted"):
        choose(DEFAULT_POOLS, 4, used)


@pytest.mark.parametrize("taken", ["172.17.5.0/24", "172.17.0.1/32", "172.16.0.0/15"])
def test_subnets_in_use_on_the_host_are_skipped(taken: str) -> None:
    assert choose(DEFAULT_POOLS, 4, [Cidr(taken)]) == "172.18.0.0/16"


def test_thousands_of_subnets_are_jumped_over() -> None:
    pools = (AddressPool(base="10.0.0.0/8", size=24),)
    used = [Cidr(f"10.{i >> 8}.{i & 255}.0/24") for i in range(20_000)]
    assert choose(pools, 4, used) == "10.78.32.0/24"


def test_ula_pool_is_derived_from_the_identity() -> None:
    pool = ula_pool("0123456789abcdef")
    assert pool == AddressPool(base="fd01:2345:6789::/48", size=64)
    assert choose((pool,), 6, ()) == "fd01:2345:6789::/64"


def test_lowest_free_address_first() -> None:
    ipam, net = Ipam(), network(Pool(subnet=Cidr("10.0.0.0/24"), gateway=Address("10.0.0.1")))
    ipam.add(net)
    assert [take(ipam, net) for _ in range(3)] == ["10.0.0.2/24", "10.0.0.3/24", "10.0.0.4/24"]
    ipam.release(net.id, [Cidr("10.0.0.3/24")])
    assert take(ipam, net) == "10.0.0.3/24"
    assert take(ipam, net) == "10.0.0.5/24"


def test_reserved_addresses_are_never_handed_out() -> None:
    pool = Pool(
        subnet=Cidr("10.0.0.0/29"),
        gateway=Address("10.0.0.3"),
        auxiliary={"router": Address("10.0.0.1")},
    )
    ipam, net = Ipam(), network(pool)
    ipam.add(net)
    assert [take(ipam, net) for _ in range(4)] == [f"10.0.0.{n}/29" for n in (2, 4, 5, 6)]
    with pytest.raises(Conflict, match=r"no available IPv4 addresses on this network's address pools: n \("):
        take(ipam, net)


def test_range_limits_automatic_addresses_only() -> None:
    pool = Pool(subnet=Cidr("10.77.0.0/24"), gateway=Address("10.77.0.254"), ip_range=Cidr("10.77.0.128/31"))
    ipam, net = Ipam(), network(pool)
    ipam.add(net)
    assert take(ipam, net, wanted="10.77.0.50") == "10.77.0.50/24"
    assert [take(ipam, net) for _ in range(2)] == ["10.77.0.128/24", "10.77.0.129/24"]
    with pytest.raises(Conflict):
        take(ipam, net)


def test_address_asked_for_is_given_or_refused() -> None:
    ipam, net = Ipam(), network(Pool(subnet=Cidr("10.0.0.0/24"), gateway=Address("10.0.0.1")))
    ipam.add(net)
    assert take(ipam, net, wanted="10.0.0.2") == "10.0.0.2/24"
    with pytest.raises(Conflict, match="Address already in use"):
        take(ipam, net, wanted="10.0.0.2")
    with pytest.raises(Conflict, match="Address already in use"):
        take(ipam, net, wanted="10.0.0.1")
    with pytest.raises(InvalidParameter, match=r"no configured subnet contains IP address 10\.1\.0\.1"):
        take(ipam, net, wanted="10.1.0.1")
    assert take(ipam, net) == "10.0.0.3/24"


def test_previous_address_is_preferred_while_free() -> None:
    ipam, net = Ipam(), network(Pool(subnet=Cidr("10.0.0.0/24"), gateway=Address("10.0.0.1")))
    ipam.add(net)
    assert take(ipam, net, previous="10.0.0.9") == "10.0.0.9/24"
    assert take(ipam, net, previous="10.0.0.9") == "10.0.0.2/24"


def test_a_slash_eight_costs_nothing() -> None:
    ipam, net = Ipam(), network(Pool(subnet=Cidr("10.0.0.0/8"), gateway=Address("10.0.0.1")))
    ipam.add(net)
    assert take(ipam, net, wanted="10.255.255.254") == "10.255.255.254/8"
    assert take(ipam, net) == "10.0.0.2/8"


def plan(ipam: Ipam, *requests: PoolRequest, families: tuple[int, ...] = (4,)) -> tuple[Pool, ...]:
    return ipam.plan_pools(requests, families, ())  # type: ignore[arg-type]


def test_pools_are_completed() -> None:
    ipam = Ipam((*DEFAULT_POOLS, ula_pool("0" * 10)))
    v4, v6 = plan(ipam, families=(4, 6))
    assert (v4.subnet, v4.gateway) == ("172.17.0.0/16", "172.17.0.1")
    assert (v6.subnet, v6.gateway) == ("fd00::/64", "fd00::1")


def test_gateway_avoids_auxiliary_addresses() -> None:
    request = PoolRequest(subnet=Cidr("10.0.0.0/24"), auxiliary={"x": Address("10.0.0.1")})
    assert plan(Ipam(), request)[0].gateway == "10.0.0.2"


@pytest.mark.parametrize(
    ("requests", "kind", "text"),
    [
        ([{"subnet": "10.0.0.0/16"}, {"subnet": "10.0.1.0/24"}], Forbidden, "Pool overlaps with other one"),
        ([{"subnet": "10.0.0.0/24", "gateway": "10.1.0.1"}], InvalidParameter, r"gateway 10\.1\.0\.1"),
        (
            [{"subnet": "10.0.0.0/24", "ip_range": "10.1.0.0/25"}],
            InvalidParameter,
            r"ip-range 10\.1\.0\.0/25",
        ),
        (
            [{"subnet": "10.0.0.0/24", "auxiliary": {"r": "10.1.0.9"}}],
            InvalidParameter,
            "auxiliary address r",
        ),
    ],
)
def test_contradictions_are_named(requests: list[dict[str, object]], kind: type[Fault], text: str) -> None:
    with pytest.raises(kind, match=text):
        plan(Ipam(), *(PoolRequest(**r) for r in requests))  # type: ignore[arg-type]


def test_overlap_with_another_network() -> None:
    ipam = Ipam()
    ipam.add(network(Pool(subnet=Cidr("10.77.0.0/24"), gateway=Address("10.77.0.254"))))
    with pytest.raises(Forbidden, match="Pool overlaps with other one on this address space"):
        plan(ipam, PoolRequest(subnet=Cidr("10.77.0.0/16")))
    ipam.remove("a" * 64)
    assert plan(ipam, PoolRequest(subnet=Cidr("10.77.0.0/16")))[0].subnet == "10.77.0.0/16"


@pytest.mark.parametrize(
    "subnet", ["127.0.9.0/24", "224.1.0.0/24", "240.0.0.0/24", "0.0.0.0/8", "0.0.0.0/0", "ff00::/64", "::/0"]
)
def test_subnets_with_a_meaning_of_their_own_are_refused(subnet: str) -> None:
    kind: Family = 6 if ":" in subnet else 4
    with pytest.raises(InvalidParameter, match=f"invalid subnet {subnet}: it overlaps with the"):
        Ipam(DEFAULT_POOLS).plan_pools([PoolRequest(subnet=Cidr(subnet))], (kind,), ())


@pytest.mark.parametrize(("gateway", "what"), [("10.1.0.0", "network"), ("10.1.0.255", "broadcast")])
def test_a_gateway_is_an_address_of_a_host(gateway: str, what: str) -> None:
    request = PoolRequest(subnet=Cidr("10.1.0.0/24"), gateway=Address(gateway))
    with pytest.raises(InvalidParameter, match=f"invalid gateway {gateway}: it is the {what} address"):
        Ipam(DEFAULT_POOLS).plan_pools([request], (4,), ())
