"""Who must not reach whom: internal networks, closed networks and links, sources that lie."""

import socket
import struct
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from fairway.firewall.links import opened as link
from fairway.kernel.linux import LinuxKernel
from fairway.model.address import Address
from fairway.model.network import ANY_IPV6_ADDRESS, Network, PortMapping
from fairway.plan import establish, withdraw
from netns_host import NetnsHost
from packets import (
    BRIEF,
    HOST,
    OUTSIDE,
    PATIENCE,
    attached,
    blocked,
    bridged,
    inside,
    made,
    network,
    opened,
    seen_source,
    with_uplink,
)

pytestmark = pytest.mark.root
PORTS = (
    PortMapping(container_port=80, host_port=8080),
    PortMapping(container_port=80, host_port=8080, host_address=ANY_IPV6_ADDRESS),
)
GATEWAY = {4: "10.{}.0.1", 6: "fd00:{}::1"}
SUBNET = {4: "10.{}.0.0/24", 6: "fd00:{}::/64"}
ADDRESS = {4: "10.{}.0.{}", 6: "fd00:{}::{}"}


@pytest_asyncio.fixture
async def kernel(host: NetnsHost) -> AsyncIterator[LinuxKernel]:
    """A server publishes on net1; ``in1``, ``in2`` on the internal net3; ``a``, ``b`` on the closed net4."""
    web, internal, closed = network(1), network(3, internal=True), network(4, icc=False)
    async with with_uplink(host) as kernel:
        await kernel.apply(
            made(web)
            + made(internal)
            + made(closed)
            + attached(web, 2, host.sandbox("server"), PORTS)
            + attached(internal, 5, host.sandbox("in1"))
            + attached(internal, 6, host.sandbox("in2"))
            + attached(closed, 7, host.sandbox("a"))
            + attached(closed, 8, host.sandbox("b"))
        )
        bridged(host, "0")
        yield kernel


def route(host: NetnsHost, where: str, destination: str, gateway: str) -> None:
    """A route that a rogue sets by itself."""
    assert host.run(f"ip route replace {destination} via {gateway}", host.sandbox(where)).returncode == 0


@pytest.mark.parametrize("value", ["0", "1"])
@pytest.mark.parametrize("kind", [4, 6])
async def test_nothing_leaves_an_internal_network(
    host: NetnsHost, kernel: LinuxKernel, kind: int, value: str
) -> None:
    """Although its containers set a default route: no outside, no other network, no published port."""
    bridged(host, value)
    route(host, "in1", "default", GATEWAY[kind].format(3))
    assert blocked(host, "in1", OUTSIDE[kind], 80, server="outside")
    assert blocked(host, "in1", ADDRESS[kind].format(1, 2), 80)
    for address in (HOST[kind], GATEWAY[kind].format(1), GATEWAY[kind].format(3)):
        assert blocked(host, "in1", address, 8080)
    assert seen_source(host, "in1", ADDRESS[kind].format(3, 6), 80, server="in2") == ADDRESS[kind].format(
        3, 5
    )
    assert seen_source(host, "in1", GATEWAY[kind].format(3), 80, server="") == ADDRESS[kind].format(3, 5)


@pytest.mark.parametrize("kind", [4, 6])
async def test_nothing_gets_into_an_internal_network(host: NetnsHost, kernel: LinuxKernel, kind: int) -> None:
    """From outside or another network, routed by hand; the host itself always may."""
    target = ADDRESS[kind].format(3, 5)
    route(host, "outside", SUBNET[kind].format(3), HOST[kind])
    assert blocked(host, "outside", target, 80, server="in1")
    assert blocked(host, "server", target, 80, server="in1")
    assert seen_source(host, "", target, 80, server="in1") == GATEWAY[kind].format(3)


async def test_the_port_holder_is_no_way_out_of_an_internal_network(
    host: NetnsHost, kernel: LinuxKernel
) -> None:
    """It listens on link-local addresses, too, where others may reach what is published."""
    assert host.run("ip addr add fe80::5/64 dev eth0 nodad", host.sandbox("in1")).returncode == 0
    index = inside(host, "in1", lambda: socket.if_nametoindex("eth0"))
    with opened(host, "in1", "::", patience=BRIEF) as client, pytest.raises(TimeoutError):
        client.connect(("fe80::1", 8080, 0, index))
    with opened(host, "", "::") as other, opened(host, "in1", "::") as client:
        other.bind(("::", 8081))
        other.listen()
        client.connect(("fe80::1", 8081, 0, index))


