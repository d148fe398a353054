"""The verbs of containers, on fakes."""

import asyncio
from typing import Any

import pytest

from fairway.model.container import Config, Container, HostConfig, PortBinding, RestartPolicy
from fairway.model.errors import Conflict, Fault, InvalidParameter, NotFound, NotModified, System
from fairway.model.network import EndpointRequest
from fairway.model.process import Streams
from fairway.model.request import ContainerRequest, NetworkRequest, PruneFilter
from fairway.plan import Namespace, Overlay, Step, Veth
from unit.engine.world import World


async def create(world: World, name: str = "", config: Config | None = None, **host: object) -> Container:
    request = ContainerRequest(
        name=name,
        config=config or Config(image="busybox"),
        host=HostConfig(**host),  # type: ignore[arg-type]
    )
    container, _ = await world.engine.containers.create(request)
    return container


def status(world: World, name: str) -> str:
    return world.engine.containers.find(name).state.status


async def test_a_life(world: World) -> None:
    before = await world.kernel.facts()
    container = await world.run("c1")
    assert status(world, "c1") == "running"
    facts = await world.kernel.facts()
    assert any(isinstance(f, Overlay) for f in facts)
    assert any(isinstance(f, Namespace) for f in facts)
    launch = world.runtime.launches[container.id]
    assert launch.namespace.startswith("/run/x/netns/")
    assert launch.hostname == container.id[:12]
    assert set(launch.files) == {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}
    assert f"172.17.0.2\t{container.id[:12]}\n" in world.files.texts[container.id, "hosts"]
    waiter = world.engine.containers.waiter("c1", "next-exit")
    world.runtime.end(container.id, 3)
    assert (await waiter).code == 3
    await world.settle()
    assert status(world, "c1") == "exited"
    assert await world.kernel.facts() == before
    await world.engine.containers.remove("c1", volumes=False, force=False, link=False)
    with pytest.raises(NotFound, match="No such container: c1"):
        world.engine.containers.find("c1")


async def test_addresses_are_lowest_free_and_sticky(world: World) -> None:
    await world.run("a1")
    await world.run("b1")
    await world.engine.containers.stop("a1", 0, "")
    await world.run("c2")
    assert world.address("c2", "bridge") == "172.17.0.2/16"
    await world.engine.containers.stop("b1", 0, "")
    await world.engine.containers.start("a1")
    await world.engine.containers.start("b1")
    assert world.address("b1", "bridge") == "172.17.0.4/16"
    await world.engine.containers.restart("b1", 0, "")
    assert world.address("b1", "bridge") == "172.17.0.4/16"


@pytest.mark.parametrize("where", ["veth", "create", "start"])
async def test_a_failed_start_takes_everything_back(world: World, where: str) -> None:
    container = await create(world, "cc")
    before = await world.kernel.facts()
    if where == "veth":
        world.kernel.fail = lambda s: System("boom") if isinstance(s.fact, Veth) and s.present else None
    else:
        setattr(world.runtime, f"fail_{where}", System("boom"))
    with pytest.raises(System, match="boom"):
        await world.engine.containers.start("cc")
    assert await world.kernel.facts() == before
    state = world.engine.containers.find("cc").state
    assert (state.status, state.error, state.exit_code) == ("created", "boom", 128)
    assert world.address("cc", "bridge") == ""
    assert world.resolver.zones == {}
    world.kernel.fail, world.runtime.fail_create, world.runtime.fail_start = None, None, None
    await world.engine.containers.start("cc")
    assert world.address("cc", "bridge") == "172.17.0.2/16"
    assert world.engine.containers.find(container.id).state.error == ""


@pytest.mark.parametrize(
    ("text", "code"),
    [("executable file not found in $PATH", 127), ("permission denied", 126), ("whatever", 128)],
)
async def test_exit_code_of_a_failed_start(world: World, text: str, code: int) -> None:
    world.runtime.fail_create = InvalidParameter(text)
    await create(world, "cc")
    with pytest.raises(InvalidParameter):
        await world.engine.containers.start("cc")
    assert world.engine.containers.find("cc").state.exit_code == code


async def test_auto_remove(world: World) -> None:
    container = await world.run("c1", auto_remove=True)
    removed = world.engine.containers.waiter("c1", "removed")
    world.runtime.end(container.id, 5)
    assert (await removed).code == 5
    assert world.engine.containers.all() == []
    world.runtime.fail_create = System("boom")
    await create(world, "c2", auto_remove=True)
    with pytest.raises(System):
        await world.engine.containers.start("c2")
    assert world.engine.containers.all() == []


