"""Published ports and masquerading, with real connections from everywhere that can make one."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from fairway.kernel.linux import LinuxKernel
from fairway.model.address import Address
from fairway.model.network import ANY_IPV6_ADDRESS, PortMapping
from fairway.plan import Plan
from netns_host import NetnsHost
from packets import HOST, OUTSIDE, attached, blocked, bridged, made, network, seen_source, with_uplink

pytestmark = pytest.mark.root
PORTS = (
    PortMapping(container_port=80, host_port=8080),
    PortMapping(container_port=80, host_port=8080, host_address=ANY_IPV6_ADDRESS),
    PortMapping(container_port=80, host_port=9090, host_address=Address("127.0.0.1")),
    PortMapping(container_port=80, host_port=7070, host_address=Address(HOST[4])),
    PortMapping(container_port=80, host_port=7070, host_address=Address(HOST[6])),
)
BRIDGED = ("0", "1")
"""Values of bridge-nf-call-iptables: whether frames between ports of one bridge meet the firewall."""


@pytest_asyncio.fixture
async def kernel(host: NetnsHost) -> AsyncIterator[LinuxKernel]:
    """A host with an outside neighbour, a server with published ports, and clients on two networks."""
    web, app = network(1), network(2, masquerade=False)
    async with with_uplink(host) as kernel:
        await kernel.apply(
            made(web)
            + made(app)
            + attached(web, 2, host.sandbox("server"), PORTS)
            + attached(web, 3, host.sandbox("client"))
            + attached(app, 4, host.sandbox("other"))
        )
        yield kernel


@pytest.mark.parametrize(
    ("source", "address", "port", "expected"),
    [
        ("outside", HOST[4], 8080, OUTSIDE[4]),
        ("outside", HOST[6], 8080, OUTSIDE[6]),
        ("outside", HOST[4], 7070, OUTSIDE[4]),
        ("outside", HOST[6], 7070, OUTSIDE[6]),
        ("", HOST[4], 8080, HOST[4]),
        ("", HOST[6], 8080, HOST[6]),
        ("", HOST[4], 7070, HOST[4]),
        ("", HOST[6], 7070, HOST[6]),
        ("", "127.0.0.1", 8080, "10.1.0.1"),
        ("", "127.0.0.1", 9090, "10.1.0.1"),
        ("", "10.2.0.1", 8080, "10.2.0.1"),
        ("other", HOST[4], 8080, "10.2.0.4"),
        ("other", HOST[6], 8080, "fd00:2::4"),
        ("other", "10.2.0.1", 8080, "10.2.0.4"),
        ("other", "fd00:2::1", 8080, "fd00:2::4"),
        ("client", "10.1.0.2", 80, "10.1.0.3"),
        ("client", "fd00:1::2", 80, "fd00:1::3"),
        ("outside", HOST[4], 9090, None),
        ("outside", HOST[4], 80, None),
        ("outside", HOST[6], 80, None),
        ("other", "10.1.0.2", 80, None),
        ("other", "fd00:1::2", 80, None),
        ("other", "10.2.0.1", 7070, None),
        ("other", "fd00:2::1", 7070, None),
        ("", "127.0.0.1", 7070, None),
        ("", HOST[4], 8081, None),
    ],
    ids=str,
)
async def test_who_reaches_a_published_port_and_as_whom(
    host: NetnsHost, kernel: LinuxKernel, source: str, address: str, port: int, expected: str | None
) -> None:
    if expected is None:
        assert blocked(host, source, address, port)
    else:
        assert seen_source(host, source, address, port) == expected


@pytest.mark.parametrize("value", BRIDGED)
@pytest.mark.parametrize(
    ("kind", "own", "gateway"), [(4, "10.1.0.2", "10.1.0.1"), (6, "fd00:1::2", "fd00:1::1")]
)
async def test_a_container_reaches_its_own_published_port(
    host: NetnsHost, kernel: LinuxKernel, value: str, kind: int, own: str, gateway: str
) -> None:
    bridged(host, value)
    assert seen_source(host, "server", HOST[kind], 8080) == gateway
    assert seen_source(host, "server", gateway, 8080) == gateway
    assert seen_source(host, "server", own, 80) == own


@pytest.mark.parametrize("value", BRIDGED)
@pytest.mark.parametrize("kind", [4, 6])
async def test_neighbours_reach_the_published_port(
    host: NetnsHost, kernel: LinuxKernel, value: str, kind: int
) -> None:
    """On one bridge the client keeps its address where br_netfilter brings the answer back."""
    bridged(host, value)
    addresses = {4: ("10.1.0.1", "10.1.0.3"), 6: ("fd00:1::1", "fd00:1::3")}[kind]
    assert seen_source(host, "client", HOST[kind], 8080) == addresses[int(value)]


@pytest.mark.parametrize(
    ("kind", "target", "subnet"), [(4, "10.1.0.2", "10.1.0.0/24"), (6, "fd00:1::2", "fd00:1::/64")]
)
async def test_direct_routing_to_an_unpublished_port_is_dropped(
    host: NetnsHost, kernel: LinuxKernel, kind: int, target: str, subnet: str
) -> None:
    outside = host.sandbox("outside")
    assert host.run(f"ip route add {subnet} via {HOST[kind]}", outside).returncode == 0
    assert blocked(host, "outside", target, 80)


async def test_ports_of_the_loopback_are_out_of_reach_of_neighbours(
    host: NetnsHost, kernel: LinuxKernel
) -> None:
    """Not even for a neighbour on the uplink that routes 127.0.0.0/8 to us."""
    outside = host.sandbox("outside")
    setup = f"ip addr flush dev lo; ip link set lo down; ip route add 127.0.0.0/8 via {HOST[4]}"
    host.run(setup, outside)
    assert f"via {HOST[4]}" in host.run("ip route get 127.0.0.1", outside).stdout
    for port in (9090, 8080):
        assert blocked(host, "outside", "127.0.0.1", port, bound=OUTSIDE[4])
    assert seen_source(host, "outside", HOST[4], 8080) == OUTSIDE[4]


async def test_loopback_services_are_out_of_reach_of_containers(host: NetnsHost, kernel: LinuxKernel) -> None:
    """``route_localnet`` on a bridge must not open 127.0.0.1 of the host to its containers."""
    client = host.sandbox("client")
    setup = "sysctl -qw net.ipv4.conf.all.route_localnet=1; ip route add 127.0.0.9/32 via 10.1.0.1"
    assert host.run(setup, client).returncode == 0
    assert blocked(host, "client", "127.0.0.9", 99, server="", on=("127.0.0.9", 99))
    assert seen_source(host, "", "127.0.0.9", 99, server="", on=("127.0.0.9", 99)) == "127.0.0.1"


@pytest.mark.parametrize("kind", [4, 6])
@pytest.mark.parametrize("source", ["client", "other"])
async def test_masquerading_follows_the_network(
    host: NetnsHost, kernel: LinuxKernel, source: str, kind: int
) -> None:
    """The neighbour has no route back to containers: only a masqueraded connection gets its answer."""
    if source == "client":
        assert seen_source(host, source, OUTSIDE[kind], 77, server="outside", on=("", 77)) == HOST[kind]
        return
    assert blocked(host, source, OUTSIDE[kind], 77, server="outside", on=("", 77))
    host.run(f"ip route add 10.2.0.0/24 via {HOST[4]}", host.sandbox("outside"))
    host.run(f"ip route add fd00:2::/64 via {HOST[6]}", host.sandbox("outside"))
    own = {4: "10.2.0.4", 6: "fd00:2::4"}[kind]
    assert seen_source(host, source, OUTSIDE[kind], 77, server="outside", on=("", 77)) == own


async def test_withdrawing_unpublishes(host: NetnsHost, kernel: LinuxKernel) -> None:
    before = attached(network(1), 2, host.sandbox("server"), PORTS)
    without = attached(network(1), 2, host.sandbox("server"))
    gone = [s.inverse() for s in before if s not in without.steps]
    assert await kernel.withdraw(Plan(tuple(gone[::-1]))) == []
    for address in (*HOST.values(), "127.0.0.1"):
        assert blocked(host, "outside", address, 8080)
