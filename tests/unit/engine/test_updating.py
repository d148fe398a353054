"""The verb update: limits, restart policy, and ports published while the container runs."""

from collections.abc import Sequence
from typing import Any

import pytest

from fairway.model.container import Container, HostConfig, PortBinding, RestartPolicy
from fairway.model.errors import Conflict, Fault, InvalidParameter, NotFound, System
from fairway.model.event import Event
from fairway.model.network import EndpointRequest
from fairway.model.request import NetworkRequest
from fairway.plan import Element, Fact, Flows, Hairpin, HeldPort, Step
from unit.engine.world import Killed, World

MB = 1024 * 1024


@pytest.fixture(autouse=True)
def host(world: World) -> None:
    """A host with IPv6."""
    provide(world)


def provide(world: World) -> None:
    world.kernel._sysctls["", "net/ipv4/ip_local_port_range"] = "32768\t32770"
    world.kernel._sysctls["", "net/ipv6/conf/all/disable_ipv6"] = "0"


def bind(*host_ports: str, host_ip: str = "") -> tuple[PortBinding, ...]:
    return tuple(PortBinding(host_ip=host_ip, host_port=port) for port in host_ports)


async def publish(world: World, name: str, **bindings: tuple[PortBinding, ...]) -> Sequence[str]:
    """Bindings by container port: ``p80=bind("8080")``."""
    given = {f"{port[1:]}/tcp": each for port, each in bindings.items()}
    return await world.engine.containers.update(name, HostConfig(port_bindings=given))


def shown(container: Container) -> list[tuple[int, int]]:
    return [(p.host_port, p.container_port) for p in container.ports if p.host_address != "::"]


async def of(world: World, kind: type[Fact]) -> set[Any]:
    return {f for f in await world.kernel.facts() if isinstance(f, kind)}


async def forwarded(world: World) -> set[str]:
    """IPv4 ports that the kernel forwards."""
    return {f.key[1] for f in await of(world, Element) if f.table_object == "publish"}


async def test_publishing_on_a_running_container_is_what_run_would_have_done(world: World) -> None:
    await world.run("c1")
    before = await world.kernel.facts()
    assert await publish(world, "c1", p80=bind("8080")) == []
    container = world.engine.containers.find("c1")
    assert shown(container) == [(8080, 80)]
    assert len(container.ports) == 2
    assert container.host.port_bindings == {"80/tcp": bind("8080")}
    added = await world.kernel.facts() - before
    assert {type(f) for f in added} == {Hairpin, Element, HeldPort}
    assert {f.table_object for f in added if isinstance(f, Element)} == {"own", "publish", "proxied6"}
    await publish(world, "c1", p80=())
    assert await world.kernel.facts() == before
    assert world.engine.containers.find("c1").ports == ()
    assert not world.core_ports._held


async def test_only_what_differs_is_touched(world: World) -> None:
    await world.run("c1", port_bindings={"80/tcp": bind("8080"), "81/tcp": bind("", "")})
    automatic = shown(world.engine.containers.find("c1"))[1:]
    plans: list[list[Step]] = []
    apply, withdraw = world.kernel.apply, world.kernel.withdraw

    async def seen(plan: Any) -> Any:
        plans.append(list(plan))
        return await apply(plan)

    async def also_seen(plan: Any) -> Any:
        plans.append(list(plan))
        return await withdraw(plan)

    world.kernel.apply, world.kernel.withdraw = seen, also_seen  # type: ignore[method-assign]
    await publish(world, "c1", p82=bind("8082"), p80=bind("8090"))
    assert shown(world.engine.containers.find("c1")) == [(8090, 80), *automatic, (8082, 82)]
    assert len(plans) == 2
    changed, forgotten = plans
    elements = {(s.fact.key[-1], s.present) for s in changed if isinstance(s.fact, Element)}
    assert elements == {("8080", False), ("8090", True), ("8082", True)}
    held = {(s.fact.port, s.present) for s in changed if isinstance(s.fact, HeldPort)}
    assert held == elements_as_ports(elements)
    assert [(type(s.fact), s.present) for s in forgotten] == [(Flows, False)]
    assert isinstance(forgotten[0].fact, Flows)
    assert (forgotten[0].fact.host_port, forgotten[0].fact.port) == (8080, 80)


def elements_as_ports(elements: set[tuple[str, bool]]) -> set[tuple[int, bool]]:
    return {(int(port), present) for port, present in elements}


async def test_a_port_may_lead_elsewhere(world: World) -> None:
    await world.run("c1", port_bindings={"80/tcp": bind("8080")})
    await publish(world, "c1", p80=(), p81=bind("8080"))
    assert shown(world.engine.containers.find("c1")) == [(8080, 81)]
    assert [f.target_port for f in await of(world, HeldPort)] == [81]
    assert set(world.core_ports._held) == {("tcp", 8080)}