async def test_stop_asks_then_kills(world: World) -> None:
    await world.run("c1")
    world.runtime.ignore_term = True
    await world.engine.containers.stop("c1", 0, "")
    state = world.engine.containers.find("c1").state
    assert (state.status, state.exit_code) == ("exited", 137)
    with pytest.raises(NotModified):
        await world.engine.containers.stop("c1", 0, "")


@pytest.mark.parametrize(
    ("policy", "code", "expected"),
    [
        (RestartPolicy(name="always"), 0, "running"),
        (RestartPolicy(name="on-failure"), 0, "exited"),
        (RestartPolicy(name="on-failure"), 1, "running"),
        (RestartPolicy(name="unless-stopped"), 0, "running"),
        (RestartPolicy(), 1, "exited"),
    ],
)
async def test_restart_policies(world: World, policy: RestartPolicy, code: int, expected: str) -> None:
    container = await world.run("c1", restart_policy=policy)
    exited = world.engine.containers.waiter("c1", "next-exit")
    world.runtime.end(container.id, code)
    await exited
    for _ in range(100):
        if status(world, "c1") == expected:
            break
        await asyncio.sleep(0.001)
    assert status(world, "c1") == expected
    assert world.engine.containers.find("c1").state.restart_count == (expected == "running")


async def test_a_users_stop_is_final(world: World) -> None:
    await world.run("c1", restart_policy=RestartPolicy(name="always"))
    await world.engine.containers.stop("c1", 0, "")
    await world.settle()
    assert status(world, "c1") == "exited"


