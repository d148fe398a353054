"""What fails in the middle, and what a daemon finds when it starts."""

import asyncio

import msgspec
import pytest

from fairway.engine.dependence import by_dependence
from fairway.model.address import Address as AddressText
from fairway.model.address import Cidr
from fairway.model.container import Config, HostConfig, MountRequest, PortBinding, RestartPolicy
from fairway.model.errors import Conflict, InvalidParameter, NotFound, System
from fairway.model.network import EndpointRequest
from fairway.model.request import ContainerRequest, NetworkRequest, PruneFilter, VolumeRequest
from fairway.plan import Address, Fact, HeldPort, Namespace, Plan, Resolver, Route, Step, Veth, establish
from unit.engine.world import World


@pytest.fixture(autouse=True)
def port_range(world: World) -> None:
    world.kernel._sysctls["", "net/ipv4/ip_local_port_range"] = "32768\t32770"


async def create(world: World, name: str, mode: str = "bridge", **host: object) -> str:
    request = ContainerRequest(
        name=name,
        config=Config(image="busybox"),
        host=HostConfig(network_mode=mode, **host),  # type: ignore[arg-type]
    )
    return (await world.engine.containers.create(request))[0].id


def namespace(world: World, container: str) -> str:
    return world.runtime.launches[world.engine.containers.find(container).id].namespace


async def test_who_joins_a_joined_container_shares_the_first_ones_network(world: World) -> None:
    await world.run("aa")
    await world.run("bb", "container:aa")
    await world.run("cc", "container:bb")
    assert namespace(world, "cc") == namespace(world, "bb") == namespace(world, "aa") != ""


async def test_a_peer_that_ends_meanwhile_never_means_the_hosts_network(world: World) -> None:
    peer = await world.run("aa")
    await create(world, "bb", "container:aa")
    starting = asyncio.ensure_future(world.engine.containers.start("bb"))
    await asyncio.sleep(0)
    state = world.core.state
    state.displace(state.sandboxes[peer.sandbox])
    with pytest.raises(Conflict, match="cannot join network namespace of a non running container"):
        await starting
    assert "bb" not in {launch.container.name for launch in world.runtime.launches.values()}


async def test_a_failure_before_the_kernel_gives_everything_back(world: World) -> None:
    container = await create(world, "cc", port_bindings={"80/tcp": (PortBinding(host_port="8080"),)})
    prepare = world.core.images.prepare

    async def full(*_: str) -> None:
        raise System("no space left on device")

    world.core.images.prepare = full  # type: ignore[method-assign, assignment]
    with pytest.raises(System, match="no space left"):
        await world.engine.containers.start("cc")
    assert world.address("cc", "bridge") == ""
    assert world.core.state.intents() == []
    world.core.images.prepare = prepare  # type: ignore[method-assign]
    await world.engine.containers.start("cc")
    assert world.address("cc", "bridge") == "172.17.0.2/16"
    assert [p.host_port for p in world.engine.containers.find(container).ports] == [8080]


async def test_a_name_that_is_taken_inside_costs_no_address(world: World) -> None:
    await world.engine.networks.create(NetworkRequest(name="n1"))
    await world.run("cc")
    request = EndpointRequest(driver_options={"com.docker.network.endpoint.ifname": "eth0"})
    with pytest.raises(InvalidParameter, match="already used"):
        await world.engine.networks.connect("n1", "cc", request)
    await world.engine.networks.connect("n1", "cc", EndpointRequest())
    assert world.address("cc", "n1") == "172.18.0.2/16"


async def test_a_port_that_cannot_be_tried_is_not_kept(world: World) -> None:
    world.kernel._sysctls["", "net/ipv4/ip_local_port_range"] = "32768\t32768"
    await create(world, "cc", port_bindings={"80/tcp": (PortBinding(),)})
    ports_free = world.kernel.ports_free

    async def fails(ports: object) -> list[bool]:
        raise System("the kernel refuses")

    world.kernel.ports_free = fails  # type: ignore[method-assign]
    with pytest.raises(System, match="refuses"):
        await world.engine.containers.start("cc")
    world.kernel.ports_free = ports_free  # type: ignore[method-assign]
    await world.engine.containers.start("cc")


