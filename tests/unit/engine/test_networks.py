"""The verbs of networks, on the evaluating kernel."""

import asyncio

import pytest

from fairway.model.address import Address, Cidr
from fairway.model.errors import Conflict, Fault, Forbidden, InvalidParameter, NotFound, System
from fairway.model.network import EndpointRequest
from fairway.model.request import NetworkRequest, PoolRequest, PruneFilter
from fairway.plan import Bridge, Element, Resolver, Route, Step, Veth
from unit.engine.world import OBJECTS, World


async def make(world: World, name: str, **options: object) -> str:
    network, _ = await world.engine.networks.create(NetworkRequest(name=name, **options))  # type: ignore[arg-type]
    return network.id


async def bridges(world: World) -> set[str]:
    return {f.name for f in await world.kernel.facts() if isinstance(f, Bridge)}


async def test_three_networks_exist_from_the_start(world: World) -> None:
    assert [(n.name, n.driver) for n in world.engine.networks.all()] == [
        ("bridge", "bridge"),
        ("host", "host"),
        ("none", "null"),
    ]
    bridge = world.engine.networks.find("bridge")
    assert bridge.pools[0].subnet == "172.17.0.0/16"
    assert await bridges(world) == {"docker0"}


async def test_docker0_of_another_program_is_left_alone() -> None:
    from fairway.kernel.fake import FakeKernel

    kernel = FakeKernel(foreign={"docker0": [Cidr("172.17.0.1/16")]}, objects=OBJECTS)
    world = World(kernel=kernel)
    await world.engine.start()
    assert await bridges(world) == {"fairway0"}
    assert world.engine.networks.find("bridge").pools[0].subnet == "172.18.0.0/16"
    assert await world.engine.system.warnings() == [
        "docker0 belongs to another program; the default bridge is fairway0"
    ]
    await world.engine.close()


async def test_create_and_remove_leave_the_kernel_as_it_was(world: World) -> None:
    before = await world.kernel.facts()
    web = await make(world, "web")
    assert f"br-{web[:12]}" in await bridges(world)
    assert world.engine.networks.find("web").pools[0].gateway == "172.18.0.1"
    await world.engine.networks.remove("web")
    assert await world.kernel.facts() == before
    with pytest.raises(NotFound, match="network web not found"):
        world.engine.networks.find("web")
    again = await make(world, "web")
    assert world.engine.networks.find(again).pools[0].subnet == "172.18.0.0/16"


async def test_a_failure_of_the_kernel_leaves_nothing(world: World) -> None:
    before = await world.kernel.facts()

    def fail(step: Step) -> Fault | None:
        return System("no space") if isinstance(step.fact, Element) and step.present else None

    world.kernel.fail = fail
    with pytest.raises(System, match="no space"):
        await make(world, "web")
    world.kernel.fail = None
    assert await world.kernel.facts() == before
    await make(world, "web")


@pytest.mark.parametrize(
    ("request_", "kind", "text"),
    [
        ({"name": "bridge"}, Conflict, "network with name bridge already exists"),
        ({"name": "h", "driver": "host"}, Forbidden, 'only one instance of "host" network is allowed'),
        ({"name": "n", "driver": "null"}, Forbidden, 'only one instance of "null" network is allowed'),
        ({"name": "x", "driver": "nosuch"}, NotFound, 'plugin "nosuch" not found'),
        ({"name": "x", "ipam_driver": "nosuch"}, NotFound, 'plugin "nosuch" not found'),
        ({"name": ""}, InvalidParameter, "name is empty"),
        ({"name": "a/b"}, InvalidParameter, "invalid network name 'a/b'"),
        ({"name": "x", "options": {"a.b": "c"}}, InvalidParameter, "unknown driver option 'a.b'"),
        ({"name": "x", "ipv4": False}, InvalidParameter, "IPv4 or IPv6 must be enabled"),
        ({"name": "x", "config_from": "nosuch"}, NotFound, "configuration network 'nosuch' not found"),
    ],
)
async def test_refusals(world: World, request_: dict[str, object], kind: type[Fault], text: str) -> None:
    before = await world.kernel.facts()
    with pytest.raises(kind, match=text):
        await world.engine.networks.create(NetworkRequest(**request_))  # type: ignore[arg-type]
    assert await world.kernel.facts() == before


