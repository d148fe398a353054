"""Which host ports containers get."""

import msgspec
import pytest

from fairway.engine.bindings import Binding
from fairway.model.address import Address
from fairway.model.container import Config, Container, HostConfig, PortBinding
from fairway.model.errors import Conflict, Fault, InvalidParameter, System
from fairway.model.network import EndpointRequest
from fairway.model.request import ContainerRequest, NetworkRequest
from fairway.plan import Element, HeldPort
from unit.engine.world import World

EVERYWHERE = ("0.0.0.0", "::")


@pytest.fixture(autouse=True)
def host(world: World) -> None:
    """A host with IPv6 and three ephemeral ports."""
    world.kernel._sysctls["", "net/ipv4/ip_local_port_range"] = "32768\t32770"
    world.kernel._sysctls["", "net/ipv6/conf/all/disable_ipv6"] = "0"


def bind(host_port: str = "", host_ip: str = "") -> tuple[PortBinding, ...]:
    return (PortBinding(host_ip=host_ip, host_port=host_port),)


def shown(container: Container) -> list[tuple[str, int]]:
    return [(p.host_address, p.host_port) for p in container.ports]


async def elements(world: World) -> set[tuple[str, tuple[str, ...], str]]:
    """What leads to containers, by IPv4."""
    facts = await world.kernel.facts()
    names = ("publish", "publish_at")
    return {
        (f.table_object, f.key, f.value) for f in facts if isinstance(f, Element) and f.table_object in names
    }


async def held(world: World) -> set[tuple[str, int]]:
    return {(f.address, f.port) for f in await world.kernel.facts() if isinstance(f, HeldPort)}


async def test_published_while_running(world: World) -> None:
    await world.run("c1", port_bindings={"80/tcp": bind("8080"), "53/udp": bind("5353", "127.0.0.1")})
    assert await elements(world) == {
        ("publish", ("tcp", "8080"), "172.17.0.2 . 80"),
        ("publish_at", ("127.0.0.1", "udp", "5353"), "172.17.0.2 . 53"),
    }
    assert await held(world) == {("", 8080), ("127.0.0.1", 5353)}
    await world.engine.containers.stop("c1", 0, "")
    assert await elements(world) == set()
    assert await held(world) == set()
    assert world.engine.containers.find("c1").ports == ()


@pytest.mark.parametrize(
    ("asked", "addresses"),
    [
        ("", EVERYWHERE),
        ("0.0.0.0", ("0.0.0.0",)),
        ("::", ("::",)),
        ("127.0.0.1", ("127.0.0.1",)),
        ("::1", ("::1",)),
        ("2001:DB8::1", ("2001:db8::1",)),
    ],
)
async def test_addresses(world: World, asked: str, addresses: tuple[str, ...]) -> None:
    container = await world.run("c1", port_bindings={"80/tcp": bind("8080", asked)})
    assert shown(container) == [(address, 8080) for address in addresses]


@pytest.mark.parametrize("value", ["1", None])
async def test_a_host_without_ipv6(world: World, value: str | None) -> None:
    del world.kernel._sysctls["", "net/ipv6/conf/all/disable_ipv6"]
    if value:
        world.kernel._sysctls["", "net/ipv6/conf/all/disable_ipv6"] = value
    container = await world.run("c1", port_bindings={"80/tcp": bind("8080")})
    assert shown(container) == [("0.0.0.0", 8080)]