@pytest.mark.parametrize("culprit", ["runtime", "resolver", "kernel"])
async def test_an_end_is_an_end_whoever_fails(world: World, culprit: str) -> None:
    await world.engine.networks.create(NetworkRequest(name="n1"))
    container = await world.run("cc", "n1")
    delete = world.runtime.delete

    async def fails(_: str) -> None:
        raise System("cannot delete")

    if culprit == "runtime":
        world.runtime.delete = fails  # type: ignore[method-assign, assignment]
    elif culprit == "resolver":
        world.resolver.dead = True
    else:
        world.kernel.fail = lambda s: System("no") if isinstance(s.fact, Namespace) else None
    waiter = world.engine.containers.waiter("cc", "next-exit")
    world.runtime.end(container.id, 4)
    assert (await waiter).code == 4
    await world.settle()
    assert world.engine.containers.find("cc").state.status == "exited"
    assert world.address("cc", "n1") == ""
    world.runtime.delete = delete  # type: ignore[method-assign]
    world.resolver.dead, world.kernel.fail = False, None
    await world.restart()
    assert not any(isinstance(f, Namespace) for f in await world.kernel.facts())
    assert world.runtime.ends == {}
    assert world.resolver.zones == {}


async def test_an_end_that_the_runtime_does_not_know_of(world: World) -> None:
    container = await world.run("cc")
    world.runtime.ends.clear()
    await world.restart()
    await world.settle()
    state = world.engine.containers.find(container.id).state
    assert (state.status, state.exit_code) == ("exited", 255)


async def test_rm_is_kept_when_the_daemon_was_away(world: World) -> None:
    container = await world.run("cc", auto_remove=True)
    found = world.engine.containers.find(container.id)
    state = msgspec.structs.replace(found.state, status="exited")
    await world.core.state.commit(msgspec.structs.replace(found, state=state))
    await world.restart()
    with pytest.raises(NotFound):
        world.engine.containers.find("cc")


async def test_a_removal_that_fails_can_be_repeated(world: World) -> None:
    await create(world, "cc")
    discard = world.core.images.discard

    async def busy(_: str) -> None:
        raise System("device or resource busy")

    world.core.images.discard = busy  # type: ignore[method-assign, assignment]
    with pytest.raises(System, match="busy"):
        await world.engine.containers.remove("cc", volumes=False, force=False, link=False)
    assert world.engine.containers.find("cc").state.status == "dead"
    with pytest.raises(Conflict, match="marked for removal"):
        await world.engine.containers.start("cc")
    world.core.images.discard = discard  # type: ignore[method-assign]
    await world.engine.containers.remove("cc", volumes=False, force=False, link=False)
    assert world.engine.containers.all() == []


async def test_a_removal_that_was_cut_off_is_finished(world: World) -> None:
    id_ = await create(world, "cc")
    found = world.engine.containers.find(id_)
    state = msgspec.structs.replace(found.state, status="removing")
    await world.core.state.commit(msgspec.structs.replace(found, state=state))
    await world.restart()
    assert world.engine.containers.all() == []


async def test_a_restart_of_a_container_with_rm_keeps_it(world: World) -> None:
    await world.run("cc", auto_remove=True)
    await world.engine.containers.restart("cc", 0, "")
    container = world.engine.containers.find("cc")
    assert (container.state.status, container.host.auto_remove) == ("running", True)
    removed = world.engine.containers.waiter("cc", "removed")
    world.runtime.end(container.id, 0)
    await removed


async def test_force_removes_what_is_started_meanwhile(world: World) -> None:
    await create(world, "cc")
    starting = asyncio.ensure_future(world.engine.containers.start("cc"))
    await asyncio.sleep(0)
    await world.engine.containers.remove("cc", volumes=False, force=True, link=False)
    await starting
    assert world.engine.containers.all() == []


async def test_what_a_container_configured_itself_stays(world: World) -> None:
    await world.run("cc")
    await world.run("dd")
    path = namespace(world, "cc")
    own: list[Fact] = [
        Address(path, "eth0", Cidr("10.99.0.1/24")),
        Route(path, Cidr("10.98.0.0/24"), AddressText("10.99.0.2"), "eth0"),
    ]
    await world.kernel.apply(establish(own))
    before = await world.kernel.facts()
    await world.restart()
    assert await world.kernel.facts() == before


