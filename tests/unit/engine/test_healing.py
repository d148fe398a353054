"""Mending what somebody else changed while the daemon runs, and telling what differs."""

import asyncio
from collections.abc import Callable

import pytest

from fairway.engine.settings import Settings
from fairway.ipam.subnets import DEFAULT_POOLS
from fairway.model.address import Address as AddressText
from fairway.model.address import Cidr
from fairway.model.container import PortBinding
from fairway.model.difference import Difference
from fairway.model.errors import Conflict, System
from fairway.model.network import EndpointRequest
from fairway.model.request import NetworkRequest
from fairway.plan import (
    Address,
    Bridge,
    Element,
    Fact,
    HeldPort,
    Namespace,
    Overlay,
    Resolver,
    Route,
    Step,
    Sysctl,
    Veth,
    establish,
)
from unit.engine.world import World

PUBLISHED = {"80/tcp": (PortBinding(host_port="8080"),)}


@pytest.fixture(autouse=True)
async def running(world: World) -> None:
    """``web`` publishes a port; ``n1`` has names."""
    world.kernel._sysctls["", "net/ipv4/ip_local_port_range"] = "32768\t32770"
    await world.engine.networks.create(NetworkRequest(name="n1"))
    await world.run("web", "n1", port_bindings=PUBLISHED)


async def facts(world: World) -> frozenset[Fact]:
    return await world.kernel.facts()


def one(found: frozenset[Fact], kind: type, holds: Callable[[Fact], bool] = lambda _: True) -> Fact:
    return next(f for f in sorted(found, key=repr) if isinstance(f, kind) and holds(f))


@pytest.mark.parametrize(
    "kind", [Bridge, Veth, Address, Route, Element, HeldPort, Resolver, Overlay, Namespace]
)
async def test_what_somebody_takes_away_comes_back(world: World, kind: type) -> None:
    before = await facts(world)
    world.kernel.lose(one(before, kind))
    assert await facts(world) != before
    await world.quiet()
    assert await facts(world) == before


async def test_what_somebody_leaves_with_our_mark_goes(world: World) -> None:
    before = await facts(world)
    await world.kernel.apply(establish([Namespace("/run/x/netns/stale"), Element("bridges", ("br-stale",))]))
    world.kernel.disturb("something was added")
    await world.quiet()
    assert await facts(world) == before


async def test_rules_come_back_with_their_elements(world: World) -> None:
    before = await facts(world)
    world.kernel.rules = False
    for fact in before:
        if isinstance(fact, Element):
            world.kernel.lose(fact)
    await world.quiet()
    assert world.kernel.rules
    assert await facts(world) == before


async def test_forwarding_is_turned_on_again_unless_it_is_the_administrators(world: World) -> None:
    world.kernel._sysctls["", "net/ipv4/ip_forward"] = "0"
    world.kernel.disturb("forwarding turned off")
    await world.quiet()
    assert await world.kernel.sysctl("", "net/ipv4/ip_forward") == "1"
    settings = Settings(
        id="0123456789", exec_root="/run/x", data_root="/d", address_pools=DEFAULT_POOLS, ip_forward=False
    )
    other = World(settings=settings)
    await other.engine.start()
    other.kernel._sysctls["", "net/ipv4/ip_forward"] = "0"
    other.kernel.disturb("forwarding turned off")
    await other.quiet()
    assert await other.kernel.sysctl("", "net/ipv4/ip_forward") == "0"
    await other.engine.close()


async def test_a_route_that_somebody_put_in_the_way_gives_way(world: World) -> None:
    before = await facts(world)
    route = one(before, Route)
    assert isinstance(route, Route)
    world.kernel.lose(route)
    other = Address(route.namespace, route.link, Cidr("10.9.0.1/24"))
    way = Route(route.namespace, route.destination, AddressText("10.9.0.2"), route.link)
    await world.kernel.apply(establish([other, way]))
    world.kernel.disturb("route changed")
    await world.quiet()
    assert await facts(world) == before | {other}


async def test_who_administers_its_network_may_change_it(world: World) -> None:
    await world.run("vpn", "n1", cap_add=("net_admin",))
    before = await facts(world)
    namespace = world.runtime.launches[world.engine.containers.find("vpn").id].namespace
    for kind in (Route, Address):
        world.kernel.lose(one(before, kind, lambda f: getattr(f, "namespace", "") == namespace))
    await world.quiet()
    assert before - await facts(world)
    told = (await world.engine.doctor.examine()).found
    assert {each.name for each in told} == {"vpn"}
    await world.restart()
    assert before - await facts(world), "nor does a start take it back"
    examination = await world.engine.doctor.cure()
    assert set(told) <= set(examination.found)
    assert examination.left == ()
    assert await facts(world) == before


async def test_an_interface_of_such_a_container_comes_back_with_all_on_it(world: World) -> None:
    await world.run("vpn", "n1", privileged=True)
    before = await facts(world)
    namespace = world.runtime.launches[world.engine.containers.find("vpn").id].namespace
    world.kernel.lose(one(before, Veth, lambda f: getattr(f, "namespace", "") == namespace))
    await world.quiet()
    assert await facts(world) == before


async def test_copies_out_of_a_container_do_not_hold_it_up(world: World) -> None:
    """Their lock lasts as long as a client likes."""
    before = await facts(world)
    async with world.engine.copying.archive("web", "/etc"):
        world.kernel.lose(one(before, Veth))
        for _ in range(500):
            await asyncio.sleep(0)
        assert await facts(world) == before


