"""What a container had, it has again: after its own restart, the daemon's, and the host's."""

from collections.abc import Awaitable, Callable

import pytest

from fairway.model.address import Cidr, Mac
from fairway.model.container import Container, HostConfig, PortBinding, RestartPolicy
from fairway.model.network import Endpoint, EndpointRequest
from fairway.model.request import NetworkRequest, PoolRequest
from fairway.plan import Veth
from unit.engine.world import World

Had = dict[str, tuple[tuple[Cidr, ...], Mac | None, str, str]]
ANY = (PortBinding(),)


@pytest.fixture(autouse=True)
async def networks(world: World) -> None:
    world.kernel._sysctls["", "net/ipv4/ip_local_port_range"] = "32768\t32777"
    pools = (PoolRequest(subnet=Cidr("fd07::/64")),)
    await world.engine.networks.create(NetworkRequest(name="six", ipv4=False, ipv6=True, pools=pools))
    await world.engine.networks.create(NetworkRequest(name="both", ipv6=True))


async def populate(world: World) -> None:
    """Two containers on every network, then only the second: both have to find theirs again."""
    always = RestartPolicy(name="always")
    explicit = EndpointRequest(mac=Mac("02:42:00:00:00:99"))
    for name in ("first", "second"):
        await world.run(name, "six", restart_policy=always, port_bindings={"80/tcp": ANY, "53/udp": ANY})
        await world.engine.networks.connect("both", name, explicit if name == "first" else EndpointRequest())
        await world.engine.networks.connect("bridge", name, EndpointRequest())


def had(world: World, name: str) -> Had:
    def facts(endpoint: Endpoint) -> tuple[tuple[Cidr, ...], Mac | None, str, str]:
        return endpoint.addresses, endpoint.mac, endpoint.interface, endpoint.host_interface

    container = world.engine.containers.find(name)
    return {network.name: facts(e) for network, e in world.engine.containers.endpoints(container.id)}


def ports(world: World, name: str) -> list[int]:
    return [p.host_port for p in world.engine.containers.find(name).ports]


async def its_own(world: World) -> None:
    for name in ("first", "second"):
        await world.engine.containers.stop(name, 0, "")
    await world.engine.networks.create(NetworkRequest(name="other"))
    await world.run("third", "other", port_bindings={"80/tcp": ANY})
    for name in ("second", "first"):
        await world.engine.containers.start(name)


async def the_daemons_meanwhile(world: World) -> None:
    for name in ("first", "second"):
        await world.engine.containers.stop(name, 0, "")
    await world.restart()
    await world.quiet()


async def the_hosts(world: World) -> None:
    world.kernel._facts.clear()
    world.runtime.ends.clear()
    world.resolver.come_back()
    await world.restart()
    await world.quiet()


@pytest.mark.parametrize("restart", [its_own, the_daemons_meanwhile, the_hosts])
async def test_all_is_as_it_was(world: World, restart: Callable[[World], Awaitable[None]]) -> None:
    await populate(world)
    before = {name: (had(world, name), ports(world, name)) for name in ("first", "second")}
    facts = {f.name: f.peer_mac for f in await world.kernel.facts() if isinstance(f, Veth)}
    assert before["first"][0]["six"][1] == Mac("02:42:00:00:00:02")
    assert before["first"][0]["both"][1] == Mac("02:42:00:00:00:99")
    assert len(facts) == 6
    await restart(world)
    assert {name: (had(world, name), ports(world, name)) for name in ("first", "second")} == before
    assert (
        facts.items()
        <= {f.name: f.peer_mac for f in await world.kernel.facts() if isinstance(f, Veth)}.items()
    )


async def stopped(world: World, name: str) -> Container:
    await world.engine.containers.stop(name, 0, "")
    return world.engine.containers.find(name)


async def test_a_port_that_is_only_remembered_is_free_for_others(world: World) -> None:
    await world.run("first", port_bindings={"80/tcp": ANY})
    assert ports(world, "first") == [32768]
    await stopped(world, "first")
    assert not world.core_ports._held
    await world.run("other", port_bindings={"80/tcp": (PortBinding(host_port="32768"),)})
    await world.engine.containers.start("first")
    assert ports(world, "first") == [32769]
    await stopped(world, "other")
    await stopped(world, "first")
    await world.engine.containers.start("first")
    assert ports(world, "first") == [32769]


@pytest.mark.parametrize("who", ["process", "container"])
async def test_a_port_that_somebody_took(world: World, who: str) -> None:
    await world.run("first", port_bindings={"80/tcp": ANY, "81/tcp": ANY})
    assert ports(world, "first") == [32768, 32769]
    await stopped(world, "first")
    if who == "process":
        world.kernel.foreign_ports.add(("tcp", 32768))
    else:
        await world.run("other", port_bindings={"80/tcp": (PortBinding(host_port="32768"),)})
    await world.restart()  # the search begins anew: it must not take what the second port had
    await world.engine.containers.start("first")
    assert ports(world, "first") == [32770, 32769]


async def test_a_port_of_a_range(world: World) -> None:
    binding = (PortBinding(host_port="8000-8002"),)
    await world.run("first", port_bindings={"80/tcp": binding})
    await world.run("second", port_bindings={"80/tcp": binding})
    assert ports(world, "second") == [8001]
    await stopped(world, "first")
    await stopped(world, "second")
    await world.engine.containers.start("second")
    assert ports(world, "second") == [8001]


async def test_a_port_comes_back_with_the_way_in(world: World) -> None:
    await world.run("first", port_bindings={"80/tcp": ANY})
    await world.engine.networks.disconnect("bridge", "first", force=False)
    assert ports(world, "first") == []
    await world.run("second", port_bindings={"80/tcp": ANY})
    await world.engine.networks.connect("bridge", "first", EndpointRequest())
    assert (ports(world, "first"), ports(world, "second")) == ([32768], [32769])


async def test_what_is_asked_for_comes_before_what_was(world: World) -> None:
    await world.run("first", port_bindings={"80/tcp": ANY, "81/tcp": ANY})
    container = await stopped(world, "first")
    changes: dict[str, tuple[PortBinding, ...]] = {"81/tcp": (PortBinding(host_port="32768"),)}
    await world.engine.containers.update(container.id, HostConfig(port_bindings=changes))
    await world.engine.containers.start("first")
    assert ports(world, "first") == [32770, 32768]


async def test_who_has_the_name_on_the_host_keeps_it(world: World) -> None:
    """Of an endpoint that was made anew meanwhile."""
    first = await world.run("first")
    name = had(world, "first")["bridge"][3]
    await stopped(world, "first")
    assert world.core.state.host_interfaces[name].startswith(first.id)
    await world.engine.networks.disconnect("bridge", "first", force=False)
    assert name not in world.core.state.host_interfaces