async def test_predefined_networks_stay(world: World) -> None:
    with pytest.raises(Forbidden, match="bridge is a pre-defined network and cannot be removed"):
        await world.engine.networks.remove("bridge")
    assert await world.engine.networks.prune(PruneFilter()) == []


async def test_configuration_networks_hold_settings_for_others(world: World) -> None:
    await make(
        world, "conf", config_only=True, pools=(PoolRequest(subnet=Cidr("10.9.0.0/24")),), labels={"a": "b"}
    )
    await make(world, "user", config_from="conf")
    network = world.engine.networks.find("user")
    assert (network.pools[0].subnet, network.labels, network.config_from) == (
        "10.9.0.0/24",
        {"a": "b"},
        "conf",
    )
    with pytest.raises(Forbidden, match="configuration network 'conf' is in use by user"):
        await world.engine.networks.remove("conf")
    with pytest.raises(InvalidParameter, match="cannot be used by containers"):
        await world.run("c1", "conf")


async def test_networks_share_no_bridge_name(world: World) -> None:
    options = {"com.docker.network.bridge.name": "mine"}
    await make(world, "one", options=options)
    with pytest.raises(Forbidden, match="networks have same bridge name mine"):
        await make(world, "two", options=options)


async def test_isolation_and_joining(world: World) -> None:
    """The walk of scenario S07, answered by the evaluating kernel."""
    await make(world, "web")
    await make(world, "app")
    await world.run("web_container", "web")
    await world.run("app_container", "app")
    target = world.address("app_container", "app").partition("/")[0]
    sandbox = world.engine.containers.sandbox(world.engine.containers.find("web_container").id)
    assert sandbox
    assert not world.kernel.reaches(sandbox.key, Address(target)).arrives
    await world.engine.networks.connect("app", "web_container", EndpointRequest())
    assert world.kernel.reaches(sandbox.key, Address(target)).arrives
    assert world.names("app")["web_container"] == ("172.19.0.3",)
    assert "app_container" not in world.names("web")
    hosts = world.engine.containers.find("web_container").id, "hosts"
    assert "172.19.0.3\t" in world.files.texts[hosts]
    await world.engine.networks.disconnect("app", "web_container", force=False)
    assert "172.19.0.3\t" not in world.files.texts[hosts]
    assert "172.18.0.2\t" in world.files.texts[hosts]
    assert not world.kernel.reaches(sandbox.key, Address(target)).arrives
    assert "web_container" not in world.names("app")


async def test_connect_chooses_interface_and_gateway(world: World) -> None:
    await make(world, "web")
    await make(world, "app")
    container = await world.run("c1", "web")
    await world.engine.networks.connect("app", "c1", EndpointRequest(gw_priority=5))
    sandbox = world.engine.containers.sandbox(container.id)
    assert sandbox
    facts = await world.kernel.facts()
    assert {f.peer for f in facts if isinstance(f, Veth)} == {"eth0", "eth1"}
    routes = [f for f in facts if isinstance(f, Route)]
    assert [(r.gateway, r.link) for r in routes] == [("172.19.0.1", "eth1")]
    await world.engine.networks.disconnect("app", "c1", force=False)
    routes = [f for f in await world.kernel.facts() if isinstance(f, Route)]
    assert [(r.gateway, r.link) for r in routes] == [("172.18.0.1", "eth0")]


async def test_the_default_bridge_has_no_resolver_until_a_network_is_joined(world: World) -> None:
    container = await world.run("c1")
    assert not any(isinstance(f, Resolver) for f in await world.kernel.facts())
    assert "nameserver 9.9.9.9" in world.files.texts[container.id, "resolv.conf"]
    await make(world, "web")
    await world.engine.networks.connect("web", "c1", EndpointRequest(aliases=("db",)))
    assert any(isinstance(f, Resolver) for f in await world.kernel.facts())
    assert "nameserver 127.0.0.11" in world.files.texts[container.id, "resolv.conf"]
    assert set(world.names("web")) == {"c1", "db", container.id[:12]}