@pytest.mark.parametrize(
    ("daemons", "networks", "addresses"),
    [
        ("192.0.2.7", "", ("192.0.2.7",)),
        ("192.0.2.7", "127.0.0.1", ("127.0.0.1",)),
        ("", "127.0.0.1", ("127.0.0.1",)),
        ("0.0.0.0", "", EVERYWHERE),
        ("::", "", ("::",)),
        ("", "0.0.0.0", EVERYWHERE),
    ],
)
async def test_the_network_chooses_the_address_or_the_daemon(
    world: World, daemons: str, networks: str, addresses: tuple[str, ...]
) -> None:
    if daemons:
        settings = msgspec.structs.replace(world.core.settings, host_address=Address(daemons))
        object.__setattr__(world.core, "settings", settings)
    option = {"com.docker.network.bridge.host_binding_ipv4": networks} if networks else {}
    await world.engine.networks.create(NetworkRequest(name="local", options=option))
    container = await world.run("c1", "local", port_bindings={"80/tcp": bind("8080")})
    assert shown(container) == [(address, 8080) for address in addresses]
    container = await world.run("c2", "local", port_bindings={"80/tcp": bind("8081", "127.0.0.9")})
    assert shown(container) == [("127.0.0.9", 8081)]


async def test_automatic_ports_come_from_the_hosts_range(world: World) -> None:
    world.kernel.foreign_ports.add(("tcp", 32768))
    first = await world.run("c1", port_bindings={"80/tcp": bind()})
    second = await world.run("c2", port_bindings={"80/tcp": bind()})
    assert shown(first) == [(a, 32769) for a in EVERYWHERE]
    assert shown(second) == [(a, 32770) for a in EVERYWHERE]
    with pytest.raises(System, match="all ports are allocated"):
        await world.run("c3", port_bindings={"80/tcp": bind()})
    udp = await world.run("c4", port_bindings={"80/udp": bind()})
    assert [number for _, number in shown(udp)] == [32768, 32768]


async def test_an_automatic_port_that_has_just_become_free_waits(world: World) -> None:
    await world.run("c1", port_bindings={"80/tcp": bind()})
    await world.engine.containers.stop("c1", 0, "")
    second = await world.run("c2", port_bindings={"80/tcp": bind()})
    assert second.ports[0].host_port == 32769


async def test_several_automatic_ports_and_explicit_ones_first(world: World) -> None:
    bindings = {"80/tcp": (*bind(), *bind("32768")), "81/tcp": bind(), "82/tcp": bind("8000-8001")}
    container = await world.run("c1", port_bindings=bindings)
    assert [(p.container_port, p.host_port) for p in container.ports[::2]] == [
        (80, 32769),
        (80, 32768),
        (81, 32770),
        (82, 8000),
    ]
    second = await world.run("c2", port_bindings={"82/tcp": bind("8000-8001")})
    assert second.ports[0].host_port == 8001
    with pytest.raises(System, match="all ports are allocated"):
        await world.run("c3", port_bindings={"82/tcp": bind("8000-8001")})


async def test_publish_all(world: World) -> None:
    exposed: dict[str, dict[str, object]] = {"80/tcp": {}, "53/udp": {}, "90": {}}
    config = Config(image="busybox", exposed_ports=exposed)
    wanted = HostConfig(publish_all_ports=True, port_bindings={"80/tcp": bind("8080")})
    await world.engine.containers.create(ContainerRequest(name="c1", config=config, host=wanted))
    await world.engine.containers.start("c1")
    ports = world.engine.containers.find("c1").ports
    assert [(p.protocol, p.container_port, p.host_port) for p in ports[::2]] == [
        ("tcp", 80, 8080),
        ("udp", 53, 32768),
        ("tcp", 90, 32768),
    ]


async def test_an_automatic_port_lost_in_a_race_gives_way(world: World) -> None:
    free = world.kernel.ports_free

    async def just_before(ports: list[tuple[str, Address, int]]) -> list[bool]:
        answer = list(await free(ports))
        world.kernel.foreign_ports.add(("tcp", 32768))
        return answer

    world.kernel.ports_free = just_before  # type: ignore[method-assign, assignment]
    bindings = {"80/tcp": bind(), "81/tcp": bind("8080")}
    container = await world.run("c1", port_bindings=bindings)
    assert [p.host_port for p in container.ports[::2]] == [32769, 8080]
    assert await held(world) == {("", 32769), ("", 8080)}
    await world.engine.containers.stop("c1", 0, "")
    assert not world.core_ports._held