@pytest.mark.parametrize("everybody", ["10.3.0.255", "255.255.255.255", "ff02::1"])
async def test_the_port_holder_hears_no_broadcast_of_an_internal_network(
    host: NetnsHost, kernel: LinuxKernel, everybody: str
) -> None:
    """Neighbours do."""
    index = inside(host, "in1", lambda: socket.if_nametoindex("eth0"))
    to = (everybody, 5353, 0, index) if ":" in everybody else (everybody, 5353)
    any_ = "::" if ":" in everybody else "0.0.0.0"
    with (
        opened(host, "", any_, socket.SOCK_DGRAM, patience=BRIEF) as holder,
        opened(host, "in2", any_, socket.SOCK_DGRAM) as neighbour,
        opened(host, "in1", any_, socket.SOCK_DGRAM) as client,
    ):
        holder.bind((any_, 5353))
        neighbour.bind((any_, 5353))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
        client.sendto(b"who", to)
        assert neighbour.recv(9) == b"who"
        with pytest.raises(TimeoutError):
            holder.recv(9)


@pytest.mark.parametrize("value", ["0", "1"])
@pytest.mark.parametrize("kind", [4, 6])
async def test_a_link_opens_exactly_its_ports_one_way(
    host: NetnsHost, kernel: LinuxKernel, kind: int, value: str
) -> None:
    """In a closed network, whose bridge has its frames filtered whatever the host-wide sysctl says."""
    bridged(host, value)
    a, b = ADDRESS[kind].format(4, 7), ADDRESS[kind].format(4, 8)
    assert blocked(host, "a", b, 80, server="b")
    elements = establish(link(Address(a), Address(b), [("tcp", 80)]))
    await kernel.apply(elements)
    assert seen_source(host, "a", b, 80, server="b") == a
    assert blocked(host, "a", b, 81, server="b", on=("", 81))
    assert blocked(host, "b", a, 80, server="a")
    assert host.run(f"ping -c1 -W1 {b}", host.sandbox("a")).returncode != 0
    await kernel.apply(withdraw(elements.facts()))
    assert blocked(host, "a", b, 80, server="b")
    assert seen_source(host, "a", OUTSIDE[kind], 77, server="outside", on=("", 77)) == HOST[kind]


@pytest.mark.parametrize("kind", [4, 6])
async def test_published_ports_are_open_in_closed_networks(
    host: NetnsHost, kernel: LinuxKernel, kind: int
) -> None:
    ports = tuple(
        PortMapping(container_port=80, host_port=4040, host_address=Address(any_))
        for any_ in ("0.0.0.0", "::")
    )
    await kernel.apply(attached(network(4, icc=False), 9, host.sandbox("c"), ports))
    assert seen_source(host, "outside", HOST[kind], 4040, server="c") == OUTSIDE[kind]
    assert seen_source(host, "server", HOST[kind], 4040, server="c") == ADDRESS[kind].format(1, 2)
    assert seen_source(host, "a", HOST[kind], 4040, server="c") is not None
    assert seen_source(host, "c", HOST[kind], 4040, server="c") == GATEWAY[kind].format(4)
    assert blocked(host, "a", ADDRESS[kind].format(4, 9), 80, server="c")


@pytest.mark.parametrize("claimed", ["127.0.0.1", "127.0.0.5"])
async def test_containers_cannot_speak_as_the_loopback(
    host: NetnsHost, kernel: LinuxKernel, claimed: str
) -> None:
    """``route_localnet`` on a bridge lets the kernel believe such a source; services trust it."""
    setup = "sysctl -qw net.ipv4.conf.all.route_localnet=1; ip addr add 127.0.0.5/32 dev eth0"
    assert host.run(setup, host.sandbox("server")).returncode == 0
    host.run("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.br-1.rp_filter=0")
    with opened(host, "", HOST[4], socket.SOCK_DGRAM) as service:
        service.bind(("0.0.0.0", 99))
        with opened(host, "server", HOST[4], socket.SOCK_DGRAM) as client:
            client.sendto(b"honest", ("10.1.0.1", 99))
            assert service.recv(100) == b"honest"
        with opened(host, "server", HOST[4], socket.SOCK_DGRAM) as client:
            client.bind((claimed, 0))
            client.sendto(b"lie", ("10.1.0.1", 99))
            service.settimeout(BRIEF)
            with pytest.raises(TimeoutError):
                service.recv(100)


