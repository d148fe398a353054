"""Who must not reach whom: internal networks, closed networks and links, sources that lie."""

import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from fairway.firewall.links import opened as link
from fairway.kernel.linux import LinuxKernel
from fairway.model.address import Address
from fairway.model.network import ANY_IPV6_ADDRESS, PortMapping
from fairway.plan import establish, withdraw
from netns_host import NetnsHost
from packets import (
    BRIEF,
    HOST,
    OUTSIDE,
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