async def test_a_lost_resolver_disturbs_nothing_that_is_under_way(world: World) -> None:
    await world.engine.networks.create(NetworkRequest(name="n1"))
    await world.run("cc", "n1")
    world.resolver.come_back()
    for fact in await world.kernel.facts():
        if isinstance(fact, Resolver):
            world.kernel.lose(fact)
    await create(world, "dd", "n1")
    await asyncio.gather(world.engine.containers.start("dd"), world.engine.resolver_lost())
    await world.quiet()
    facts = await world.kernel.facts()
    assert len([f for f in facts if isinstance(f, Resolver)]) == 2
    assert len([f for f in facts if isinstance(f, Veth)]) == 2
    assert len(world.resolver.zones) == 2


async def test_a_new_port_holder_gets_all_ports_but_those_that_others_took(world: World) -> None:
    ports = {f"{n}/tcp": (PortBinding(host_port=str(8000 + n)),) for n in range(1, 4)}
    await world.run("web", port_bindings=ports)
    await world.run("db", port_bindings={"5/udp": (PortBinding(host_port="8005"),)})
    held = {f for f in await world.kernel.facts() if isinstance(f, HeldPort)}
    for fact in held:
        world.kernel.lose(fact)
    world.kernel.foreign_ports.add(("tcp", 8002))
    await world.engine.ports_lost()
    for _ in range(300):  # it is tried again and again, and so never quiet
        await asyncio.sleep(0)
    left = {f.port for f in await world.kernel.facts() if isinstance(f, HeldPort)}
    assert left == {8001, 8003, 8005}
    world.kernel.foreign_ports.clear()
    await world.engine.ports_lost()
    await world.quiet()
    assert {f for f in await world.kernel.facts() if isinstance(f, HeldPort)} == held


async def test_leaving_the_last_network_with_names_ends_the_resolver(world: World) -> None:
    await world.engine.networks.create(NetworkRequest(name="n1"))
    container = await world.run("cc")
    without = world.files.texts[container.id, "resolv.conf"]
    await world.engine.networks.connect("n1", "cc", EndpointRequest())
    assert "127.0.0.11" in world.files.texts[container.id, "resolv.conf"]
    await world.engine.networks.disconnect("n1", "cc", False)
    assert world.files.texts[container.id, "resolv.conf"] == without
    assert world.resolver.zones == {}
    assert not any(isinstance(f, Resolver) for f in await world.kernel.facts())


async def test_a_container_between_two_restarts_can_be_connected(world: World) -> None:
    await world.engine.networks.create(NetworkRequest(name="n1"))
    await create(world, "cc")
    found = world.engine.containers.find("cc")
    state = msgspec.structs.replace(found.state, status="restarting")
    await world.core.state.commit(msgspec.structs.replace(found, state=state))
    await world.engine.networks.connect("n1", "cc", EndpointRequest())
    await world.restart()
    await world.quiet()
    assert world.engine.containers.find("cc").state.status == "running"
    assert world.address("cc", "n1") == "172.18.0.2/16"


async def test_a_policys_restart_that_was_cut_off_is_tried_again(world: World) -> None:
    policy = RestartPolicy(name="on-failure")
    await create(world, "cc", restart_policy=policy)
    found = world.engine.containers.find("cc")
    state = msgspec.structs.replace(found.state, status="restarting", started=1, exit_code=1)
    found = msgspec.structs.replace(found, state=state)
    await world.core.state.commit(found, begin=found)
    await world.restart()
    await world.quiet()
    assert world.engine.containers.find("cc").state.status == "running"


async def test_a_network_that_cannot_be_made_takes_its_starting_container_along(world: World) -> None:
    """The container waits for the network, and does not find it."""

    def fail(step: Step) -> System | None:
        return System("boom") if step.present and isinstance(step.fact, Address) else None

    world.kernel.fail = fail
    making = asyncio.ensure_future(world.engine.networks.create(NetworkRequest(name="n1")))
    while not world.core.state.network_named("n1"):
        await asyncio.sleep(0)
    await create(world, "cc", "n1")
    with pytest.raises(NotFound, match="n1 not found"):
        await world.engine.containers.start("cc")
    with pytest.raises(System, match="boom"):
        await making
    assert world.core.state.endpoints == {}