@pytest.mark.parametrize("rogue", ["in1", "stranger"])
@pytest.mark.parametrize("kind", [4, 6])
async def test_nobody_goes_on_with_connections_of_another_network(
    host: NetnsHost, kernel: LinuxKernel, kind: int, rogue: str
) -> None:
    """Neither as the container nor as its peer, although both directions of the connection are tracked."""
    number = 3 if rogue == "in1" else 2
    if rogue == "stranger":
        stranger = network(2)
        await kernel.apply(made(stranger) + attached(stranger, 5, host.sandbox(rogue)))
    host.run("for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done")
    route(host, rogue, "default", GATEWAY[kind].format(number))
    with (
        opened(host, "outside", OUTSIDE[kind], socket.SOCK_DGRAM) as outside,
        opened(host, "server", OUTSIDE[kind], socket.SOCK_DGRAM) as server,
    ):
        outside.bind((OUTSIDE[kind], 5000))
        server.bind((ADDRESS[kind].format(1, 2), 6000))
        server.sendto(b"question", (OUTSIDE[kind], 5000))
        masqueraded = outside.recvfrom(99)[1][:2]
        outside.sendto(b"answer", masqueraded)
        assert server.recv(99) == b"answer"
        lies = [(OUTSIDE[kind], 5000, masqueraded, server)]
        if number == 3:  # others may leave, and a source that lies is outside's to refuse
            lies.append((ADDRESS[kind].format(1, 2), 6000, (OUTSIDE[kind], 5000), outside))
        for source, port, destination, victim in lies:
            host.run(f"ip addr add {source} dev eth0{' nodad' * (kind == 6)}", host.sandbox(rogue))
            with opened(host, rogue, source, socket.SOCK_DGRAM) as liar:
                liar.bind((source, port))
                liar.connect(destination)
                liar.send(b"lie")
            victim.settimeout(BRIEF)
            with pytest.raises(TimeoutError):
                victim.recv(99)
            host.run(f"ip addr del {source} dev eth0", host.sandbox(rogue))


@pytest.mark.parametrize("ipv6", [True, False])
async def test_the_host_takes_no_router_from_a_container(host: NetnsHost, ipv6: bool) -> None:
    """Nor an address: anybody with a raw socket can say that they are a router (CVE-2020-13401)."""
    net = network(1)
    fields = {name: getattr(net, name) for name in net.__struct_fields__}
    net = Network(**fields | {"ipv6": ipv6, "pools": net.pools[: 1 + ipv6]})
    async with with_uplink(host) as kernel:
        await kernel.apply(made(net) + attached(net, 2, host.sandbox("rogue"), ipv6=ipv6))
        host.run("sysctl -qw net.ipv6.conf.all.forwarding=0")
        patience = time.monotonic() + PATIENCE
        while "tentative" in host.run("ip -6 address show dev br-1").stdout and time.monotonic() < patience:
            time.sleep(0.05)
        inside(host, "rogue", lambda: announce_router("eth0"))
        assert not host.run("ip -6 route show default").stdout
        assert "dynamic" not in host.run("ip -6 address show dev br-1").stdout


def announce_router(link: str) -> None:
    """A router advertisement (RFC 4861, 4.2) with the prefix 2001:db8:bad::/64, in a frame of its own."""
    source, everybody = (socket.inet_pton(socket.AF_INET6, a) for a in ("fe80::bad", "ff02::1"))
    prefix = struct.pack("!4B3I", 3, 4, 64, 0xC0, 3600, 3600, 0) + bytes.fromhex("20010db80bad" + "00" * 10)
    body = struct.pack("!2B3H2I", 134, 0, 0, 64 << 8, 1800, 0, 0) + prefix
    summed = source + everybody + struct.pack("!2I", len(body), socket.IPPROTO_ICMPV6) + body
    words = sum(struct.unpack(f"!{len(summed) // 2}H", summed))
    checksum = ~(words + (words >> 16)) & 0xFFFF
    body = body[:2] + struct.pack("!H", checksum) + body[4:]
    header = struct.pack("!IHBB", 6 << 28, len(body), socket.IPPROTO_ICMPV6, 255)
    frame = bytes.fromhex("333300000001" + "0242bad0bad0" + "86dd") + header + source + everybody + body
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((link, 0))
        raw.send(frame)
