"""Published ports and masquerading, with real connections from everywhere that can make one."""

import socket
import threading
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from fairway.drivers import find
from fairway.drivers.bridge import endpoint_mac
from fairway.drivers.routes import outward
from fairway.kernel.linux import LinuxKernel
from fairway.kernel.namespaces import Namespaces
from fairway.model.address import Address, Cidr
from fairway.model.network import BridgeOptions, Endpoint, Network, Pool, PortMapping
from fairway.plan import Namespace, Plan, establish
from netns_host import NetnsHost

pytestmark = pytest.mark.root
HOST_IP, OUTSIDE_IP = "192.0.2.1", "192.0.2.9"
PORTS = (
    PortMapping(container_port=80, host_port=8080),
    PortMapping(container_port=80, host_port=9090, host_address=Address("127.0.0.1")),
)


def network(number: int, *, masquerade: bool = True) -> Network:
    return Network(
        id=f"{number:x}" * 64,
        name=f"net{number}",
        driver="bridge",
        created=0,
        pools=(Pool(subnet=Cidr(f"10.{number}.0.0/24"), gateway=Address(f"10.{number}.0.1")),),
        bridge=BridgeOptions(bridge=f"br-{number}", masquerade=masquerade),
    )


def attached(net: Network, number: int, sandbox: str, ports: tuple[PortMapping, ...] = ()) -> Plan:
    prefix = net.pools[0].subnet.removesuffix(".0/24")
    endpoint = Endpoint(
        id=f"{number:x}" * 64,
        network_id=net.id,
        container_id="c" * 64,
        addresses=(Cidr(f"{prefix}.{number}/24"),),
        gateways=(Address(f"{prefix}.1"),),
        interface="eth0",
        host_interface=f"veth{net.name}{number}",
    )
    endpoint = Endpoint(
        **{f: getattr(endpoint, f) for f in endpoint.__struct_fields__} | {"mac": endpoint_mac(endpoint)}
    )
    facts = find("bridge").endpoint(net, endpoint, sandbox)
    return establish([Namespace(sandbox), *facts, *outward([(net, endpoint)], ports, sandbox)])


@pytest_asyncio.fixture
async def kernel(host: NetnsHost) -> AsyncIterator[LinuxKernel]:
    """A host with an outside neighbour, a server with published ports, and clients on two networks."""
    made = host.kernel()
    await made.install()
    web, app = network(1), network(2, masquerade=False)
    await made.apply(
        establish(
            [*find("bridge").network(web), *find("bridge").network(app), Namespace(host.sandbox("outside"))]
        )
        + attached(web, 2, host.sandbox("server"), PORTS)
        + attached(web, 3, host.sandbox("client"))
        + attached(app, 4, host.sandbox("other"))
    )
    host.run(f"ip link add up0 type veth peer name up1 netns {host.sandbox('outside')}")
    for command, where in (
        (f"ip addr add {HOST_IP}/24 dev up0; ip link set up0 up; ip link set lo up", ""),
        (f"ip addr add {OUTSIDE_IP}/24 dev up1; ip link set up1 up", host.sandbox("outside")),
    ):
        assert host.run(command, where).returncode == 0
    try:
        yield made
    finally:
        await made.close()


def tcp(host: NetnsHost, where: str) -> socket.socket:
    """A TCP socket that belongs to the namespace of a sandbox, or of the host (``""``), for ever."""
    made: list[socket.socket] = []

    def make() -> None:
        namespaces = Namespaces(None)
        try:
            with namespaces.inside(host.sandbox(where) if where else host.file):
                made.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        finally:
            namespaces.close()

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    made[0].settimeout(1)
    return made[0]


def seen_source(
    host: NetnsHost,
    source: str,
    address: str,
    port: int,
    *,
    server: str = "server",
    on: tuple[str, int] = ("", 80),
) -> str | None:
    """The client address that a server sees, None when nothing gets through."""
    with tcp(host, server) as listening, tcp(host, source) as client:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(on)
        listening.listen()
        try:
            client.connect((address, port))
            with listening.accept()[0] as accepted:
                return str(accepted.getpeername()[0])
        except OSError:
            return None


@pytest.mark.parametrize(
    ("source", "address", "port", "expected"),
    [
        ("outside", HOST_IP, 8080, OUTSIDE_IP),
        ("", HOST_IP, 8080, HOST_IP),
        ("", "127.0.0.1", 8080, "10.1.0.1"),
        ("", "127.0.0.1", 9090, "10.1.0.1"),
        ("other", HOST_IP, 8080, "10.2.0.4"),
        ("client", "10.1.0.2", 80, "10.1.0.3"),
        ("outside", HOST_IP, 9090, None),
        ("outside", HOST_IP, 80, None),
        ("other", "10.1.0.2", 80, None),
        ("", HOST_IP, 8081, None),
    ],
    ids=str,
)
async def test_who_reaches_a_published_port_and_as_whom(
    host: NetnsHost, kernel: LinuxKernel, source: str, address: str, port: int, expected: str | None
) -> None:
    assert seen_source(host, source, address, port) == expected


async def test_neighbours_reach_the_published_port(host: NetnsHost, kernel: LinuxKernel) -> None:
    """On one bridge the client keeps its address where br_netfilter brings the answer back."""
    assert seen_source(host, "client", HOST_IP, 8080) in ("10.1.0.1", "10.1.0.3")


async def test_direct_routing_to_an_unpublished_port_is_dropped(host: NetnsHost, kernel: LinuxKernel) -> None:
    outside = host.sandbox("outside")
    assert host.run(f"ip route add 10.1.0.0/24 via {HOST_IP}", outside).returncode == 0
    assert seen_source(host, "outside", "10.1.0.2", 80) is None


async def test_loopback_services_are_out_of_reach_of_containers(host: NetnsHost, kernel: LinuxKernel) -> None:
    """``route_localnet`` on a bridge must not open 127.0.0.1 of the host to its containers."""
    client = host.sandbox("client")
    setup = "sysctl -qw net.ipv4.conf.all.route_localnet=1; ip route add 127.0.0.9/32 via 10.1.0.1"
    assert host.run(setup, client).returncode == 0
    assert seen_source(host, "client", "127.0.0.9", 99, server="", on=("127.0.0.9", 99)) is None
    assert seen_source(host, "", "127.0.0.9", 99, server="", on=("127.0.0.9", 99)) == "127.0.0.1"


@pytest.mark.parametrize(("source", "expected"), [("client", HOST_IP), ("other", None)])
async def test_masquerading_follows_the_network(
    host: NetnsHost, kernel: LinuxKernel, source: str, expected: str | None
) -> None:
    """The neighbour has no route back to containers: only a masqueraded connection gets its answer."""
    assert seen_source(host, source, OUTSIDE_IP, 77, server="outside", on=("", 77)) == expected


async def test_withdrawing_unpublishes(host: NetnsHost, kernel: LinuxKernel) -> None:
    before = attached(network(1), 2, host.sandbox("server"), PORTS)
    without = attached(network(1), 2, host.sandbox("server"))
    gone = [s.inverse() for s in before if s not in without.steps]
    assert await kernel.withdraw(Plan(tuple(gone))) == []
    assert seen_source(host, "outside", HOST_IP, 8080) is None