async def test_narrower_and_wider(world: World) -> None:
    await world.run("c1", port_bindings={"80/tcp": bind("8080")})
    for address, held in (("127.0.0.1", {"127.0.0.1"}), ("", {""}), ("0.0.0.0", {"0.0.0.0"})):
        await publish(world, "c1", p80=bind("8080", host_ip=address))
        assert {f.address for f in await of(world, HeldPort)} == held


async def test_it_survives_restarts_of_container_and_daemon(world: World) -> None:
    await world.run("c1")
    await publish(world, "c1", p80=bind("8080"))
    await world.restart()
    assert await forwarded(world) == {"8080"}
    await world.engine.containers.restart("c1", 0, "")
    assert await forwarded(world) == {"8080"}
    assert shown(world.engine.containers.find("c1")) == [(8080, 80)]


async def test_a_stopped_container_publishes_at_its_start(world: World) -> None:
    await world.run("c1", port_bindings={"80/tcp": bind("8080")})
    await world.engine.containers.stop("c1", 0, "")
    await publish(world, "c1", p80=bind("8080", "8081"))
    assert world.engine.containers.find("c1").ports == ()
    assert not world.core_ports._held
    await world.engine.containers.start("c1")
    assert await forwarded(world) == {"8080", "8081"}


async def test_publish_all_is_spelled_out(world: World) -> None:
    container = await world.run("c1", publish_all_ports=True, port_bindings={"80/tcp": bind("8080")})
    assert container.host.publish_all_ports
    await publish(world, "c1", p80=())
    container = world.engine.containers.find("c1")
    assert (container.host.publish_all_ports, container.host.port_bindings) == (False, {})


@pytest.mark.parametrize(
    ("taken", "text"),
    [
        ("container", r"Bind for 0\.0\.0\.0:8081 failed: port is already allocated"),
        ("process", "failed to bind host port .*:8081/tcp: address already in use"),
        ("store", "the disk is full"),
        ("runtime", "no such cgroup"),
    ],
)
async def test_a_failure_changes_nothing(world: World, taken: str, text: str) -> None:
    await world.run("c1", port_bindings={"80/tcp": bind("8080")})
    if taken == "container":
        await world.run("c2", port_bindings={"80/tcp": bind("8081")})
    elif taken == "process":
        world.kernel.foreign_ports.add(("tcp", 8081))
    elif taken == "runtime":
        world.runtime.fail_update = System("no such cgroup")
    facts, before = await world.kernel.facts(), world.engine.containers.find("c1")
    book = {place: dict(holders) for place, holders in world.core_ports._held.items()}
    commit = world.store.commit

    def full(changes: Any) -> None:
        raise System("the disk is full")

    if taken == "store":
        world.store.commit = full
    bindings = {"80/tcp": bind("8090"), "81/tcp": bind("8081")}
    with pytest.raises(System, match=text):
        await world.engine.containers.update("c1", HostConfig(port_bindings=bindings, cpu_shares=7))
    world.store.commit = commit
    assert await world.kernel.facts() == facts
    assert world.engine.containers.find("c1") == before
    assert world.core_ports._held == book
    assert world.core.state.intents() == []
    await world.restart()
    assert world.engine.containers.find("c1") == before


async def test_an_automatic_port_lost_in_a_race(world: World) -> None:
    free = world.kernel.ports_free

    async def just_before(ports: Any) -> list[bool]:
        answer = list(await free(ports))
        world.kernel.foreign_ports.add(("tcp", 32768))
        return answer

    world.kernel.ports_free = just_before  # type: ignore[method-assign]
    await world.run("c1", port_bindings={"80/tcp": bind("8080")})
    await publish(world, "c1", p81=bind(""))
    assert shown(world.engine.containers.find("c1")) == [(8080, 80), (32769, 81)]
    assert set(world.core_ports._held) == {("tcp", 8080), ("tcp", 32769)}


@pytest.mark.parametrize("mode", ["host", "none", "container:c0"])
async def test_where_nothing_can_be_published(world: World, mode: str) -> None:
    await world.run("c0")
    await world.run("c1", mode)
    with pytest.raises(InvalidParameter, match="conflicting options: port publishing and the network mode"):
        await publish(world, "c1", p80=bind("8080"))


async def test_on_internal_networks_it_is_said_that_nothing_happens(world: World) -> None:
    await world.engine.networks.create(NetworkRequest(name="inner", internal=True))
    await world.run("c1", "inner")
    warnings = await publish(world, "c1", p80=bind("8080"))
    assert warnings == ["Published ports are discarded: no network of the container leads outside"]
    assert not await of(world, HeldPort)
    await world.engine.networks.create(NetworkRequest(name="outer"))
    await world.engine.networks.connect("outer", "c1", EndpointRequest())
    assert await forwarded(world) == {"8080"}


async def test_bad_bindings_are_refused_before_anything_changes(world: World) -> None:
    await world.run("c1", port_bindings={"80/tcp": bind("8080")})
    before = world.engine.containers.find("c1")
    with pytest.raises(InvalidParameter, match="invalid port specification"):
        await publish(world, "c1", p80=bind("http"))
    with pytest.raises(InvalidParameter, match="invalid port specification: '80/x'"):
        await world.engine.containers.update("c1", HostConfig(port_bindings={"80/x": ()}))
    with pytest.raises(NotFound):
        await publish(world, "nobody", p80=bind("8080"))
    assert world.engine.containers.find("c1") == before


