"""Mending what somebody else changed while the daemon runs, and telling what differs."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec
import pytest

from fairway.engine.settings import Settings
from fairway.ipam.subnets import DEFAULT_POOLS
from fairway.model.address import Address as AddressText
from fairway.model.address import Cidr
from fairway.model.container import Config, Container, HostConfig, PortBinding
from fairway.model.difference import Difference
from fairway.model.errors import Conflict, Fault, System
from fairway.model.image import RootFilesystem
from fairway.model.network import EndpointRequest
from fairway.model.request import ContainerRequest, NetworkRequest
from fairway.plan import (
    Address,
    Bridge,
    Element,
    Fact,
    HeldPort,
    Namespace,
    Overlay,
    Plan,
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
    assert capsys.readouterr().out.count("mended what somebody else changed") == 1
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


async def created(world: World, name: str) -> Container:
    request = ContainerRequest(name=name, config=Config(image="busybox"), host=HostConfig(network_mode="n1"))
    container, _ = await world.engine.containers.create(request)
    return container


async def turns(number: int = 300) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_news_that_cannot_be_told_do_not_end_healing(world: World) -> None:
    before, disturbed = await world.kernel.facts(), world.kernel.disturbed

    async def once() -> frozenset[str]:
        world.kernel.disturbed = disturbed  # type: ignore[method-assign]
        await disturbed()
        raise System("the kernel cannot be asked: No buffer space available")

    world.kernel.disturbed = once  # type: ignore[method-assign]
    await world.restart()
    world.kernel.disturb("something")
    await turns()
    world.kernel.lose(next(f for f in before if isinstance(f, Veth)))
    await world.quiet()
    assert await world.kernel.facts() == before


async def test_an_unforeseen_error_does_not_end_healing(world: World) -> None:
    """Nobody else would mend."""
    before, running = await world.kernel.facts(), world.runtime.running

    async def unreadable() -> dict[str, int]:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    world.runtime.running = unreadable  # type: ignore[method-assign]
    world.kernel.lose(next(f for f in before if isinstance(f, Namespace)))
    await turns()
    world.runtime.running = running  # type: ignore[method-assign]
    await world.quiet()
    assert await world.kernel.facts() == before


async def test_the_doctor_leaves_alone_who_is_started_meanwhile(world: World) -> None:
    made = [await created(world, name) for name in ("aa", "bb")]
    for container in made:
        world.runtime.ends[container.id] = asyncio.get_running_loop().create_future()
        world.runtime.end(container.id, 0)
    delete = world.runtime.delete

    async def slow(container: str) -> None:
        world.runtime.delete = delete  # type: ignore[method-assign]
        await delete(container)
        await world.engine.containers.start(next(c.id for c in made if c.id != container))

    world.runtime.delete = slow  # type: ignore[method-assign]
    await world.engine.doctor.cure()
    await turns()
    assert "running" in {world.engine.containers.find(c.id).state.status for c in made}


async def test_a_look_during_an_update_that_fails_takes_no_port_away(world: World) -> None:
    before, apply = await world.kernel.facts(), world.kernel.apply

    def refuse(step: Step) -> System | None:
        taken = step.present and isinstance(step.fact, HeldPort) and step.fact.port == 8083
        return System("listen tcp4 0.0.0.0:8083: bind: permission denied") if taken else None

    async def looked_at(plan: Plan) -> None:
        world.kernel.apply = apply  # type: ignore[method-assign]
        await world.reconciler.mend()
        await apply(plan)

    world.kernel.fail = refuse
    world.kernel.apply = looked_at  # type: ignore[method-assign]
    changes = HostConfig(port_bindings={"80/tcp": (PortBinding(host_port="8083"),)})
    with pytest.raises(System, match="8083"):
        await world.engine.containers.update("web", changes)
    assert not before - await world.kernel.facts()


async def test_a_look_while_a_container_ends_blames_nobody(world: World) -> None:
    withdraw, told = world.kernel.withdraw, list[Difference]()

    async def looked_at(plan: Plan) -> Sequence[Fault]:
        world.kernel.withdraw = withdraw  # type: ignore[method-assign]
        told.extend((await world.reconciler.look()).differences)
        return await withdraw(plan)

    world.kernel.withdraw = looked_at  # type: ignore[method-assign]
    world.runtime.end(world.engine.containers.find("web").id, 0)
    await world.quiet()
    assert told == []


async def test_a_namespace_in_which_only_a_busy_sharer_lives_is_kept_for_it(world: World) -> None:
    side = await world.run("side", "container:web")
    web = world.engine.containers.find("web")
    key = world.core.state.sandboxes[web.sandbox].key
    world.runtime.end(web.id, 0)
    await world.quiet()
    async with world.core.locks.hold(f"container/{side.id}"):
        world.kernel.lose(Namespace(key))
        await turns()
        assert Namespace(key) not in await world.kernel.facts(), "an empty one took its place"


async def test_routes_and_addresses_that_somebody_set_on_our_bridges_stay(world: World) -> None:
    before = await world.kernel.facts()
    bridge = f"br-{world.engine.networks.find('n1').id[:12]}"
    router = AddressText(world.address("web", "n1").partition("/")[0])
    theirs: list[Fact] = [
        Route("", Cidr("10.99.0.0/16"), router, bridge),
        Address("", bridge, Cidr("10.98.0.1/24")),
    ]
    await world.kernel.apply(establish(theirs))
    world.kernel.disturb("something else")
    await world.quiet()
    assert await world.kernel.facts() == before | set(theirs)


async def test_a_namespace_that_cannot_be_kept_keeps_nothing_else_from_being_mended(world: World) -> None:
    await world.engine.networks.create(NetworkRequest(name="n2"))
    before = await world.kernel.facts()
    name = f"br-{world.engine.networks.find('n2').id[:12]}"
    bridge = next(f for f in before if isinstance(f, Bridge) and f.name == name)

    async def adopt(path: str, pid: int) -> bool:
        raise System("cannot keep it: No space left on device")

    world.kernel.adopt = adopt  # type: ignore[method-assign]
    namespace = next(f for f in before if isinstance(f, Namespace))
    for fact in (namespace, bridge):
        world.kernel.lose(fact)
    await turns()
    assert bridge in await world.kernel.facts()
    assert namespace not in await world.kernel.facts(), "an empty one took its place"


async def test_what_is_left_to_an_operation_is_looked_at_again(world: World) -> None:
    web, refusals = world.engine.containers.find("web"), [System("busy")]

    def once(step: Step) -> System | None:
        return refusals.pop() if refusals and not step.present and isinstance(step.fact, Overlay) else None

    world.kernel.fail = once
    world.runtime.end(web.id, 0)
    while refusals:
        await asyncio.sleep(0)
    async with world.core.locks.hold(f"container/{web.id}"):
        await turns()
    await world.quiet()
    assert not [f for f in await world.kernel.facts() if isinstance(f, Overlay)]


async def test_sysctls_that_a_container_was_given_are_not_set_back(world: World) -> None:
    """The runtime sets them after us; one for all interfaces changes each."""
    six = await world.run("six", "n1", sysctls={"net.ipv6.conf.all.disable_ipv6": "0"})
    key = world.runtime.launches[six.id].namespace, "net/ipv6/conf/eth0/disable_ipv6"
    assert world.kernel._sysctls[key] == "1"
    world.kernel._sysctls[key] = "0"
    assert (await world.engine.doctor.examine()).found == ()


@pytest.mark.parametrize("change", [{"peer": "wan0"}, {"peer_mac": "02:11:22:33:44:55"}])
async def test_who_administers_its_network_may_change_its_end(world: World, change: dict[str, str]) -> None:
    vpn = await world.run("vpn", "n1", cap_add=("NET_ADMIN",))
    namespace = world.runtime.launches[vpn.id].namespace
    veth = next(f for f in await world.kernel.facts() if isinstance(f, Veth) and f.namespace == namespace)
    changed = msgspec.structs.replace(veth, **change)
    world.kernel.lose(veth)
    world.kernel._facts[changed] = None
    await world.quiet()
    assert changed in await world.kernel.facts()
    assert veth not in await world.kernel.facts()


async def test_sysctls_of_an_interface_that_is_made_again_are_set(world: World) -> None:
    """Also in the namespace of who administers it: else it would have IPv6 on a network without."""
    vpn = await world.run("vpn", "n1", cap_add=("NET_ADMIN",))
    namespace = world.runtime.launches[vpn.id].namespace
    veth = next(f for f in await world.kernel.facts() if isinstance(f, Veth) and f.namespace == namespace)
    key = namespace, "net/ipv6/conf/eth0/disable_ipv6"
    world.kernel.lose(veth)
    world.kernel._sysctls[key] = "0"
    await world.quiet()
    assert world.kernel._sysctls[key] == "1"


async def test_what_could_not_be_had_at_the_start_is_tried_again(world: World) -> None:
    before = await world.kernel.facts()
    world.kernel.lose(next(f for f in before if isinstance(f, HeldPort)))
    world.kernel.foreign_ports.add(("tcp", 8080))
    await world.restart()
    assert await world.kernel.facts() != before
    world.kernel.foreign_ports.clear()
    await world.quiet()
    assert await world.kernel.facts() == before


async def test_a_root_file_system_that_is_not_known_stays_mounted(world: World) -> None:
    await world.run("db", "n1")
    before, prepare = await world.kernel.facts(), world.images.prepare
    web = world.engine.containers.find("web")

    async def broken(container: str, image: str) -> RootFilesystem:
        if container == web.id:
            raise System("the layer is gone")
        return await prepare(container, image)

    world.images.prepare = broken  # type: ignore[method-assign]
    await world.restart()
    assert await world.kernel.facts() == before
