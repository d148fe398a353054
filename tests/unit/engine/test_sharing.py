"""``--network container:``: a sandbox lives as long as anybody runs in it."""

import pytest

from fairway.model.address import Address
from fairway.model.container import Container, PortBinding
from fairway.model.errors import Conflict
from fairway.model.network import EndpointRequest
from fairway.model.request import NetworkRequest, PoolRequest
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