@pytest.mark.parametrize(
    ("network", "request_", "kind", "text"),
    [
        ("nosuch", EndpointRequest(), NotFound, "network nosuch not found"),
        ("bridge", EndpointRequest(), Forbidden, "endpoint with name c1 already exists in network bridge"),
        ("host", EndpointRequest(), Forbidden, "host network"),
        ("none", EndpointRequest(), Forbidden, "private"),
        ("auto", EndpointRequest(ipv4=Address("172.18.0.9")), InvalidParameter, "user configured subnets"),
        (
            "fixed",
            EndpointRequest(ipv4=Address("10.8.0.9")),
            InvalidParameter,
            "no configured subnet contains",
        ),
        ("fixed", EndpointRequest(ipv4=Address("10.7.0.1")), Conflict, "Address already in use"),
    ],
)
async def test_connect_refusals_change_nothing(
    world: World, network: str, request_: EndpointRequest, kind: type[Fault], text: str
) -> None:
    await make(world, "auto")
    await make(world, "fixed", pools=(PoolRequest(subnet=Cidr("10.7.0.0/24")),))
    container = await world.run("c1")
    before = await world.kernel.facts()
    with pytest.raises(kind, match=text):
        await world.engine.networks.connect(network, "c1", request_)
    assert await world.kernel.facts() == before
    assert [n.name for n, _ in world.engine.containers.endpoints(container.id)] == ["bridge"]


async def test_a_failed_connect_gives_everything_back(world: World) -> None:
    await make(world, "fixed", pools=(PoolRequest(subnet=Cidr("10.7.0.0/24")),))
    await world.run("c1")
    before = await world.kernel.facts()
    world.kernel.fail = lambda step: System("veth") if isinstance(step.fact, Veth) and step.present else None
    with pytest.raises(System, match="veth"):
        await world.engine.networks.connect("fixed", "c1", EndpointRequest(ipv4=Address("10.7.0.5")))
    world.kernel.fail = None
    assert await world.kernel.facts() == before
    await world.engine.networks.connect("fixed", "c1", EndpointRequest(ipv4=Address("10.7.0.5")))
    assert world.address("c1", "fixed") == "10.7.0.5/24"


async def test_stopped_containers_are_attached_at_their_next_start(world: World) -> None:
    await make(world, "web")
    await world.run("c1")
    await world.engine.containers.stop("c1", 0, "")
    await world.engine.networks.connect("web", "c1", EndpointRequest())
    assert world.address("c1", "web") == ""
    await world.engine.containers.start("c1")
    assert world.address("c1", "web") == "172.18.0.2/16"
    await world.engine.containers.stop("c1", 0, "")
    await world.engine.networks.disconnect("web", "c1", force=False)
    with pytest.raises(Forbidden, match="is not connected to network web"):
        await world.engine.networks.disconnect("web", "c1", force=False)


async def test_networks_in_use_are_not_removed(world: World) -> None:
    await make(world, "web")
    await world.run("c1", "web")
    with pytest.raises(Forbidden, match=r'network web has active endpoints \(name:"c1" id:"[0-9a-f]{12}"\)'):
        await world.engine.networks.remove("web")
    assert await world.engine.networks.prune(PruneFilter()) == []
    await world.engine.containers.stop("c1", 0, "")
    assert await world.engine.networks.prune(PruneFilter()) == ["web"]
    with pytest.raises(NotFound, match=r"network .* not found"):
        await world.engine.containers.start("c1")


async def test_parallel_creations_share_nothing(world: World) -> None:
    ids = await asyncio.gather(*(make(world, f"n{i}") for i in range(20)))
    subnets = {world.engine.networks.find(i).pools[0].subnet for i in ids}
    assert len(subnets) == 20


async def test_only_one_of_equal_names_wins(world: World) -> None:
    results = await asyncio.gather(*(make(world, "same") for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(r, str) for r in results) == 1
    assert all(isinstance(r, str | Conflict) for r in results)


async def test_links_are_private_names(world: World) -> None:
    await make(world, "web")
    await world.run("db", "web")
    client = await world.run("client", "web", EndpointRequest(links=("db:store",)))
    zone = world.resolver.zones[client.sandbox]
    assert zone.names == {"store": ("172.18.0.2",), "store.web": ("172.18.0.2",)}
    await world.engine.containers.stop("db", 0, "")
    assert world.resolver.zones[client.sandbox].names == {}
    await world.engine.containers.start("db")
    assert world.resolver.zones[client.sandbox].names["store"] == ("172.18.0.2",)
