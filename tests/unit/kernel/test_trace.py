"""Where packets go between two networks, on the fake kernel."""

import pytest

from fairway.kernel.fake import FakeKernel
from fairway.kernel.trace import Verdict
from fairway.model.address import Address as IP
from fairway.model.address import Cidr, Mac
from fairway.plan import HOST, Address, Bridge, Element, Fact, Namespace, Plan, Route, Sysctl, Veth, establish


def network(number: int, *sets: str) -> list[Fact]:
    name = f"br-{number}"
    return [
        Bridge(name, Mac("02:00:00:00:00:01"), 1500),
        Address(HOST, name, Cidr(f"10.{number}.0.1/16")),
        *(Element(s, (name,)) for s in ("bridges", *sets)),
    ]


def container(path: str, net: int, number: int) -> list[Fact]:
    mac = Mac("02:00:00:00:00:02")
    return [
        Namespace(path),
        Veth(f"veth{path}", mac, f"br-{net}", path, "eth0", mac, 1500),
        Address(path, "eth0", Cidr(f"10.{net}.0.{number}/16")),
        Route(path, Cidr("0.0.0.0/0"), IP(f"10.{net}.0.1"), "eth0"),
    ]


PLAN: Plan = establish(
    [
        *network(1, "masqueraded"),
        *network(2, "closed"),
        *network(3, "internal"),
        *container("a", 1, 2),
        *container("b", 1, 3),
        *container("c", 2, 2),
        *container("d", 2, 3),
        *container("e", 3, 2),
    ]
)


@pytest.mark.parametrize(
    ("source", "destination", "verdict", "why"),
    [
        ("a", "10.1.0.2", "delivered", "own address"),
        ("a", "127.0.0.1", "delivered", "own address"),
        ("a", "10.1.0.3", "delivered", "10.1.0.3 is on eth0"),
        ("a", "10.1.0.1", "delivered", "the host's own address"),
        ("a", "10.2.0.1", "delivered", "the host's own address"),
        ("a", "10.1.0.9", "unreachable", "nobody on br-1 has 10.1.0.9"),
        ("a", "10.2.0.2", "dropped", "isolated: from br-1 to br-2"),
        ("a", "192.0.2.1", "leaves", "with the host's address"),
        ("a", "2001:db8::1", "unreachable", "no route"),
        ("c", "10.2.0.3", "dropped", "may not talk to each other"),
        ("c", "192.0.2.1", "leaves", "with its own address"),
        ("e", "192.0.2.1", "dropped", "br-3 is internal"),
        ("e", "10.1.0.2", "dropped", "isolated"),
        (HOST, "10.3.0.2", "delivered", "10.3.0.2 is on eth0"),
        (HOST, "192.0.2.1", "leaves", "with its own address"),
        ("nowhere", "10.1.0.2", "unreachable", "there is no namespace"),
    ],
)
async def test_verdicts(source: str, destination: str, verdict: Verdict, why: str) -> None:
    kernel = FakeKernel()
    await kernel.apply(PLAN)
    journey = kernel.reaches(source, IP(destination))
    assert (journey.verdict, why in journey.reason) == (verdict, True), journey


async def test_hops_name_every_interface() -> None:
    kernel = FakeKernel()
    await kernel.apply(PLAN)
    assert kernel.reaches("a", IP("10.1.0.3")).hops == ("eth0", "vetha", "br-1", "vethb", "eth0")
    assert kernel.reaches(HOST, IP("10.1.0.3")).hops == ("host", "br-1", "vethb", "eth0")


async def test_a_host_that_does_not_forward_drops() -> None:
    kernel = FakeKernel()
    await kernel.apply(PLAN + establish([Sysctl(HOST, "net/ipv4/ip_forward", "0")]))
    assert kernel.reaches("a", IP("192.0.2.1")).verdict == "dropped"
    assert kernel.reaches("a", IP("10.1.0.3")).arrives


async def test_a_lost_veth_is_noticed() -> None:
    kernel = FakeKernel()
    await kernel.apply(PLAN)
    kernel.lose(next(f for f in container("b", 1, 3) if isinstance(f, Veth)))
    assert not kernel.reaches("a", IP("10.1.0.3")).arrives
    assert kernel.reaches("b", IP("10.1.0.2")).verdict == "unreachable"


async def test_the_most_specific_route_wins() -> None:
    kernel = FakeKernel()
    await kernel.apply(PLAN + establish([Route("a", Cidr("192.0.2.0/24"), IP("10.1.0.3"), "eth0")]))
    journey = kernel.reaches("a", IP("192.0.2.1"))
    assert (journey.verdict, journey.namespace) == ("dropped", "b")
    assert kernel.reaches("a", IP("192.0.3.1")).verdict == "leaves"
