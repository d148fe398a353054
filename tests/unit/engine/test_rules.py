"""What the engine says is programmed: of whom, and in which notation."""

import msgspec
import pytest

from fairway.model.container import PortBinding
from fairway.model.errors import InvalidParameter, NotFound
from fairway.model.network import EndpointRequest
from fairway.model.request import NetworkRequest
from unit.engine.world import World

PORT = {"80/tcp": (PortBinding(host_ip="0.0.0.0", host_port="8080"),)}


async def told(world: World, reference: str = "") -> set[tuple[str, str, str]]:
    return {(r.kind, r.name, r.rule) for r in await world.engine.rules.report(reference)}


async def commands(world: World, table: str, chain: str) -> list[str]:
    text = await world.engine.rules.iptables(4, form="commands", table=table, chain=chain, verbose=False)
    return text.splitlines()


async def test_by_network_and_container(world: World) -> None:
    await world.engine.networks.create(NetworkRequest(name="back", internal=True))
    await world.run("web", port_bindings=PORT)
    whole = await told(world)
    assert {("network", "bridge", "outward"), ("network", "back", "internal")} <= whole
    assert {("container", "web", "published"), ("container", "web", "held")} <= whole
    assert {name for _, name, _ in await told(world, "back")} == {"back"}
    assert {name for _, name, _ in await told(world, "web")} == {"web"}
    await world.engine.containers.stop("web", 0, "")
    assert await told(world, "web") == set()


async def test_a_name_that_both_have(world: World) -> None:
    await world.engine.networks.create(NetworkRequest(name="both"))
    await world.run("both", "both", EndpointRequest(), port_bindings=PORT)
    assert {kind for kind, _, _ in await told(world, "both")} == {"network", "container"}
    network = world.engine.networks.find("both")
    assert {kind for kind, _, _ in await told(world, network.id[:12])} == {"network"}
    with pytest.raises(NotFound, match="No such container or network: nosuch"):
        await world.engine.rules.report("nosuch")


async def test_a_prefix_that_several_networks_have(world: World) -> None:
    for number in range(17):
        await world.engine.networks.create(NetworkRequest(name=f"net{number}"))
    first = [network.id[0] for network in world.engine.networks.all()]
    prefix = next(digit for digit in first if first.count(digit) > 1)
    with pytest.raises(InvalidParameter, match="is ambiguous"):
        await world.engine.rules.report(prefix)


async def test_in_the_notation_of_iptables(world: World) -> None:
    await world.run("web", port_bindings=PORT)
    bridge = "-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE"
    assert f"-A POSTROUTING {bridge}" in await commands(world, "nat", "POSTROUTING")
    assert await commands(world, "nat", "DOCKER") == [
        "-N DOCKER",
        "-A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80",
    ]
    assert "element publish tcp . 8080" in await world.engine.rules.nft()


async def test_a_family_without_rules_of_ours() -> None:
    world = World()
    world.settings = msgspec.structs.replace(world.settings, iptables=False)
    await world.start_again()
    assert await commands(world, "nat", "POSTROUTING") == ["-P POSTROUTING ACCEPT"]
    await world.engine.close()


async def test_a_network_of_a_family_that_is_not_ruled(world: World) -> None:
    """dockerd's ``--iptables=false``: nothing is kept from it."""
    world = World(settings=msgspec.structs.replace(world.settings, iptables=False))
    await world.engine.start()
    await world.engine.networks.create(NetworkRequest(name="back"))
    assert await told(world, "back") == set()
    await world.engine.close()
