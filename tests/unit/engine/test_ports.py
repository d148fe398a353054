"""Which host ports containers get."""

import pytest

from fairway.model.address import Address
from fairway.model.container import PortBinding
from fairway.model.errors import Conflict, Fault, InvalidParameter, Unsupported
from fairway.model.network import EndpointRequest
from fairway.model.request import NetworkRequest
from fairway.plan import Element
from unit.engine.world import World


@pytest.fixture(autouse=True)
def port_range(world: World) -> None:
    world.kernel._sysctls["", "net/ipv4/ip_local_port_range"] = "32768\t32770"


def bind(host_port: str = "", host_ip: str = "") -> tuple[PortBinding, ...]:
    return (PortBinding(host_ip=host_ip, host_port=host_port),)


async def elements(world: World) -> set[tuple[str, tuple[str, ...], str]]:
    facts = await world.kernel.facts()
    names = ("publish", "publish_at")
    return {
        (f.table_object, f.key, f.value) for f in facts if isinstance(f, Element) and f.table_object in names
    }


async def test_published_while_running(world: World) -> None:
    await world.run("c1", port_bindings={"80/tcp": bind("8080"), "53/udp": bind("5353", "127.0.0.1")})
    assert await elements(world) == {
        ("publish", ("tcp", "8080"), "172.17.0.2 . 80"),
        ("publish_at", ("127.0.0.1", "udp", "5353"), "172.17.0.2 . 53"),
    }
    await world.engine.containers.stop("c1", 0, "")
    assert await elements(world) == set()
    assert world.engine.containers.find("c1").ports == ()


async def test_automatic_ports_come_from_the_hosts_range(world: World) -> None:
    world.kernel.foreign_ports.add(("tcp", 32768))
    first = await world.run("c1", port_bindings={"80/tcp": bind()})
    second = await world.run("c2", port_bindings={"80/tcp": bind()})
    assert [p.host_port for c in (first, second) for p in c.ports] == [32769, 32770]
    with pytest.raises(Conflict, match=r"Bind for 0\.0\.0\.0:32768 failed"):
        await world.run("c3", port_bindings={"80/tcp": bind()})


@pytest.mark.parametrize(
    ("first", "second", "clash"),
    [
        (bind("80"), bind("80"), True),
        (bind("80"), bind("80", "127.0.0.1"), True),
        (bind("80", "127.0.0.1"), bind("80"), True),
        (bind("80", "127.0.0.1"), bind("80", "127.0.0.2"), False),
        (bind("80"), bind("81"), False),
    ],
)
async def test_conflicts(
    world: World, first: tuple[PortBinding, ...], second: tuple[PortBinding, ...], clash: bool
) -> None:
    await world.run("c1", port_bindings={"80/tcp": first})
    before = await world.kernel.facts()
    if not clash:
        await world.run("c2", port_bindings={"80/tcp": second})
        return
    with pytest.raises(Conflict, match="port is already allocated"):
        await world.run("c2", port_bindings={"80/tcp": second})
    assert await world.kernel.facts() == before
    assert world.engine.containers.find("c2").state.status == "created"
    await world.engine.containers.stop("c1", 0, "")
    await world.engine.containers.start("c2")


async def test_a_listener_of_the_host_is_a_conflict(world: World) -> None:
    world.kernel.foreign_ports.add(("tcp", 8080))
    with pytest.raises(Conflict, match="address already in use"):
        await world.run("c1", port_bindings={"80/tcp": bind("8080")})


async def test_the_network_chooses_the_address(world: World) -> None:
    option = {"com.docker.network.bridge.host_binding_ipv4": "127.0.0.1"}
    await world.engine.networks.create(NetworkRequest(name="local", options=option))
    container = await world.run("c1", "local", port_bindings={"80/tcp": bind("8080")})
    assert [p.host_address for p in container.ports] == [Address("127.0.0.1")]


async def test_ports_follow_the_gateway_and_survive_the_daemon(world: World) -> None:
    await world.engine.networks.create(NetworkRequest(name="aaa"))
    await world.run("c1", port_bindings={"80/tcp": bind("8080")})
    await world.engine.networks.connect("aaa", "c1", EndpointRequest())
    assert await elements(world) == {("publish", ("tcp", "8080"), "172.18.0.2 . 80")}
    await world.engine.networks.disconnect("aaa", "c1", force=False)
    assert await elements(world) == {("publish", ("tcp", "8080"), "172.17.0.2 . 80")}
    await world.restart()
    assert await elements(world) == {("publish", ("tcp", "8080"), "172.17.0.2 . 80")}
    with pytest.raises(Conflict, match="port is already allocated"):
        await world.run("c2", port_bindings={"80/tcp": bind("8080")})


@pytest.mark.parametrize(
    ("port", "binding", "kind", "text"),
    [
        ("80/xyz", bind("80"), InvalidParameter, "invalid port specification: '80/xyz'"),
        ("0/tcp", bind("80"), InvalidParameter, "invalid port specification: '0/tcp'"),
        ("80/tcp", bind("http"), InvalidParameter, "invalid port specification: 'http'"),
        ("80/tcp", bind("90-80"), InvalidParameter, "ports are 1 to 65535"),
        ("80/tcp", bind("80", "nowhere"), InvalidParameter, "'nowhere' is not an IP address"),
        ("80/tcp", bind("80", "::1"), Unsupported, "publishing on the IPv6 address ::1"),
    ],
)
async def test_refusals(
    world: World, port: str, binding: tuple[PortBinding, ...], kind: type[Fault], text: str
) -> None:
    with pytest.raises(kind, match=text):
        await world.run("c1", port_bindings={port: binding})
    assert world.engine.containers.all() == []


@pytest.mark.parametrize("network", ["host", "none", "inner"])
async def test_nothing_is_published_where_nobody_could_come_in(world: World, network: str) -> None:
    await world.engine.networks.create(NetworkRequest(name="inner", internal=True))
    container = await world.run("c1", network, port_bindings={"80/tcp": bind("8080")})
    assert container.ports == ()
    assert await elements(world) == set()