async def test_the_root_of_a_container_that_is_copied_from_stays_mounted(world: World) -> None:
    await world.run("old")
    world.runtime.end(world.engine.containers.find("old").id, 0)
    await world.quiet()
    async with world.engine.copying.archive("old", "/etc"):
        mounted = await facts(world)
        world.kernel.disturb("something")
        for _ in range(500):
            await asyncio.sleep(0)
        assert await facts(world) == mounted
        assert (await world.engine.doctor.examine()).found == ()
    assert len([f for f in await facts(world) if isinstance(f, Overlay)]) == 1


async def test_what_an_operation_is_changing_is_left_to_it(world: World) -> None:
    before = await facts(world)
    async with world.core.locks.hold(f"container/{world.engine.containers.find('web').id}"):
        world.kernel.lose(one(before, Veth))
        for _ in range(200):
            await asyncio.sleep(0)
        assert not any(isinstance(f, Veth) for f in await facts(world))
    await world.quiet()
    assert await facts(world) == before


async def test_what_cannot_be_mended_is_told_once_and_keeps_nothing_else(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    before = await facts(world)
    world.kernel.foreign_ports.add(("tcp", 8080))
    world.kernel.lose(one(before, HeldPort))
    for _ in range(300):
        await asyncio.sleep(0)
    world.kernel.lose(one(before, Veth))
    for _ in range(300):
        await asyncio.sleep(0)
    assert before - await facts(world) == {one(before, HeldPort)}
    assert capsys.readouterr().out.count("cannot mend what somebody else changed") == 1
    examination = await world.engine.doctor.cure()
    assert [each.text for each in examination.left] == ["port 0.0.0.0:8080/tcp is missing"]
    assert "8080: bind: address already in use" in examination.problems[0]
    world.kernel.foreign_ports.clear()
    await world.quiet()
    assert await facts(world) == before


async def test_a_change_that_comes_again_and_again_is_told_once(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody else's program sets it back whenever it is mended."""
    world.kernel._sysctls["", "net/ipv4/ip_forward"] = "0"
    kernel, establish_ = world.kernel, world.kernel._establish

    def undone(fact: Fact) -> bool:
        done = establish_(fact)
        kernel._sysctls["", "net/ipv4/ip_forward"] = "0"
        return done

    kernel._establish = undone  # type: ignore[method-assign]
    kernel.disturb("forwarding turned off")
    for _ in range(300):
        await asyncio.sleep(0)
    assert capsys.readouterr().out.count("somebody else changed what is ours") == 1
    kernel._establish = establish_  # type: ignore[method-assign]
    await world.quiet()
    assert await kernel.sysctl("", "net/ipv4/ip_forward") == "1"


async def test_what_failed_to_go_goes_later(world: World) -> None:
    before = await facts(world)
    await world.engine.networks.create(NetworkRequest(name="n2"))
    refusals = 2

    def fail(step: Step) -> Conflict | None:
        nonlocal refusals
        if step.present or not isinstance(step.fact, Bridge) or not refusals:
            return None
        refusals -= 1
        return Conflict("busy")

    world.kernel.fail = fail
    await world.engine.networks.remove("n2")
    await world.quiet()
    assert refusals == 0
    assert await facts(world) == before


async def test_what_failed_to_be_undone_goes_later(world: World) -> None:
    await world.run("db")
    before = await facts(world)
    failing = True

    def fail(step: Step) -> System | None:
        if failing and isinstance(step.fact, Address if step.present else Veth):
            return System("the kernel refuses")
        return None

    world.kernel.fail = fail
    with pytest.raises(System, match="undoing failed"):
        await world.engine.networks.connect("n1", "db", EndpointRequest())
    failing = False
    await world.quiet()
    assert await facts(world) == before


async def test_the_doctor_says_it_in_words(world: World) -> None:
    await world.engine._healing.close()
    network, container = world.engine.networks.find("n1"), world.engine.containers.find("web")
    bridge = f"br-{network.id[:12]}"
    found = await facts(world)
    veth = one(found, Veth)
    assert isinstance(veth, Veth)
    world.kernel.lose(Element("bridges", (bridge,)))
    world.kernel._facts.pop(veth)
    world.kernel._facts[Veth(*(*[getattr(veth, n) for n in veth.__struct_fields__][:-1], 0))] = None
    await world.kernel.apply(
        establish([Namespace("/run/x/netns/stale"), Sysctl("", "net/ipv4/ip_forward", "0")])
    )
    world.resolver.zones.clear()
    examination = await world.engine.doctor.examine()
    assert examination.left == examination.found
    assert set(examination.found) == {
        Difference(kind="host", text="network namespace /run/x/netns/stale is left over"),
        Difference(kind="network", id=network.id, name="n1", text=f"element {bridge} of bridges is missing"),
        Difference(
            kind="container",
            id=container.id,
            name="web",
            text=f"interface {veth.name} is not as it should be",
        ),
        Difference(
            kind="network",
            id=world.engine.networks.find("bridge").id,
            name="bridge",
            text="sysctl net/ipv4/ip_forward is 0 instead of 1",
        ),
        Difference(
            kind="container", id=container.id, name="web", text="the resolver does not know its names"
        ),
    }
    assert (await world.engine.doctor.cure()).left == ()
    assert await facts(world) == found
    assert world.resolver.zones


async def test_the_doctor_finds_what_the_runtime_keeps(world: World) -> None:
    world.runtime.ends["f" * 64] = asyncio.get_running_loop().create_future()
    told = await world.engine.doctor.examine()
    assert [each.text for each in told.found] == [f"the runtime keeps something of {'f' * 12}, which is gone"]
    assert (await world.engine.doctor.cure()).left == ()
    assert "f" * 64 not in world.runtime.ends
