"""Links on the default bridge: texts, variables, hosts, what they open, and what becomes of them."""

import asyncio

import msgspec
import pytest

from fairway.engine import links
from fairway.engine.files import relinked
from fairway.model.address import Address
from fairway.model.container import Config, Container, HostConfig
from fairway.model.errors import Fault, InvalidParameter, NotFound, System
from fairway.model.network import EndpointRequest
from fairway.model.request import ContainerRequest, NetworkRequest
from fairway.plan import Element
from unit.engine.world import World

EXPOSING = Config(image="busybox", exposed_ports={"80/tcp": {}, "53/udp": {}}, env=("PW=x", "HOME=/root"))


async def run(world: World, name: str, *wanted: str, config: Config = EXPOSING, **host: object) -> Container:
    given = {"network_mode": "bridge", "links": wanted} | host
    request = ContainerRequest(name=name, config=config, host=HostConfig(**given))  # type: ignore[arg-type]
    container, _ = await world.engine.containers.create(request)
    await world.engine.containers.start(container.id)
    return world.engine.containers.find(container.id)


async def close(world: World) -> None:
    """As with ``--icc=false``."""
    network = world.engine.networks.find("bridge")
    options = msgspec.structs.replace(network.bridge, icc=False)  # type: ignore[type-var]
    await world.core.state.commit(msgspec.structs.replace(network, bridge=options))


async def open_ports(world: World) -> set[tuple[str, ...]]:
    found = await world.kernel.facts()
    return {f.key for f in found if isinstance(f, Element) and f.table_object.startswith("linked")}