@pytest.mark.parametrize(
    ("first", "second", "clash"),
    [
        (bind("80"), bind("80"), "0.0.0.0:80"),
        (bind("80"), bind("80", "127.0.0.1"), "127.0.0.1:80"),
        (bind("80", "127.0.0.1"), bind("80"), "0.0.0.0:80"),
        (bind("80", "::1"), bind("80"), "[::]:80"),
        (bind("80"), bind("80", "::1"), "[::1]:80"),
        (bind("80", "127.0.0.1"), bind("80", "127.0.0.2"), ""),
        (bind("80", "127.0.0.1"), bind("80", "::1"), ""),
        (bind("80", "0.0.0.0"), bind("80", "::"), ""),
        (bind("80", "0.0.0.0"), bind("80", "::1"), ""),
        (bind("80"), bind("81"), ""),
    ],
)
async def test_conflicts(
    world: World, first: tuple[PortBinding, ...], second: tuple[PortBinding, ...], clash: str
) -> None:
    await world.run("c1", port_bindings={"80/tcp": first})
    before = await world.kernel.facts()
    if not clash:
        await world.run("c2", port_bindings={"80/tcp": second})
        return
    with pytest.raises(System) as refused:
        await world.run("c2", port_bindings={"80/tcp": second})
    text = str(refused.value)
    assert text.endswith(f"): Bind for {clash} failed: port is already allocated")
    assert text.startswith(
        "failed to set up container networking: driver failed programming external connectivity on "
        "endpoint c2 ("
    )
    assert await world.kernel.facts() == before
    assert world.engine.containers.find("c2").state.status == "created"
    await world.engine.containers.stop("c1", 0, "")
    await world.engine.containers.start("c2")


async def test_a_port_twice_in_one_container(world: World) -> None:
    with pytest.raises(System, match="port is already allocated"):
        await world.run("c1", port_bindings={"80/tcp": bind("8080"), "81/tcp": bind("8080")})
    assert not world.core_ports._held
    await world.run("c2", port_bindings={"80/tcp": bind("8080")})


async def test_a_listener_of_the_host_is_a_conflict(world: World) -> None:
    world.kernel.foreign_ports.add(("tcp", 8080))
    before = await world.kernel.facts()
    with pytest.raises(System, match=r"failed to bind host port .*:8080/tcp: address already in use"):
        await world.run("c1", port_bindings={"80/tcp": bind("8080")})
    assert world.engine.containers.find("c1").state.status == "created"
    assert await world.kernel.facts() == before
    assert not world.core_ports._held
    world.kernel.foreign_ports.clear()
    await world.engine.containers.start("c1")


async def test_ports_follow_the_gateway_and_survive_the_daemon(world: World) -> None:
    await world.engine.networks.create(NetworkRequest(name="aaa"))
    await world.run("c1", port_bindings={"80/tcp": bind("8080")})
    await world.engine.networks.connect("aaa", "c1", EndpointRequest())
    assert await elements(world) == {("publish", ("tcp", "8080"), "172.18.0.2 . 80")}
    await world.engine.networks.disconnect("aaa", "c1", force=False)
    assert await elements(world) == {("publish", ("tcp", "8080"), "172.17.0.2 . 80")}
    await world.restart()
    assert await elements(world) == {("publish", ("tcp", "8080"), "172.17.0.2 . 80")}
    with pytest.raises(System, match="port is already allocated"):
        await world.run("c2", port_bindings={"80/tcp": bind("8080")})


