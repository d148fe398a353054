"""Containers that pose as others of their network, with forged frames on real bridges.

mallory ──┐
alice   ──┼── br-1 10.1.0.1, fd00:1::1          and on other hosts the same without the guard: there each
bob     ──┘                                     forgery succeeds, so a test that sees none fails
"""

import json
import socket
import time
from collections.abc import AsyncIterator, Mapping

import msgspec
import pytest
import pytest_asyncio

from fairway.drivers.bridge import LINK_LOCAL, bridge_mac
from fairway.firewall import guard
from fairway.model.address import Mac, link_local
from fairway.model.address import host as address_of
from fairway.model.network import Network
from fairway.plan import Element, establish
from forging import (
    ADVERTISEMENT,
    ARP,
    BROADCAST,
    IP,
    IP6,
    REPLY,
    REQUEST,
    SOLICITATION,
    Party,
    arp,
    frame,
    neighbour,
    router,
    udp,
)
from netns_host import NetnsHost
from packets import attached, inside, made, network

pytestmark = pytest.mark.root
ETH_P_ALL = 3
NUMBERS = {"alice": 2, "bob": 3, "mallory": 4}
PORTS = {name: f"veth1x{number}" for name, number in NUMBERS.items()}


def party(number: int) -> Party:
    return Party(f"02:42:0a:01:00:{number:02x}", f"10.1.0.{number}", f"fd00:1::{number}")


def own_link_local(who: Party) -> str:
    return link_local(Mac(who.mac))


ALICE, BOB, MALLORY = (party(number) for number in NUMBERS.values())
GATEWAY = Party(bridge_mac("1" * 64), "10.1.0.1", "fd00:1::1")
VIRTUAL = Party("00:00:5e:00:01:07", "10.1.0.200", "fd00:1::200")
"""A VIP with its own MAC (VRRP, RFC 5798), which nobody was given."""
NOBODY = Party("00:00:00:00:00:00")
ROUTED = ("10.9.0.9", "fd00:9::9")
"""In another network, from which mallory routes."""
ALL_NODES, ALL_NODES_MAC = "ff02::1", "33:33:00:00:00:01"


def as_gateway(who: Party) -> Party:
    return Party(who.mac, GATEWAY.ip, GATEWAY.ip6)


def to_alice(kind: int, payload: bytes, *tags: int, source: str = MALLORY.mac) -> bytes:
    return frame(source, ALICE.mac, kind, payload, *tags)


def datagram(source: str, port: int = 4000, at: int = 9000) -> bytes:
    return udp((source, port), (ALICE.ip6 if ":" in source else ALICE.ip, at), b"x")