def hosts(world: World, container: Container) -> list[str]:
    """The lines of links."""
    lines = world.files.texts[container.id, "hosts"].splitlines()
    return [line for line in lines if len(line.split()) > 2 and not line.startswith(("::1", "127."))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("db", ("db", "db")),
        ("db:store", ("db", "store")),
        ("/db", ("db", "db")),
        ("/db:/web/store", ("db", "store")),
    ],
)
def test_what_a_link_may_look_like(text: str, expected: tuple[str, str]) -> None:
    assert links.parse_link(text) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty string specified for links"),
        ("a:b:c", "bad format for links: a:b:c"),
        (":b", "bad format for links: :b"),
        ("a:", "bad format for links: a:"),
        ("a:b c", "bad format for links: a:b c"),
        ("a:b\n", "bad format for links: a:b\n"),
        ("a:b/c", "bad format for links: a:b/c"),
    ],
)
def test_what_it_may_not(text: str, complaint: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        links.parse_link(text)
    assert caught.value.message == complaint


def test_variables_are_dockers() -> None:
    config = Config(
        exposed_ports={port: {} for port in ("8001/tcp", "53/udp", "8000", "80/tcp", "81/tcp", "8002/tcp")},
        env=("PASSWORD=a=b", "HOME=/root", "PATH=/bin", "BARE"),
    )
    assert links.variables("/web/my-db", Address("172.17.0.2"), config) == [
        "MY_DB_NAME=/web/my-db",
        "MY_DB_PORT=udp://172.17.0.2:53",
        *(
            line
            for port, protocol in (
                (80, "tcp"),
                (81, "tcp"),
                (8000, "tcp"),
                (8001, "tcp"),
                (8002, "tcp"),
                (53, "udp"),
            )
            for name in [f"MY_DB_PORT_{port}_{protocol.upper()}"]
            for line in (
                f"{name}={protocol}://172.17.0.2:{port}",
                f"{name}_ADDR=172.17.0.2",
                f"{name}_PORT={port}",
                f"{name}_PROTO={protocol}",
            )
        ),
        "MY_DB_PORT_8000_TCP_START=tcp://172.17.0.2:8000",
        "MY_DB_PORT_8000_TCP_PORT_START=8000",
        "MY_DB_PORT_8000_TCP_END=tcp://172.17.0.2:8002",
        "MY_DB_PORT_8000_TCP_PORT_END=8002",
        "MY_DB_ENV_PASSWORD=a=b",
    ]


def test_one_line_of_hosts_follows() -> None:
    before = "127.0.0.1\tlocalhost\n9.9.9.9\tdb\n1.1.1.1\tdb abc web\n# mine"
    assert relinked(before, "db", "db abc web", ["2.2.2.2", "fd00::2"]) == (
        "127.0.0.1\tlocalhost\n9.9.9.9\tdb\n# mine\n2.2.2.2\tdb abc web\nfd00::2\tdb abc web\n"
    )
    assert relinked(before, "db", "db", ()) == "127.0.0.1\tlocalhost\n9.9.9.9\tdb\n# mine\n"


async def test_a_link_gives_variables_and_a_name(world: World) -> None:
    db = await run(world, "db")
    web = await run(world, "web", "db:store")
    launched = world.runtime.launches[web.id].environment
    assert {"STORE_NAME=/web/store", "STORE_PORT=udp://172.17.0.2:53", "STORE_ENV_PW=x"} <= set(launched)
    assert hosts(world, web) == [f"172.17.0.2\tstore {db.id[:12]} db"]
    assert world.engine.containers.links(web.id) == ["/db:/web/store"]
    assert world.engine.containers.names(db.id) == ["/db", "/web/store"]
    assert world.engine.containers.find("web/store") == world.engine.containers.find("/web/store") == db


async def test_creation_warns_that_docker_means_to_drop_them(world: World) -> None:
    await run(world, "db")
    request = ContainerRequest(name="web", config=EXPOSING, host=HostConfig(links=("db",)))
    _, warnings = await world.engine.containers.create(request)
    assert warnings == [links.WARNING]


async def test_on_a_network_of_ones_own_they_mean_nothing(world: World) -> None:
    await world.engine.networks.create(NetworkRequest(name="own"))
    web = await run(world, "web", "nosuch:db", network_mode="own")
    assert world.engine.containers.links(web.id) == []


@pytest.mark.parametrize(
    ("link", "complaint"),
    [
        ("nosuch:db", "could not get container for nosuch: No such container: nosuch"),
        ("web:me", "could not get container for web: No such container: web"),
        ("a:b:c", "bad format for links: a:b:c"),
        (
            "onhost:db",
            "conflicting options: host type networking can't be used with links. "
            "This would result in undefined behavior",
        ),
    ],
)
async def test_refused_at_creation(world: World, link: str, complaint: str) -> None:
    await run(world, "onhost", network_mode="host")
    with pytest.raises(InvalidParameter) as caught:
        await run(world, "web", link)
    assert caught.value.message == complaint


async def test_the_target_must_run(world: World) -> None:
    await run(world, "db")
    await world.engine.containers.stop("db", 0, "")
    with pytest.raises(System, match=r"^Cannot link to a non running container: /db AS /web/store$"):
        await run(world, "web", "db:store")
    assert not world.engine.containers.find("web").state.running
    await world.engine.containers.remove("db", volumes=False, force=False, link=False)
    with pytest.raises(System, match=r"^Cannot link to a non running container: /db AS /web/store$"):
        await world.engine.containers.start("web")


async def test_the_target_must_be_on_the_default_bridge(world: World) -> None:
    await run(world, "db", network_mode="none")
    with pytest.raises(System, match=r"^cannot link to /db, as it does not belong to the default network$"):
        await run(world, "web", "db:store")


async def test_a_target_in_another_containers_network_means_that_one(world: World) -> None:
    db = await run(world, "db")
    await run(world, "sidecar", network_mode="container:db", config=Config(image="busybox"))
    web = await run(world, "web", "sidecar:s")
    assert hosts(world, web) == [f"172.17.0.2\ts {db.id[:12]} db"]


async def test_targets_that_share_in_a_circle(world: World) -> None:
    """Either may be removed and made anew with the other's network; while one runs, it owns that."""
    bare = Config(image="busybox")
    for name in ("one", "two"):
        await run(world, name, config=bare)
    await world.engine.containers.remove("one", volumes=False, force=True, link=False)
    await run(world, "one", network_mode="container:two", config=bare)
    await world.engine.containers.remove("two", volumes=False, force=True, link=False)
    request = ContainerRequest(name="two", config=bare, host=HostConfig(network_mode="container:one"))
    await world.engine.containers.create(request)
    await run(world, "linker", "two")
    await world.engine.containers.stop("one", 0, "")
    with pytest.raises(InvalidParameter, match="shares its own network"):
        await run(world, "web", "one")


async def test_of_two_links_with_one_alias_the_first_stands(world: World) -> None:
    await run(world, "one")
    await run(world, "two")
    web = await run(world, "web", "one:db", "two:db")
    assert world.engine.containers.links(web.id) == ["/one:/web/db"]


async def test_a_restarted_target_is_found_again(world: World) -> None:
    await close(world)
    db = await run(world, "db")
    web = await run(world, "web", "db:store")
    await world.engine.containers.stop("db", 0, "")
    assert await open_ports(world) == set()
    for name in ("other", "another"):
        await run(world, name)
    await world.engine.containers.start("db")
    address = world.address("db", "bridge").partition("/")[0]
    assert hosts(world, web) == [f"{address}\tstore {db.id[:12]} db"]
    own = world.address("web", "bridge").partition("/")[0]
    assert await open_ports(world) == {(own, address, "tcp", "80"), (own, address, "udp", "53")}


async def test_a_link_opens_what_is_exposed_while_both_are_there(world: World) -> None:
    await close(world)
    await run(world, "db")
    await run(world, "web", "db:store")
    both = {("172.17.0.3", "172.17.0.2", "tcp", "80"), ("172.17.0.3", "172.17.0.2", "udp", "53")}
    assert await open_ports(world) == both
    await world.restart()
    assert await open_ports(world) == both
    await world.engine.networks.disconnect("bridge", "db", False)
    assert await open_ports(world) == set()
    await world.engine.networks.connect("bridge", "db", EndpointRequest())
    assert len(await open_ports(world)) == 2
    await world.engine.containers.stop("web", 0, "")
    assert await open_ports(world) == set()


async def test_with_icc_nothing_needs_to_be_opened(world: World) -> None:
    await run(world, "db")
    await run(world, "web", "db:store")
    assert await open_ports(world) == set()


async def test_a_target_made_anew_is_another_one(world: World) -> None:
    await close(world)
    await run(world, "db")
    web = await run(world, "web", "db:store")
    await world.engine.containers.remove("db", volumes=False, force=True, link=False)
    await run(world, "db")
    assert hosts(world, web) == []
    assert await open_ports(world) == set()
    assert world.engine.containers.names(world.engine.containers.find("db").id) == ["/db"]
    assert world.engine.containers.links(web.id) == ["/db:/web/store"]


async def test_links_can_be_removed(world: World) -> None:
    await close(world)
    db = await run(world, "db")
    web = await run(world, "web", "db:store", "db:spare")
    await world.engine.containers.remove("/web/store", volumes=False, force=False, link=True)
    assert hosts(world, web) == [f"172.17.0.2\tspare {db.id[:12]} db"]
    assert len(await open_ports(world)) == 2
    await world.engine.containers.remove("web/spare", volumes=False, force=False, link=True)
    assert hosts(world, web) == []
    assert await open_ports(world) == set()
    assert world.engine.containers.names(db.id) == ["/db"]
    with pytest.raises(NotFound, match="No such container: web/spare"):
        await world.engine.containers.remove("web/spare", volumes=False, force=False, link=True)
    with pytest.raises(System, match="Conflict, cannot remove the default link name of the container"):
        await world.engine.containers.remove("web", volumes=False, force=False, link=True)


async def test_renamed_containers_keep_their_links(world: World) -> None:
    db = await run(world, "db")
    web = await run(world, "web", "db:store")
    await world.engine.containers.rename("db", "data")
    await world.engine.containers.rename("web", "front")
    assert world.engine.containers.links(web.id) == ["/data:/front/store"]
    assert world.engine.containers.names(db.id) == ["/data", "/front/store"]


async def test_two_that_come_and_go_at_once_leave_nothing_open(world: World) -> None:
    await close(world)
    await run(world, "db")
    await run(world, "web", "db:store")

    async def again(name: str) -> None:
        for _ in range(5):
            for verb in (world.engine.containers.stop(name, 0, ""), world.engine.containers.start(name)):
                try:
                    await verb
                except Fault:
                    await asyncio.sleep(0)

    await asyncio.gather(again("db"), again("web"))
    for name in ("web", "db"):
        if world.engine.containers.find(name).state.running:
            await world.engine.containers.stop(name, 0, "")
    assert await open_ports(world) == set()
