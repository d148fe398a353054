"""``--network container:``: a sandbox lives as long as anybody runs in it."""

import pytest

from fairway.model.address import Address
from fairway.model.container import Config, Container, HostConfig, PortBinding
from fairway.model.errors import Conflict, System
from fairway.model.network import EndpointRequest
from fairway.model.request import ContainerRequest, NetworkRequest, PoolRequest
from fairway.plan import Element, Namespace, Resolver, Veth
from unit.engine.world import World


@pytest.fixture(autouse=True)
async def web(world: World) -> None:
    world.kernel._sysctls["", "net/ipv4/ip_local_port_range"] = "32768\t32770"
    await world.engine.networks.create(
        NetworkRequest(name="web", pools=(PoolRequest(subnet="10.1.0.0/24"),))  # type: ignore[arg-type]
    )


async def owner_and_peer(world: World) -> tuple[Container, Container]:
    ports = {"80/tcp": (PortBinding(host_ip="0.0.0.0", host_port="8080"),)}
    owner = await world.run("owner", "web", port_bindings=ports)
    return owner, await world.run("peer", "container:owner")


async def network_of(world: World) -> set[object]:
    """What makes up the sandboxes' networks in the kernel."""
    return {f for f in await world.kernel.facts() if isinstance(f, Namespace | Veth | Resolver | Element)}


async def test_peers_keep_their_network_while_the_owner_restarts(world: World) -> None:
    owner, _ = await owner_and_peer(world)
    before, address = await network_of(world), world.address("owner", "web")
    await world.engine.containers.stop("owner", 0, "")
    assert await network_of(world) == before
    stopped = world.engine.containers.find("owner")
    assert (stopped.state.status, stopped.sandbox) == ("exited", owner.sandbox)
    with pytest.raises(Conflict, match="non running container"):
        await world.run("late", "container:owner")
    await world.engine.containers.start("owner")
    assert await network_of(world) == before
    again = world.engine.containers.find("owner")
    assert world.runtime.launches[again.id].namespace == world.runtime.launches[owner.id].namespace
    assert (again.ports, world.address("owner", "web")) == (owner.ports, address)


async def test_the_last_one_gives_everything_back(world: World) -> None:
    before = await network_of(world)
    await owner_and_peer(world)
    await world.engine.containers.stop("owner", 0, "")
    await world.engine.containers.stop("peer", 0, "")
    await world.quiet()
    assert await network_of(world) == before
    assert world.engine.containers.find("owner").sandbox == ""
    assert world.address("owner", "web") == ""
    await world.run("other", "web", port_bindings={"80/tcp": (PortBinding(host_port="8080"),)})


async def test_a_new_owner_of_that_name_takes_the_sandbox_over(world: World) -> None:
    owner, peer = await owner_and_peer(world)
    address = world.address("owner", "web")
    await world.engine.containers.remove("owner", volumes=False, force=True, link=False)
    await world.quiet()
    heir = world.engine.containers.find("peer")
    assert (heir.sandbox, heir.joined) == (owner.sandbox, "")
    assert world.address("peer", "web") == address
    assert not any("publish" in f.table_object for f in await network_of(world) if isinstance(f, Element))
    ports = {"80/tcp": (PortBinding(host_ip="0.0.0.0", host_port="8081"),)}
    new = await world.run("owner", "web", port_bindings=ports)
    assert (new.sandbox, world.address("owner", "web")) == (owner.sandbox, address)
    assert world.engine.containers.find(peer.id).joined == owner.sandbox
    published = [f for f in await network_of(world) if isinstance(f, Element) and f.table_object == "publish"]
    assert [f.key for f in published] == [("tcp", "8081")]
    assert world.names("web")["owner"] == (address.partition("/")[0],)


async def test_a_new_owner_gets_the_networks_that_it_asks_for(world: World) -> None:
    await world.engine.networks.create(NetworkRequest(name="app"))
    await owner_and_peer(world)
    await world.engine.networks.connect("app", "owner", EndpointRequest())
    await world.engine.containers.remove("owner", volumes=False, force=True, link=False)
    wish = EndpointRequest(ipv4=Address("10.1.0.77"))
    await world.run("owner", "web", wish)
    assert world.address("owner", "web") == "10.1.0.77/24"
    veths = [f for f in await world.kernel.facts() if isinstance(f, Veth)]
    assert [v.peer for v in veths] == ["eth0"], "the app network was not asked for"
    assert not world.engine.networks.attached(world.engine.networks.find("app").id)


async def test_it_survives_the_daemon(world: World) -> None:
    await owner_and_peer(world)
    await world.engine.containers.stop("owner", 0, "")
    before = await network_of(world)
    await world.restart()
    assert await network_of(world) == before
    world.runtime.end(world.engine.containers.find("peer").id, 0)
    await world.quiet()
    assert not world.core.state.sandboxes
    assert not any(isinstance(f, Namespace) for f in await world.kernel.facts())