async def test_the_event_says_what_changed(world: World) -> None:
    await world.run("c1", port_bindings={"80/tcp": bind("8080")})
    since = world.clock.now()
    await publish(world, "c1", p80=(), p81=bind("8081", "", "9000-9001", host_ip="127.0.0.1"))
    await world.engine.containers.update("c1", HostConfig(cpu_shares=512))
    events: list[Event] = [e for e in world.core.events._past if e.time >= since]
    assert [e.action for e in events] == ["update", "update"]
    assert events[0].attributes["published"] == (
        "127.0.0.1:8081:81/tcp, 127.0.0.1::81/tcp, 127.0.0.1:9000-9001:81/tcp"
    )
    assert events[0].attributes["unpublished"] == "8080:80/tcp"
    assert not {"published", "unpublished"} & set(events[1].attributes)


async def test_limits_of_a_running_container(world: World) -> None:
    container = await world.run("c1", memory=64 * MB, memory_swap=128 * MB, pids_limit=10)
    changes = HostConfig(memory=96 * MB, cpu_shares=512, cpuset_cpus="0", restart_policy=ALWAYS)
    await world.engine.containers.update("c1", changes)
    host = world.engine.containers.find("c1").host
    assert (host.memory, host.memory_swap, host.cpu_shares, host.pids_limit) == (96 * MB, 128 * MB, 512, 10)
    assert host.restart_policy == ALWAYS
    assert world.runtime.limits[container.id] == host
    await world.engine.containers.update("c1", HostConfig(restart_policy=RestartPolicy(name="no")))
    assert world.engine.containers.find("c1").host.restart_policy.name == "no"
    assert world.runtime.limits[container.id] == host


async def test_limits_of_a_stopped_container_hold_from_its_start(world: World) -> None:
    await world.run("c1")
    await world.engine.containers.stop("c1", 0, "")
    await world.engine.containers.update("c1", HostConfig(cpu_shares=512))
    assert world.runtime.limits == {}
    await world.engine.containers.start("c1")
    (launch,) = world.runtime.launches.values()
    assert launch.container.host.cpu_shares == 512


ALWAYS = RestartPolicy(name="always")


@pytest.mark.parametrize(
    ("given", "changes", "kind", "text"),
    [
        ({}, {"memory": 64 * MB}, Conflict, "should be smaller than already set memoryswap limit"),
        ({"memory": 64 * MB, "memory_swap": 64 * MB}, {"memory": 65 * MB}, Conflict, "memoryswap"),
        ({}, {"memory": 1}, InvalidParameter, "Minimum memory limit allowed is 6MB"),
        ({}, {"memory_swap": -2}, InvalidParameter, "invalid memoryswap limit -2: use bytes, or -1 for"),
        ({"nano_cpus": 10**9}, {"cpu_quota": 50_000}, Conflict, "CPU Quota cannot be updated as NanoCPUs"),
        ({"cpu_period": 50_000}, {"nano_cpus": 10**9}, Conflict, "as CPU Period has already been set"),
        ({"auto_remove": True}, {"restart_policy": ALWAYS}, Conflict, "because AutoRemove is enabled"),
        (
            {},
            {"restart_policy": RestartPolicy(name="always", maximum_retry_count=3)},
            InvalidParameter,
            "maximum retry count can only be used with 'on-failure'",
        ),
    ],
)
async def test_refused_limits(
    world: World, given: dict[str, Any], changes: dict[str, Any], kind: type[Fault], text: str
) -> None:
    container = await world.run("c1", **given)
    with pytest.raises(kind, match=text) as refused:
        await world.engine.containers.update("c1", HostConfig(**changes))
    if kind is Conflict:
        assert refused.value.message.startswith(f"Cannot update container {container.id}: ")
    assert world.engine.containers.find("c1") == container


async def test_an_update_that_was_cut_off_did_not_happen() -> None:
    world = World(mortal=True)
    provide(world)
    await world.engine.start()
    await world.run("c1", port_bindings={"80/tcp": bind("8080")})
    facts, before = await world.kernel.facts(), world.engine.containers.find("c1")

    async def last_thing(container: str, host: HostConfig) -> None:
        world._life.over = True
        raise Killed

    update = world.runtime.update
    world.runtime.update = last_thing  # type: ignore[method-assign]
    bindings = {"80/tcp": bind("8090")}
    with pytest.raises(Killed):
        await world.engine.containers.update("c1", HostConfig(port_bindings=bindings, cpu_shares=7))
    assert await world.kernel.facts() != facts
    await world.kill()
    world.runtime.update = update  # type: ignore[method-assign]
    await world.start_again()
    assert world.engine.containers.find("c1") == before
    assert await world.kernel.facts() == facts
    assert world.runtime.limits[before.id] == before.host
    await world.engine.close()