async def test_ports_come_and_go_with_the_way_in(world: World) -> None:
    await world.engine.networks.create(NetworkRequest(name="inner", internal=True))
    await world.engine.networks.create(NetworkRequest(name="outer"))
    container = await world.run("c1", "inner", port_bindings={"80/tcp": bind("8080")})
    assert container.ports == ()
    await world.engine.networks.connect("outer", "c1", EndpointRequest())
    assert shown(world.engine.containers.find("c1")) == [(a, 8080) for a in EVERYWHERE]
    assert await held(world) == {("", 8080)}
    await world.engine.networks.disconnect("outer", "c1", force=False)
    assert world.engine.containers.find("c1").ports == ()
    assert await held(world) == set()
    await world.run("c2", port_bindings={"80/tcp": bind("8080")})
    before = await world.kernel.facts()
    with pytest.raises(System, match="port is already allocated"):
        await world.engine.networks.connect("outer", "c1", EndpointRequest())
    assert await world.kernel.facts() == before
    assert world.address("c1", "inner")
    world.kernel.foreign_ports.add(("tcp", 8081))
    await world.run("c3", "inner", port_bindings={"80/tcp": bind("8081")})
    with pytest.raises(System, match="address already in use"):
        await world.engine.networks.connect("outer", "c3", EndpointRequest())
    assert ("tcp", 8081) not in world.core_ports._held


async def test_a_network_with_ipv6_alone_is_a_way_in(world: World) -> None:
    await world.engine.networks.create(NetworkRequest(name="six", ipv4=False, ipv6=True))
    container = await world.run("c1", "six", port_bindings={"80/tcp": bind("8080")})
    assert shown(container) == [(a, 8080) for a in EVERYWHERE]


@pytest.mark.parametrize(
    ("port", "binding", "kind", "text"),
    [
        ("80/xyz", bind("80"), InvalidParameter, "invalid port specification: '80/xyz'"),
        ("0/tcp", bind("80"), InvalidParameter, "invalid port specification: '0/tcp'"),
        ("80/tcp", bind("http"), InvalidParameter, "invalid port specification: 'http'"),
        ("80/tcp", bind("90-80"), InvalidParameter, "ports are 1 to 65535"),
        ("80/tcp", bind("80", "nowhere"), InvalidParameter, "'nowhere' is not an IP address"),
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
    assert await held(world) == set()


async def test_a_choice_is_all_or_nothing(world: World) -> None:
    await world.run("c1", port_bindings={"80/tcp": bind("8085")})
    before = {place: dict(holders) for place, holders in world.core_ports._held.items()}
    many = {f"{n}/tcp": bind(str(n)) for n in range(8080, 8090)}
    with pytest.raises(System, match="8085"):
        await world.run("c2", port_bindings=many)
    assert world.core_ports._held == before


async def test_what_is_kept_and_what_is_released(world: World) -> None:
    """The book, asked as a change of a running container's ports asks it."""
    ports = world.core_ports

    def binding(inside: int, number: int = 0) -> Binding:
        return Binding("tcp", inside, (Address("0.0.0.0"),), number, number)

    old = await ports.choose("c1", [binding(80), binding(80), binding(81, 8081)])
    assert [p.host_port for p in old] == [32768, 32769, 8081]
    new = await ports.choose("c1", [binding(82, 8081), binding(80), binding(80)], old)
    assert [(p.container_port, p.host_port) for p in new] == [(82, 8081), (80, 32768), (80, 32769)]
    ports.release("c1", old, new)
    assert set(ports._held) == {("tcp", 8081), ("tcp", 32768), ("tcp", 32769)}
    with pytest.raises(Conflict, match=r"Bind for 0\.0\.0\.0:8081 failed: port is already allocated"):
        await ports.choose("c2", [binding(80), binding(80, 8081)])
    assert set(ports._held) == {("tcp", 8081), ("tcp", 32768), ("tcp", 32769)}
    ports.release("c2", new)
    assert set(ports._held) == {("tcp", 8081), ("tcp", 32768), ("tcp", 32769)}
    ports.release("c1", new)
    assert not ports._held