def forgeries() -> Mapping[str, bytes]:
    """What nobody may send but its owner; mallory does."""
    lie = arp(REPLY, as_gateway(MALLORY), ALICE)
    advertised = neighbour(ADVERTISEMENT, MALLORY.ip6, ALICE.ip6, GATEWAY.ip6, MALLORY.mac)
    return {
        "arp reply as the gateway": to_alice(ARP, lie),
        "arp request as a neighbour": frame(
            MALLORY.mac, BROADCAST, ARP, arp(REQUEST, Party(MALLORY.mac, BOB.ip), Party(NOBODY.mac, ALICE.ip))
        ),
        "arp with the gateway's mac inside": to_alice(ARP, arp(REPLY, Party(GATEWAY.mac, VIRTUAL.ip), ALICE)),
        "arp of ieee 802": to_alice(ARP, arp(REPLY, as_gateway(MALLORY), ALICE, hardware=6)),
        "arp tagged with vlan 0": to_alice(ARP, lie, 0),
        "arp tagged twice": to_alice(ARP, lie, 0, 0),
        "advertisement of the gateway": to_alice(IP6, advertised),
        "advertisement tagged with vlan 0": to_alice(IP6, advertised, 0),
        "solicitation as the gateway": to_alice(
            IP6, neighbour(SOLICITATION, GATEWAY.ip6, ALICE.ip6, ALICE.ip6, MALLORY.mac)
        ),
        "solicitation as the gateway, link-local": to_alice(
            IP6, neighbour(SOLICITATION, address_of(LINK_LOCAL), ALICE.ip6, ALICE.ip6, MALLORY.mac)
        ),
        "mac of a neighbour": to_alice(IP, datagram(MALLORY.ip), source=BOB.mac),
        "mac of the gateway": to_alice(IP, datagram(VIRTUAL.ip), source=GATEWAY.mac),
        "mac of a neighbour in a vlan": to_alice(IP, datagram(VIRTUAL.ip), 5, source=BOB.mac),
        "mac of a neighbour, no ip": to_alice(0x88B5, b"x", source=BOB.mac),
        "ip of a neighbour": to_alice(IP, datagram(BOB.ip)),
        "ip of the gateway": to_alice(IP, datagram(GATEWAY.ip)),
        "ip of alice herself": to_alice(IP, datagram(ALICE.ip)),
        "mac and ip of a neighbour": to_alice(IP, datagram(BOB.ip), source=BOB.mac),
        "ip of a neighbour, from a mac of nobody": to_alice(IP, datagram(BOB.ip), source=VIRTUAL.mac),
        "ipv6 of a neighbour": to_alice(IP6, datagram(BOB.ip6)),
        "ipv6 of a neighbour, link-local": to_alice(IP6, datagram(own_link_local(BOB))),
        "dhcp offer": to_alice(IP, datagram(MALLORY.ip, 67, 68)),
        "dhcp offer from an address of nobody": to_alice(IP, datagram(VIRTUAL.ip, 67, 68)),
        "dhcp offer tagged with vlan 0": to_alice(IP, datagram(MALLORY.ip, 67, 68), 0),
        "dhcpv6 advertisement": to_alice(IP6, datagram(own_link_local(MALLORY), 547, 546)),
        "router advertisement": frame(MALLORY.mac, ALL_NODES_MAC, IP6, router(own_link_local(MALLORY))),
        "router advertisement behind options": frame(
            MALLORY.mac, ALL_NODES_MAC, IP6, router(own_link_local(MALLORY), hops=True)
        ),
        "router advertisement tagged with vlan 0": frame(
            MALLORY.mac, ALL_NODES_MAC, IP6, router(own_link_local(MALLORY)), 0
        ),
    }


def honest() -> Mapping[str, bytes]:
    """What is one's own or nobody's; mallory may send it."""
    routed, routed6 = ROUTED
    changed = Party("02:00:00:00:00:77", MALLORY.ip)
    return {
        "own": to_alice(IP, datagram(MALLORY.ip)),
        "own, ipv6": to_alice(IP6, datagram(MALLORY.ip6)),
        "own, link-local": to_alice(IP6, datagram(own_link_local(MALLORY))),
        "own, arp": to_alice(ARP, arp(REPLY, MALLORY, ALICE)),
        "arp probe": frame(
            MALLORY.mac, BROADCAST, ARP, arp(REQUEST, Party(MALLORY.mac), Party(NOBODY.mac, ALICE.ip))
        ),
        "duplicate address detection": frame(
            MALLORY.mac, ALL_NODES_MAC, IP6, neighbour(SOLICITATION, "::", ALL_NODES, VIRTUAL.ip6)
        ),
        "vip moves here": frame(
            VIRTUAL.mac, BROADCAST, ARP, arp(REPLY, VIRTUAL, Party(BROADCAST, VIRTUAL.ip))
        ),
        "vip with the own mac": to_alice(ARP, arp(REPLY, Party(MALLORY.mac, VIRTUAL.ip), ALICE)),
        "vip as source": to_alice(IP, datagram(VIRTUAL.ip), source=VIRTUAL.mac),
        "vip advertised": frame(
            MALLORY.mac,
            ALL_NODES_MAC,
            IP6,
            neighbour(ADVERTISEMENT, MALLORY.ip6, ALL_NODES, VIRTUAL.ip6, MALLORY.mac),
        ),
        "own address with another mac": to_alice(IP, datagram(MALLORY.ip), source=changed.mac),
        "own address with another mac, arp": to_alice(ARP, arp(REPLY, changed, ALICE), source=changed.mac),
        "routed": to_alice(IP, datagram(routed)),
        "routed, ipv6": to_alice(IP6, datagram(routed6)),
        "dhcp request": frame(
            MALLORY.mac, BROADCAST, IP, udp(("0.0.0.0", 68), ("255.255.255.255", 67), b"x")
        ),
        "dhcp relay": to_alice(IP, datagram(MALLORY.ip, 67, 67)),
        "a vlan": to_alice(IP, datagram(MALLORY.ip), 5),
        "multicast": frame(
            MALLORY.mac, "01:00:5e:00:00:12", IP, udp((MALLORY.ip, 1), ("224.0.0.18", 1), b"x")
        ),
        "another protocol": to_alice(0x88B5, b"x"),
    }