async def test_names_are_unique_and_free_again(world: World) -> None:
    first = await create(world, "cc")
    with pytest.raises(Conflict, match=f'"/cc" is already in use by container "{first.id}"'):
        await create(world, "cc")
    await world.engine.containers.rename("cc", "dd")
    await create(world, "cc")
    with pytest.raises(Conflict):
        await world.engine.containers.rename("dd", "cc")
    results = await asyncio.gather(*(create(world, "ee") for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(r, Container) for r in results) == 1


async def test_modes(world: World) -> None:
    owner = await world.run("owner")
    joined = await world.run("joined", f"container:{owner.name}")
    assert world.runtime.launches[joined.id].namespace == world.runtime.launches[owner.id].namespace
    assert world.runtime.launches[joined.id].hostname == owner.id[:12]
    assert world.runtime.launches[joined.id].files["/etc/hosts"] == world.files.path(owner.id, "hosts")
    hosted = await world.run("hosted", "host")
    assert world.runtime.launches[hosted.id].namespace == ""
    assert world.runtime.launches[hosted.id].hostname == "thishost"
    assert "thishost" in world.files.texts[hosted.id, "hosts"]
    alone = await world.run("alone", "none")
    assert world.runtime.launches[alone.id].namespace
    veths = [f for f in await world.kernel.facts() if isinstance(f, Veth)]
    assert len(veths) == 1


@pytest.mark.parametrize(
    ("mode", "config", "host", "text"),
    [
        ("container:o1", {"hostname": "x"}, {}, "conflicting options: hostname and the network mode"),
        ("container:o1", {}, {"dns": ("1.1.1.1",)}, "conflicting options: dns and the network mode"),
        (
            "container:o1",
            {},
            {"publish_all_ports": True},
            "conflicting options: port publishing and the container type network mode",
        ),
        ("container:o1", {"exposed_ports": {"80/tcp": {}}}, {}, "port exposing"),
        ("container:", {}, {}, "^invalid network mode: invalid container format container:<name|id>$"),
        ("container", {}, {}, "^invalid network mode: invalid container format container:<name|id>$"),
        ("bridge", {"hostname": "a_b"}, {}, "invalid hostname format: a_b"),
        ("bridge", {}, {"memory": 4096}, "Minimum memory limit allowed is 6MB"),
        ("bridge", {}, {"binds": ("rel:/x:wx",)}, "invalid mode"),
        ("bridge", {}, {"binds": ("/a:rel",)}, "mount path must be absolute"),
        ("bridge", {}, {"binds": ("/a:/x", "/b:/x")}, "Duplicate mount point: /x"),
        ("bridge", {"working_dir": "rel"}, {}, "needs to be an absolute path"),
        ("bridge", {}, {"extra_hosts": ("nohost",)}, "use name:address"),
    ],
)
async def test_refusals(
    world: World, mode: str, config: dict[str, object], host: dict[str, object], text: str
) -> None:
    await world.run("o1")
    with pytest.raises(InvalidParameter, match=text):
        await create(world, "x1", Config(image="busybox", **config), network_mode=mode, **host)  # type: ignore[arg-type]
    assert [c.name for c in world.engine.containers.all()] == ["o1"]


async def test_a_container_cannot_share_its_own_network(world: World) -> None:
    await create(world, "me", network_mode="container:me")
    with pytest.raises(System, match=r"^cannot join own network namespace$"):
        await world.engine.containers.start("me")
    with pytest.raises(System, match=r"^Cannot restart container me: cannot join own network namespace$"):
        await world.engine.containers.restart("me", None, "")


async def test_a_hostname_that_is_a_whole_domain_name_is_known_by_its_first_part(world: World) -> None:
    for name, hostname, domain in (("c1", "a.b.c", ""), ("c2", "a", "b.c"), ("c3", "a.b", "c")):
        made = await create(world, name, Config(image="busybox", hostname=hostname, domainname=domain))
        await world.engine.containers.start(made.id)
        assert world.files.texts[made.id, "hosts"].splitlines()[-1].split()[1:] == ["a.b.c", "a"]


async def test_unknown_references(world: World) -> None:
    await create(world, "joiner", network_mode="container:nosuch")
    with pytest.raises(NotFound, match="No such container: nosuch"):
        await world.engine.containers.start("joiner")
    with pytest.raises(NotFound, match="No such image: nosuch"):
        await create(world, config=Config(image="nosuch"))
    await create(world, "late", network_mode="later")
    with pytest.raises(NotFound, match="network later not found"):
        await world.engine.containers.start("late")
    await world.engine.networks.create(NetworkRequest(name="later"))
    await world.engine.containers.start("late")
    assert world.address("late", "later") == "172.18.0.2/16"


async def test_attach_before_start_loses_nothing(world: World) -> None:
    container = await create(world, "cc")
    streams = await world.engine.containers.attach("cc")
    typing = asyncio.ensure_future(type_in(streams, b"hello"))
    await world.engine.containers.start("cc")
    await typing
    real = world.runtime.streams[container.id]
    assert real.written == b"hello<eof>"
    real.output.put_nowait(("stdout", b"answer"))
    assert await streams.read() == ("stdout", b"answer")


async def type_in(streams: Streams, data: bytes) -> None:
    await streams.write(data)
    await streams.close_stdin()


async def test_input_before_start_does_not_hold_the_start_up(world: World) -> None:
    """A process that is yet to start reads nothing, however much a client has sent."""
    container = await create(world, "cc")
    streams = await world.engine.containers.attach("cc")
    world.runtime.reads = asyncio.Event()
    typing = asyncio.ensure_future(type_in(streams, b"more than a pipe holds"))
    await world.engine.containers.start("cc")
    assert world.engine.containers.find("cc").state.running
    world.runtime.reads.set()
    await typing
    assert world.runtime.streams[container.id].written.endswith(b"<eof>")


async def test_attach_while_it_starts(world: World) -> None:
    """Also one who comes between the process' streams and its being known to run."""
    container = await create(world, "cc")
    attached: list[Streams] = []

    async def attach() -> None:
        attached.append(await world.engine.containers.attach("cc"))

    world.runtime.before_start = attach
    await world.engine.containers.start("cc")
    world.runtime.streams[container.id].output.put_nowait(("stdout", b"answer"))
    assert await attached[0].read() == ("stdout", b"answer")


async def test_streams_that_cannot_be_bound_end(world: World) -> None:
    await create(world, "cc")
    streams = await world.engine.containers.attach("cc")
    world.runtime.fail_attach = System("its monitor is gone")
    with pytest.raises(System):
        await world.engine.containers.start("cc")
    assert await streams.read() is None


async def test_attach_to_a_start_that_fails_ends(world: World) -> None:
    await create(world, "cc")
    streams = await world.engine.containers.attach("cc")
    world.runtime.fail_create = System("boom")
    with pytest.raises(System):
        await world.engine.containers.start("cc")
    assert await streams.read() is None


async def test_volumes_follow_containers(world: World) -> None:
    container = await create(world, "cc", Config(image="busybox", volumes={"/data": {}}), binds=("named:/n",))
    volumes = {v.name: v.anonymous for v in world.engine.volumes.all()}
    assert sorted(volumes.values()) == [False, True]
    assert {m.destination for m in container.mounts} == {"/data", "/n"}
    with pytest.raises(Conflict, match="volume is in use"):
        await world.engine.volumes.remove("named", force=False)
    await world.engine.containers.remove("cc", volumes=True, force=False, link=False)
    assert [v.name for v in world.engine.volumes.all()] == ["named"]
    assert await world.engine.volumes.prune(PruneFilter()) == ([], 0)
    assert await world.engine.volumes.prune(PruneFilter(all=True)) == (["named"], 3)


async def test_remove_needs_force_when_running(world: World) -> None:
    await world.run("c1")
    with pytest.raises(Conflict, match='cannot remove container "c1": container is running'):
        await world.engine.containers.remove("c1", volumes=False, force=False, link=False)
    await world.engine.containers.remove("c1", volumes=False, force=True, link=False)
    assert world.engine.containers.all() == []


async def test_restart_of_the_daemon_changes_nothing(world: World) -> None:
    await world.engine.networks.create(NetworkRequest(name="web"))
    await world.run("c1", "web", EndpointRequest(aliases=("db",)))
    before, address = await world.kernel.facts(), world.address("c1", "web")
    engine = await world.restart()
    assert await world.kernel.facts() == before
    assert engine.containers.find("c1").state.status == "running"
    assert world.address("c1", "web") == address
    await world.run("c2", "web")
    assert world.address("c2", "web") == "172.18.0.3/16"
    assert set(world.names("web")) >= {"c1", "db", "c2"}
    ended = engine.containers.find("c1")
    await world.engine.close()
    world.runtime.end(ended.id, 9)
    await world.restart()
    await world.settle()
    state = world.engine.containers.find("c1").state
    assert (state.status, state.exit_code) == ("exited", 9)


async def test_a_flushed_kernel_is_rebuilt(world: World) -> None:
    await world.engine.networks.create(NetworkRequest(name="web"))
    await world.run("c1", "web")
    before = await world.kernel.facts()

    def gone(step: Step) -> Fault | None:
        return None

    world.kernel.fail = gone
    world.kernel._facts.clear()
    await world.restart()
    assert await world.kernel.facts() == before


async def test_an_interrupted_operation_is_rolled_back(world: World) -> None:
    """The daemon dies between the commit and the kernel: nobody was told, so nothing remains."""

    class Killed(BaseException):
        pass

    def die(step: Step) -> Fault | None:
        raise Killed

    before = await world.kernel.facts()
    await create(world, "cc")
    rows = world.store._rows
    world.kernel.fail = die
    for operation in (
        lambda: world.engine.networks.create(NetworkRequest(name="web")),
        lambda: world.engine.containers.start("cc"),
    ):
        snapshot: list[object] = []
        original = world.store.commit

        def record(changes: object, original: object = original, snapshot: list[object] = snapshot) -> None:
            original(changes)  # type: ignore[operator]
            snapshot.append(world.store._rows)

        world.store.commit = record
        with pytest.raises(Killed):
            await operation()
        world.store.commit = original
        world.store._rows = snapshot[0]
    world.kernel.fail = None
    assert rows is not world.store._rows
    await world.restart()
    assert await world.kernel.facts() == before
    assert world.engine.containers.find("cc").state.status == "created"
    with pytest.raises(NotFound):
        world.engine.networks.find("web")


async def test_devices_that_only_a_vendors_driver_gives_are_refused(world: World) -> None:
    wanted = {"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}
    with pytest.raises(
        InvalidParameter, match=r'could not select device driver "" with capabilities: \[\[gpu\]\]'
    ):
        await create(world, "gg", device_requests=(wanted,))


async def test_prune_goes_on_when_someone_else_removes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = await create(world, "first"), await create(world, "second")
    measure = world.images.writable_size

    async def slowly(reference: str) -> int:
        size = await measure(reference)
        if reference == second.id:
            await world.engine.containers.remove(first.id, volumes=False, force=False, link=False)
        return size

    monkeypatch.setattr(world.images, "writable_size", slowly)
    assert await world.engine.containers.prune(PruneFilter()) == ([second.id], 7)


@pytest.mark.parametrize(
    "asked",
    [
        {"exposed_ports": {"²/tcp": {}}},
        {"stop_signal": "²"},
        {"working_dir": "/a\0b"},
        {"cmd": ("a\0b",)},
        {"mac_address": "01:00:00:00:00:01"},
    ],
)
async def test_what_the_kernel_could_not_take_is_refused(world: World, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter):
        await create(world, "cc", Config(image="busybox", **asked))


@pytest.mark.parametrize(
    "asked",
    [
        {"port_bindings": {"80/tcp": (PortBinding(host_port="²"),)}},
        {"port_bindings": {"²": (PortBinding(),)}},
        {"binds": ("/a\0b:/x",)},
        {"tmpfs": {"/a\0b": ""}},
        {"sysctls": {"net.\0": "1"}},
    ],
)
async def test_what_the_host_could_not_take_is_refused(world: World, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter):
        await create(world, "cc", **asked)


async def test_who_removes_a_container_that_is_being_created_waits_for_it(world: World) -> None:
    """Else its volume stays, and the container comes back."""
    request = ContainerRequest(name="cc", config=Config(image="busybox", volumes={"/data": {}}))
    creating = asyncio.ensure_future(world.engine.containers.create(request))
    while not world.core.state.container_named("cc"):
        await asyncio.sleep(0)
    await world.engine.containers.remove("cc", volumes=True, force=False, link=False)
    await creating
    assert world.engine.containers.all() == []
    assert world.core.state.volumes == {}
    assert world.files.volumes == set()