async def test_a_failed_start_leaves_the_peers_alone(world: World) -> None:
    owner, _ = await owner_and_peer(world)
    await world.engine.containers.stop("owner", 0, "")
    before = await network_of(world)
    world.runtime.fail_create = Conflict("no")
    with pytest.raises(Conflict):
        await world.engine.containers.start("owner")
    assert await network_of(world) == before
    assert world.engine.containers.find("owner").sandbox == owner.sandbox


async def test_a_failed_takeover_leaves_the_sandbox_as_it_was(world: World) -> None:
    """The new owner wants a port that a process of the host has, and one more network."""
    await world.engine.networks.create(NetworkRequest(name="app"))
    await owner_and_peer(world)
    await world.engine.containers.remove("owner", volumes=False, force=True, link=False)
    before, address = await network_of(world), world.address("peer", "web")
    world.kernel.foreign_ports.add(("tcp", 8083))
    taken, chosen = (PortBinding(host_port="8083"),), (PortBinding(),)
    request = ContainerRequest(
        name="owner",
        config=Config(image="busybox"),
        host=HostConfig(network_mode="web", port_bindings={"80/tcp": taken, "81/tcp": chosen}),
        endpoints={"app": EndpointRequest()},
    )
    await world.engine.containers.create(request)
    with pytest.raises(System, match=r"failed to bind host port 0\.0\.0\.0:8083/tcp"):
        await world.engine.containers.start("owner")
    assert await network_of(world) == before
    assert world.engine.containers.find("owner").ports == ()
    assert (world.address("owner", "web"), world.address("owner", "app")) == (address, "")
    assert not world.core_ports._held
    world.kernel.foreign_ports.clear()
    await world.engine.containers.start("owner")
    assert [p.container_port for p in world.engine.containers.find("owner").ports] == [80, 81]
    assert world.address("owner", "app") != ""


async def test_an_owner_that_cannot_start_while_its_last_peer_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The peer runs no more and has not told yet; nobody else would give the sandbox back."""
    before = await network_of(world)
    await world.run("db")
    await world.run("owner", links=("db",), port_bindings={"80/tcp": (PortBinding(host_port="8080"),)})
    await world.run("peer", "container:owner")
    await world.engine.containers.stop("db", 0, "")
    await world.engine.containers.stop("owner", 0, "")
    delete, refused = world.runtime.delete, []

    async def meanwhile(container: str) -> None:
        with pytest.raises(System, match="Cannot link to a non running container"):
            await world.engine.containers.start("owner")
        refused.append(container)
        await delete(container)

    monkeypatch.setattr(world.runtime, "delete", meanwhile)
    await world.engine.containers.stop("peer", 0, "")
    await world.quiet()
    assert refused
    assert await network_of(world) == before
    assert not world.core.state.sandboxes and not world.core_ports._held
    assert world.address("owner", "bridge") == ""


async def test_an_heir_that_starts_again_stays_in_the_sandbox_it_keeps(world: World) -> None:
    """Its peer's name is that of a container on the host's network meanwhile."""
    owner, _ = await owner_and_peer(world)
    await world.run("second", "container:peer")
    await world.engine.containers.remove("owner", volumes=False, force=True, link=False)
    await world.run("owner", "host")
    await world.engine.containers.stop("peer", 0, "")
    await world.engine.containers.start("peer")
    heir = world.engine.containers.find("peer")
    assert (heir.sandbox, heir.joined) == (owner.sandbox, "")
    await world.engine.containers.remove("peer", volumes=False, force=True, link=False)
    await world.quiet()
    assert world.engine.containers.find("second").sandbox == owner.sandbox


async def test_an_interface_name_of_the_new_owner_s_own(world: World) -> None:
    await owner_and_peer(world)
    await world.engine.containers.remove("owner", volumes=False, force=True, link=False)
    option = {"com.docker.network.endpoint.ifname": "lan0"}
    await world.run("owner", "web", EndpointRequest(driver_options=option))
    assert [f.peer for f in await network_of(world) if isinstance(f, Veth)] == ["lan0"]


async def test_who_joins_an_heir(world: World) -> None:
    """Also a container of the removed one's name: it goes in circles by name, and not by who owns what."""
    owner, peer = await owner_and_peer(world)
    await world.engine.containers.remove("owner", volumes=False, force=True, link=False)
    for name in ("third", "owner"):
        joined = await world.run(name, "container:peer")
        launch = world.runtime.launches[joined.id]
        assert launch.namespace == f"/run/x/netns/{owner.sandbox[:12]}"
        assert launch.files["/etc/hosts"] == f"/data/containers/{peer.id}/hosts"
        assert launch.hostname == peer.config.hostname
        assert (await world.engine.copying.describe(name, "/etc/hosts")).size
    assert f"10.1.0.2\t{peer.config.hostname}" in world.files.texts[peer.id, "hosts"]


async def test_an_heir_restarts_while_others_share_its_network(world: World) -> None:
    owner, _ = await owner_and_peer(world)
    await world.run("third", "container:peer")
    await world.engine.containers.remove("owner", volumes=False, force=True, link=False)
    await world.engine.containers.restart("peer", 0, "")
    assert world.engine.containers.find("peer").sandbox == owner.sandbox
    assert world.address("peer", "web") == "10.1.0.2/24"