def guarded(on: bool) -> Network:
    net = network(1)
    assert net.bridge
    return msgspec.structs.replace(net, bridge=msgspec.structs.replace(net.bridge, spoof_guard=on))


@pytest_asyncio.fixture(params=[True, False], ids=["guarded", "unguarded"])
async def on(request: pytest.FixtureRequest, host: NetnsHost) -> AsyncIterator[bool]:
    """Whether the guard of the network is on."""
    kernel = host.kernel()
    await kernel.install()
    net = guarded(request.param)
    plan = made(net)
    for name, number in NUMBERS.items():
        plan += attached(net, number, host.sandbox(name))
    try:
        await kernel.apply(plan)
        yield request.param
    finally:
        await kernel.close()


def wire(host: NetnsHost, name: str) -> socket.socket:
    """What a process with CAP_NET_RAW has in hand."""

    def open_() -> socket.socket:
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        raw.bind(("eth0", ETH_P_ALL))
        raw.settimeout(5)
        return raw

    return inside(host, name, open_)


def untagged(sent: bytes) -> bytes:
    """The frame as a raw socket shows it: the outermost tag is beside it."""
    return sent[:12] + sent[16:] if sent[12:14] == b"\x81\x00" else sent


def arrived(host: NetnsHost, frames: Mapping[str, bytes]) -> set[str]:
    """Names of the frames that mallory sends and alice sees. A frame of her own follows each: a fence."""
    seen: set[str] = set()
    with wire(host, "alice") as alice, wire(host, "mallory") as mallory:
        for number, (name, sent) in enumerate(frames.items()):
            fence = to_alice(0x88B6, b"%d" % number)
            mallory.send(sent)
            mallory.send(fence)
            while (got := alice.recv(2048)) != fence:
                if got == untagged(sent):
                    seen.add(name)
    return seen


def test_forged_frames_do_not_arrive(host: NetnsHost, on: bool) -> None:
    assert arrived(host, forgeries()) == (set() if on else set(forgeries()))


def test_what_is_nobodys_passes(host: NetnsHost, on: bool) -> None:
    assert arrived(host, honest()) == set(honest())


def neighbours(host: NetnsHost, name: str) -> dict[str, str]:
    shown = json.loads(host.run("ip -j neigh show dev eth0", host.sandbox(name)).stdout)
    return {entry["dst"]: entry["lladdr"] for entry in shown if "lladdr" in entry}


def test_neighbour_tables_are_not_poisoned(host: NetnsHost, on: bool) -> None:
    """Alice goes on with the gateway's and the neighbour's true MACs."""
    there = {GATEWAY.ip: GATEWAY, GATEWAY.ip6: GATEWAY, BOB.ip: BOB, BOB.ip6: BOB}
    for address in there:
        assert host.run(f"ping -c 1 -W 5 {address}", host.sandbox("alice")).returncode == 0
    lies = []
    for who in (GATEWAY, BOB):
        posing = Party(MALLORY.mac, who.ip)
        lies.append(frame(MALLORY.mac, BROADCAST, ARP, arp(REQUEST, posing, posing)))
        for source in (MALLORY.ip6, who.ip6):
            lie = neighbour(ADVERTISEMENT, source, ALICE.ip6, who.ip6, MALLORY.mac)
            lies.append(to_alice(IP6, lie))
    sent = {str(number): lie for number, lie in enumerate(lies)}
    arrived(host, sent)
    found = {address: mac for address, mac in neighbours(host, "alice").items() if address in there}
    assert found == {address: who.mac if on else MALLORY.mac for address, who in there.items()}