async def test_who_needs_others_is_started_after_them(world: World) -> None:
    """After a reboot of the host: link targets, and those whose namespaces are shared, come first."""
    always = RestartPolicy(name="always")
    await world.run("db", restart_policy=always)
    await world.run("web", links=("db",), restart_policy=always)
    await world.run("proxy", "container:web", restart_policy=always)
    await world.run("watcher", pid_mode="container:proxy", restart_policy=always)
    table = world.core.state.containers
    for id_ in reversed(list(table)):
        table[id_] = table.pop(id_)
    names = [c.name for c in by_dependence(world.core.state)]
    assert names == ["db", "web", "proxy", "watcher"]
    world.runtime.ends.clear()
    await world.restart()
    await world.quiet()
    assert {c.name: c.state.status for c in world.engine.containers.all()} == dict.fromkeys(names, "running")


@pytest.mark.parametrize(
    ("policy", "ended", "status"),
    [
        ("no", None, "exited"),
        ("no", 1, "exited"),
        ("always", None, "running"),
        ("always", "stop", "running"),
        ("unless-stopped", None, "running"),
        ("unless-stopped", "stop", "exited"),
        ("unless-stopped", "failed", "running"),
        ("on-failure", None, "running"),
        ("on-failure", "stop", "exited"),
        ("on-failure", 0, "exited"),
        ("on-failure", "failed", "running"),
        ("on-failure:1", None, "running"),
        ("on-failure:1", 1, "exited"),
    ],
)
async def test_who_comes_back_with_the_host(
    world: World, policy: str, ended: int | str | None, status: str
) -> None:
    """As in Docker (moby, ``ShouldRestart``); ``failed``: the policy's restart did not succeed."""
    name, _, most = policy.partition(":")
    given = RestartPolicy(name=name, maximum_retry_count=int(most or 0))  # type: ignore[arg-type]
    container = await world.run("cc", restart_policy=given)
    if ended == "stop":
        await world.engine.containers.stop("cc", 0, "")
    elif ended == "failed":
        world.runtime.fail_start = System("port is already allocated")
        world.runtime.end(container.id, 1)
        await world.quiet()
        world.runtime.fail_start = None
        assert world.engine.containers.find("cc").state.status == "exited"
    elif isinstance(ended, int):
        for _ in range(int(most or 0) + 1):
            world.runtime.end(container.id, ended)
            await world.quiet()
    world.runtime.ends.clear()
    world.kernel._facts.clear()
    await world.restart()
    await world.quiet()
    state = world.engine.containers.find("cc").state
    assert state.status == status
    if ended is None and status == "exited":
        assert state.exit_code == 255


async def test_who_needs_one_that_is_just_coming_back_waits_for_it(world: World) -> None:
    always = RestartPolicy(name="always")
    await world.run("web", restart_policy=always)
    for name in ("one", "two", "three"):
        await world.run(name, "container:web", restart_policy=always)
        await world.engine.containers.stop(name, 0, "")
    world.runtime.ends.clear()
    world.kernel._facts.clear()
    await world.restart()
    await world.quiet()
    assert {c.state.status for c in world.engine.containers.all()} == {"running"}
    assert len({namespace(world, c.name) for c in world.engine.containers.all()}) == 1


async def test_who_need_each_other_do_not_wait_for_ever(world: World) -> None:
    always = RestartPolicy(name="always")
    await world.run("one", restart_policy=always)
    await world.run("two", pid_mode="container:one", restart_policy=always)
    await world.engine.containers.rename("one", "old")
    await world.engine.containers.rename("two", "one")  # shares its own namespace from its next start on
    world.runtime.ends.clear()
    await world.restart()
    await world.quiet()
    assert {c.name: c.state.status for c in world.engine.containers.all()} == {
        "old": "running",
        "one": "exited",
    }


