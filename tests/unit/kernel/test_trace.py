"""Where packets go, on the fake kernel: the whole matrix against the specification, then the explanations."""

from dataclasses import replace

import pytest

from fairway.kernel.fake import FakeKernel
from fairway.kernel.trace import OUTSIDE, Hop, Packet, Protocol, Scene, Verdict, walk
from fairway.model.address import Address as IP
from fairway.model.address import Cidr
from fairway.plan import HOST, Fact, Hairpin, HeldPort, Plan, Route, Step, Sysctl, Veth, establish
from reachability.cells import cells
from reachability.specification import listens
from reachability.verdicts import computed, place_of, promise
from reachability.world import UPLINK, UPLINK_ADDRESSES, WORLD, World, facts

FORWARDING = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}


def sandbox(name: str) -> str:
    return f"/{name}"


async def kernel_of(world: World = WORLD, *more: Fact) -> FakeKernel:
    kernel = FakeKernel(foreign={UPLINK: UPLINK_ADDRESSES})
    await kernel.apply(establish([*facts(world, sandbox), *more]))
    return kernel


@pytest.mark.parametrize(("filtered", "others"), [(True, 0), (False, 200)])
async def test_every_cell_is_as_specified(filtered: bool, others: int) -> None:
    world = replace(WORLD, bridged_frames_filtered=filtered, others=others)
    scene = (await kernel_of(world)).scene()
    wrong = []
    for cell in cells(world):
        journey, promised = computed(scene, sandbox, cell), promise(world, cell)
        answered = journey.arrives and listens(place_of(journey), journey.port)
        if answered != (promised is not None) or (
            promised and (place_of(journey) != promised.by or journey.source not in promised.seen)
        ):
            wrong.append(f"{cell}: promised {promised}, computed\n{journey}")
    assert "\n".join(wrong) == ""


@pytest.mark.parametrize(
    ("source", "destination", "port", "verdict", "why", "by"),
    [
        ("/client", "10.1.0.3", 80, "delivered", "the sandbox's own address", ""),
        ("/client", "127.0.0.1", 80, "delivered", "the sandbox's own address", ""),
        ("/client", "10.1.0.2", 80, "delivered", "10.1.0.2 is on eth0", ""),
        ("/client", "10.1.0.1", 80, "delivered", "the host's own address", ""),
        ("/client", "10.1.0.9", 80, "unreachable", "nobody on br-1 has 10.1.0.9", ""),
        ("/client", "10.2.0.4", 80, "dropped", "isolated: from br-1 to br-2", "chain between"),
        ("/client", "198.51.100.1", 80, "leaves", "with the host's address", ""),
        ("/other", "198.51.100.1", 80, "leaves", "with its own address", ""),
        ("/old", "2001:db8::9", 80, "unreachable", "no route", ""),
        ("/shut_b", "10.3.0.2", 80, "dropped", "may not talk to each other", "chain within, set closed"),
        ("/routed", "198.51.100.1", 80, "dropped", "br-4 is internal", "chain forward, set internal"),
        ("/routed", "2001:db8::1", 8085, "dropped", "would lead outside", "sets internal and proxied"),
        ("/inner", "192.0.2.1", 80, "unreachable", "no route", ""),
        ("/none", "192.0.2.1", 80, "unreachable", "no route", ""),
        (HOST, "10.4.0.2", 80, "delivered", "10.4.0.2 is on eth0", ""),
        (HOST, "198.51.100.1", 80, "leaves", "with its own address", ""),
        (OUTSIDE, "10.1.0.2", 80, "dropped", "br-1 is not reachable from outside", "chain routed"),
        (OUTSIDE, "127.0.0.1", 8080, "dropped", "no packet to its loopback", ""),
        (OUTSIDE, "198.51.100.1", 80, "leaves", "with its own address", ""),
        ("/nowhere", "10.1.0.2", 80, "unreachable", "there is no namespace", ""),
    ],
)
async def test_the_end_says_why(
    source: str, destination: str, port: int, verdict: Verdict, why: str, by: str
) -> None:
    journey = (await kernel_of()).reaches(source, IP(destination), "tcp", port)
    assert (journey.verdict, why in journey.reason, by in journey.by) == (verdict, True, True), journey


async def test_hops_name_every_interface_and_what_decided() -> None:
    kernel = await kernel_of()
    assert kernel.reaches("/client", IP("10.1.0.2")).path == ("eth0", "veth1c3", "br-1", "veth1c2", "eth0")
    assert kernel.reaches(HOST, IP("10.1.0.3")).path == ("host", "br-1", "veth1c3", "eth0")
    journey = kernel.reaches("/other", IP("192.0.2.1"), "tcp", 8080)
    assert str(journey).splitlines() == [
        "eth0  through 10.2.0.1",
        "veth2c4",
        "br-2",
        "br-2  published: 192.0.2.1 port 8080 → 10.1.0.2 port 80  [chain prerouting, map publish]",
        "host",
        "host  a published port  [chain between, ct status dnat]",
        "br-1",
        "veth1c2",
        "eth0",
        "delivered: /server, seen from 10.2.0.4: 10.1.0.2 is on eth0",
    ]