def ports_of(host: NetnsHost, mac: str) -> set[str]:
    """Where the bridge sends what is for the MAC."""
    shown = json.loads(host.run("bridge -j fdb show br br-1").stdout)
    return {entry["ifname"] for entry in shown if entry["mac"] == mac}


@pytest.mark.parametrize("destination", [ALICE.mac, "01:80:c2:00:00:0e", "01:80:c2:00:00:03"])
def test_frames_for_others_are_not_stolen(host: NetnsHost, on: bool, destination: str) -> None:
    """The bridge does not learn bob's MAC on mallory's port; not from LLDP and 802.1X, which no rule sees."""
    if not on:
        host.run("ip link set br-1 type bridge no_linklocal_learn 0")
    # else bob may say something of his own accord, and have his MAC back
    host.run("sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1", host.sandbox("bob"))
    with wire(host, "bob") as bob:
        bob.send(frame(BOB.mac, ALICE.mac, 0x88B5, b"here"))
    assert ports_of(host, BOB.mac) == {PORTS["bob"]}
    arrived(host, {"theft": frame(BOB.mac, destination, 0x88B5, b"here")})
    deadline = time.monotonic() + 5  # frames of one sender may overtake each other on two processors
    while not on and ports_of(host, BOB.mac) == {PORTS["bob"]} and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ports_of(host, BOB.mac) == {PORTS["bob" if on else "mallory"]}


def test_no_router_makes_itself_known(host: NetnsHost, on: bool) -> None:
    sent = {"router": frame(MALLORY.mac, ALL_NODES_MAC, IP6, router(own_link_local(MALLORY)))}
    arrived(host, sent)
    routes = host.run("ip -6 route show proto ra", host.sandbox("alice")).stdout
    assert (own_link_local(MALLORY) in routes) is not on


def test_everybody_talks_under_their_own_name(host: NetnsHost, on: bool) -> None:
    """With addresses that the kernel of a container gives itself, and with those of the network."""
    for name, target in (("alice", BOB), ("mallory", ALICE)):
        for address in (target.ip, target.ip6, f"{own_link_local(target)}%eth0", "fe80::1%eth0", GATEWAY.ip):
            found = host.run(f"ping -c 1 -i 0.2 -w 5 {address}", host.sandbox(name))
            assert found.returncode == 0, (name, address, found.stdout)


async def test_what_was_dropped_is_counted(host: NetnsHost) -> None:
    kernel, net = host.kernel(), guarded(True)
    await kernel.install()
    try:
        plan = made(net) + attached(net, 2, host.sandbox("alice")) + attached(net, 4, host.sandbox("mallory"))
        await kernel.apply(plan)
        sent = {
            n: f
            for n, f in forgeries().items()
            if n in ("mac of the gateway", "dhcp offer", "ip of alice herself")
        }
        assert arrived(host, sent) == set()
        counted = await kernel.counted()
        by_rule = {kind: counted.rules[kind].packets for kind in ("mac", "dhcp", "source", "router")}
        assert by_rule == {"mac": 1, "dhcp": 1, "source": 1, "router": 0}
        of_network = counted.elements[Element(guard.GUARDED, (str(guard.group(net.id)),))]
        assert of_network and of_network.packets == 3
    finally:
        await kernel.close()


async def test_two_endpoints_with_one_mac(host: NetnsHost) -> None:
    """A user may ask for it; what they share is made once, and neither hinders the other."""
    kernel, net = host.kernel(), guarded(True)
    await kernel.install()
    one, two = (attached(net, n, host.sandbox(f"s{n}"), ipv6=False) for n in (2, 3))
    same = establish(
        msgspec.structs.replace(f, key=(f.key[0], "02:42:0a:01:00:02"))
        if isinstance(f, Element) and f.table_object == guard.TAKEN_MAC
        else f
        for f in two.facts()
    )
    try:
        await kernel.apply(made(net) + one)
        before = await kernel.facts()
        await kernel.apply(same)
        assert await kernel.withdraw(same.inverse()) == []
        shared = {f for f in before if isinstance(f, Element) and f.table_object == guard.TAKEN_MAC}
        assert before - await kernel.facts() <= shared
        assert await kernel.withdraw(one.inverse()) == []
    finally:
        await kernel.close()