async def test_an_address_that_the_host_lacks_is_tried_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other automatic port would do."""
    tried, apply = [], world.kernel.apply

    async def refuse(plan: Plan) -> None:
        if any(isinstance(fact, HeldPort) for fact in plan.facts()):
            tried.append(plan)
            raise System("listen tcp4 192.0.2.1:32768: bind: cannot assign requested address")
        await apply(plan)

    monkeypatch.setattr(world.kernel, "apply", refuse)
    with pytest.raises(System, match=r"bind host port 192\.0\.2\.1:32768/tcp: cannot assign requested"):
        await world.run("cc", port_bindings={"80/tcp": (PortBinding(host_ip="192.0.2.1"),)})
    assert len(tried) == 1
    assert not world.core_ports._held


@pytest.mark.parametrize("told", [False, True])
async def test_a_freeze_that_was_cut_off_is_taken_back(world: World, told: bool) -> None:
    """Otherwise nothing could stop a container that is frozen and said to run."""
    container = await world.run("aa")
    if told:
        await world.engine.containers.pause("aa")
    before = world.engine.containers.find("aa")
    changed = msgspec.structs.replace(before.state, status="running" if told else "paused")
    await world.core.state.commit(msgspec.structs.replace(before, state=changed), begin=before, before=before)
    world.runtime.frozen ^= {container.id}
    await world.restart()
    assert world.engine.containers.find("aa").state.status == before.state.status
    assert (container.id in world.runtime.frozen) == told


async def test_a_pause_that_fails_leaves_the_container_running(world: World) -> None:
    container = await world.run("aa")
    world.runtime.fail_freeze = System("cannot pause")
    with pytest.raises(System, match="cannot pause"):
        await world.engine.containers.pause("aa")
    world.runtime.fail_freeze = None
    assert world.engine.containers.find("aa").state.status == "running"
    assert container.id not in world.runtime.frozen
    await world.restart()
    assert world.engine.containers.find("aa").state.status == "running"


async def test_a_volume_of_a_container_that_never_was_goes(world: World) -> None:
    volume, new = await world.engine.volumes.begin(VolumeRequest(name="data"))
    assert new and world.files.volumes == {volume.name}
    await world.restart()
    assert not world.files.volumes and not world.engine.volumes.all()


async def test_a_volume_that_another_container_uses_meanwhile_stays(world: World) -> None:
    await world.engine.volumes.begin(VolumeRequest(name="data"))
    await create(world, "aa", binds=("data:/data",))
    await world.restart()
    assert world.files.volumes == {"data"} == {v.name for v in world.engine.volumes.all()}


@pytest.mark.parametrize("volumes", [False, True])
async def test_a_removal_that_was_cut_off_is_finished_as_it_was_asked_for(
    world: World, volumes: bool
) -> None:
    await create(world, "aa", mounts=(MountRequest(type="volume", target="/data"),))
    (name,) = world.files.volumes
    container = world.engine.containers.find("aa")

    async def fail(_: str) -> None:
        raise OSError("as good as dead")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.runtime, "forget", fail)
        patch.setattr(world.core.state, "record", fail)
        with pytest.raises(TypeError):  # what a dead daemon would not have recorded
            await world.engine.containers.remove("aa", volumes=volumes, force=False, link=False)
    assert world.core.state.containers[container.id].state.status == "removing"
    await world.restart()
    assert not world.engine.containers.all()
    assert world.files.volumes == (set() if volumes else {name})


async def test_who_waits_for_a_removal_that_fails_is_told(world: World) -> None:
    await world.run("aa", auto_remove=True)
    container = world.engine.containers.find("aa")
    waiter = world.engine.containers.waiter("aa", "removed")

    async def mounted(_: str) -> None:
        raise Conflict("root filesystem is mounted")

    world.images.discard = mounted  # type: ignore[method-assign, assignment]
    world.runtime.end(container.id, 0)
    with pytest.raises(Conflict, match="mounted"):
        await waiter
    assert world.engine.containers.find("aa").state.status == "dead"


async def test_what_cannot_be_pruned_does_not_keep_the_rest(world: World) -> None:
    stuck = await create(world, "aa")
    await create(world, "bb")
    remove = world.files.remove

    def refuse(id_: str) -> None:
        if id_ == stuck:
            raise System("cannot remove")
        remove(id_)

    world.files.remove = refuse  # type: ignore[method-assign, assignment]
    await world.engine.containers.prune(PruneFilter())
    assert [(c.name, c.state.status) for c in world.engine.containers.all()] == [("aa", "dead")]