async def test_the_port_holder_answers_and_connects_on() -> None:
    kernel = await kernel_of()
    journey = kernel.reaches(OUTSIDE, IP("2001:db8::1"), "tcp", 8085)
    assert (journey.proxied, journey.namespace, journey.address, journey.port) == (
        True,
        "/old",
        "10.5.0.2",
        80,
    )
    assert Hop("port holder", "proxied to 10.5.0.2 port 80") in journey.hops
    assert journey.source == "10.5.0.1"
    assert not kernel.reaches(OUTSIDE, IP("192.0.2.1"), "tcp", 8085).proxied


async def test_a_port_held_on_one_address_answers_there_only() -> None:
    held = HeldPort("udp", "192.0.2.1", 53, IP("10.1.0.2"), 53)
    kernel = await kernel_of(WORLD, held)
    assert kernel.reaches(OUTSIDE, IP("192.0.2.1"), "udp", 53).proxied
    elsewhere: tuple[tuple[str, Protocol], ...] = (
        ("203.0.113.2", "udp"),
        ("2001:db8::1", "udp"),
        ("192.0.2.1", "tcp"),
    )
    for destination, protocol in elsewhere:
        journey = kernel.reaches(OUTSIDE, IP(destination), protocol, 53)
        assert (journey.namespace, journey.proxied) == (HOST, False)


@pytest.mark.parametrize("kind", [4, 6])
async def test_a_host_that_does_not_forward_drops(kind: int) -> None:
    kernel = await kernel_of(WORLD, Sysctl(HOST, FORWARDING[kind], "0"))
    outside, neighbour = ("198.51.100.1", "10.1.0.2") if kind == 4 else ("2001:db8:9::1", "fd00:1::2")
    journey = kernel.reaches("/client", IP(outside))
    assert (journey.verdict, journey.by) == ("dropped", f"sysctl {FORWARDING[kind]} is 0")
    assert kernel.reaches("/client", IP(neighbour)).arrives
    assert kernel.reaches(HOST, IP(outside)).arrives


async def test_loopback_needs_route_localnet() -> None:
    kernel = await kernel_of(WORLD, Sysctl(HOST, "net/ipv4/conf/br-1/route_localnet", "0"))
    journey = kernel.reaches(HOST, IP("127.0.0.1"), "tcp", 8080)
    assert (journey.verdict, journey.by) == ("dropped", "sysctl net/ipv4/conf/br-1/route_localnet is not 1")


async def test_without_hairpin_mode_a_container_does_not_reach_itself_through_the_bridge() -> None:
    kernel = await kernel_of()
    journey = kernel.reaches("/server", IP("192.0.2.1"), "tcp", 8080)
    assert (journey.namespace, journey.source) == ("/server", "10.1.0.1")
    kernel.lose(Hairpin("veth1c2"))
    assert "hairpin mode is off" in kernel.reaches("/server", IP("192.0.2.1"), "tcp", 8080).reason
    unfiltered = await kernel_of(replace(WORLD, bridged_frames_filtered=False))
    unfiltered.lose(Hairpin("veth1c2"))
    assert unfiltered.reaches("/server", IP("192.0.2.1"), "tcp", 8080).namespace == "/server"


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9"])
async def test_a_source_that_lies(address: str) -> None:
    scene = (await kernel_of()).scene()
    journey = walk(scene, Packet("/client", IP("10.1.0.1"), "tcp", 7000, IP(address)))
    assert (journey.verdict, journey.by) == ("dropped", "chain spoofed, set bridges")


async def test_families_that_are_not_ruled_meet_no_rule() -> None:
    kernel = await kernel_of()
    scene = Scene(await kernel.facts(), ruled=[4])
    assert walk(scene, Packet(OUTSIDE, IP("fd00:1::2"))).arrives
    assert not walk(scene, Packet(OUTSIDE, IP("10.1.0.2"))).arrives


async def test_a_lost_veth_is_noticed() -> None:
    kernel = await kernel_of()
    kernel.lose(next(f for f in await kernel.facts() if isinstance(f, Veth) and f.namespace == "/server"))
    assert not kernel.reaches("/client", IP("10.1.0.2")).arrives
    assert kernel.reaches("/server", IP("10.1.0.3")).verdict == "unreachable"


async def test_the_most_specific_route_wins() -> None:
    kernel = await kernel_of(WORLD, Route("/client", Cidr("198.51.100.0/24"), IP("10.1.0.2"), "eth0"))
    journey = kernel.reaches("/client", IP("198.51.100.1"))
    assert (journey.verdict, journey.namespace) == ("dropped", "/server")
    assert kernel.reaches("/client", IP("198.51.101.1")).verdict == "leaves"


async def test_link_local_addresses_are_known_without_being_facts() -> None:
    kernel = await kernel_of()
    journey = kernel.reaches("/client", IP("fe80::42:4bff:fe5e:57f6"), "tcp", 7000)
    assert (journey.namespace, journey.source) == (HOST, "fe80::42:aff:fe01:3")


async def test_withdrawn_ports_lead_nowhere() -> None:
    kernel = await kernel_of()
    gone = set(facts(WORLD, sandbox)) - set(facts(WORLD.unpublished("server", 8080), sandbox))
    assert await kernel.withdraw(Plan(tuple(Step(fact, present=False) for fact in gone))) == []
    for destination in ("192.0.2.1", "2001:db8::1"):
        assert kernel.reaches(OUTSIDE, IP(destination), "tcp", 8080).namespace == HOST
