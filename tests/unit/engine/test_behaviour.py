"""Details of containers that Docker's users and tools rely on."""

import asyncio
from typing import Any

import msgspec
import pytest

from fairway.engine.files import resolv_conf
from fairway.model.container import Config, HostConfig
from fairway.model.errors import Conflict, InvalidParameter, NotFound
from fairway.model.request import ContainerRequest
from unit.engine.world import IMAGE, World


async def create(world: World, config: dict[str, Any] | None = None, **host: Any) -> str:
    request = ContainerRequest(
        config=Config(**{"image": "busybox"} | (config or {})), host=HostConfig(**host)
    )
    container, _ = await world.engine.containers.create(request)
    return container.id


async def test_the_hostname_shows_in_the_configuration(world: World) -> None:
    find = world.engine.containers.find
    plain = await create(world)
    assert find(plain).config.hostname == plain[:12]
    assert find(await create(world, network_mode="host")).config.hostname == "thishost"
    assert find(await create(world, uts_mode="host")).config.hostname == "thishost"
    assert find(await create(world, {"hostname": "mine"})).config.hostname == "mine"


@pytest.mark.parametrize(
    "host",
    [
        {"volumes_from": ("nosuch",)},
        {"volume_driver": "nope", "binds": ("data:/x",)},
        {"dns_options": ("a b",)},
        {"dns_search": ("a\nnameserver 1.2.3.4",)},
    ],
    ids=lambda host: next(iter(host)),
)
async def test_what_a_client_could_take_for_a_missing_image_is_a_bad_request(
    world: World, host: dict[str, Any]
) -> None:
    with pytest.raises(InvalidParameter):
        await create(world, **host)
    assert not world.engine.containers.all()


async def test_an_unknown_stop_signal_is_refused(world: World) -> None:
    with pytest.raises(InvalidParameter, match="invalid signal: FOO"):
        await create(world, {"stop_signal": "FOO"})


@pytest.mark.parametrize(
    ("platform", "fault"),
    [
        ("", None),
        ("linux", None),
        ("linux/amd64", None),
        ("Linux/x86_64", None),
        ("linux/arm64", NotFound),
        ("a/b/c/d", InvalidParameter),
    ],
)
async def test_the_image_must_be_of_the_platform(
    world: World, monkeypatch: pytest.MonkeyPatch, platform: str, fault: type[Exception] | None
) -> None:
    image = msgspec.structs.replace(IMAGE, config={**IMAGE.config, "os": "linux", "architecture": "amd64"})
    monkeypatch.setattr("unit.engine.world.IMAGE", image)
    request = ContainerRequest(config=Config(image="busybox"), platform=platform)
    if fault is None:
        await world.engine.containers.create(request)
        return
    with pytest.raises(fault, match="platform"):
        await world.engine.containers.create(request)


async def test_a_paused_container_can_be_killed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.run("cc")
    await world.engine.containers.pause("cc")
    held: list[tuple[str, int]] = []
    kill = world.runtime.kill

    async def frozen(container: str, signal: int) -> None:
        held.append((container, signal))

    async def resume(container: str) -> None:
        for each in held:
            await kill(*each)

    monkeypatch.setattr(world.runtime, "kill", frozen)
    monkeypatch.setattr(world.runtime, "resume", resume)
    await world.engine.containers.kill("cc", "KILL")
    await world.settle()
    assert world.engine.containers.find("cc").state.status == "exited"
    assert [e.action for e in world.engine.events._past if e.type == "container"][-3:] == [
        "unpause",
        "kill",
        "die",
    ]


@pytest.mark.parametrize("verb", ["stop", "restart", "remove"])
async def test_a_paused_container_that_ends_while_it_is_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """Somebody else was quicker: it is stopped all the same."""
    await world.run("cc")
    await world.engine.containers.pause("cc")

    async def ended(container: str) -> None:
        raise Conflict(f"container {container} is not running")

    monkeypatch.setattr(world.runtime, "resume", ended)
    containers = world.engine.containers
    await {
        "stop": lambda: containers.stop("cc", 0, ""),
        "restart": lambda: containers.restart("cc", 0, ""),
        "remove": lambda: containers.remove("cc", volumes=False, force=True, link=False),
    }[verb]()
    assert [c.state.status for c in containers.all()] == {
        "stop": ["exited"],
        "restart": ["running"],
        "remove": [],
    }[verb]


@pytest.mark.parametrize("verb", ["pause", "unpause"])
async def test_who_is_told_that_it_does_not_run_is_told_when_that_is_so_for_all(
    world: World, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """The runtime sees the process's end before the engine does: nobody may find it running afterwards."""
    container = await world.run("cc")
    if verb == "unpause":
        await world.engine.containers.pause("cc")

    async def ended(id_: str) -> None:
        world.runtime.end(id_, 137)
        raise Conflict(f"container {id_} is not running")

    monkeypatch.setattr(world.runtime, "pause", ended)
    monkeypatch.setattr(world.runtime, "resume", ended)
    with pytest.raises(Conflict, match="is not running"):
        await getattr(world.engine.containers, verb)("cc")
    assert world.engine.containers.find(container.id).state.status == "exited"


async def test_a_paused_container_runs_while_it_is_being_stopped(world: World) -> None:
    world.runtime.ignore_term = True
    await world.run("cc")
    await world.engine.containers.pause("cc")
    stopping = asyncio.create_task(world.engine.containers.stop("cc", 600, ""))
    async with asyncio.timeout(5):
        while world.engine.containers.find("cc").state.status != "running":
            await asyncio.sleep(0)
    world.runtime.end(world.engine.containers.find("cc").id, 0)
    await stopping


async def test_who_attached_to_what_is_removed_unstarted_sees_the_end(world: World) -> None:
    await create(world)
    (container,) = world.engine.containers.all()
    streams = await world.engine.containers.attach(container.id)
    await world.engine.containers.remove(container.id, volumes=False, force=False, link=False)
    async with asyncio.timeout(1):
        assert await streams.read() is None


async def test_a_restart_tells_of_the_stop(world: World) -> None:
    await world.run("cc")
    await world.engine.containers.restart("cc", None, "")
    actions = [e.action for e in world.engine.events._past if e.type == "container"]
    assert actions == ["create", "start", "kill", "die", "stop", "start", "restart"]


async def test_all_remembered_events_are_those_since_the_epoch(world: World) -> None:
    await world.run("cc")

    async def told(since: int | None) -> list[str]:
        return [e.action async for e in world.engine.events.subscribe(since, world.clock.now())]

    assert (await told(0))[-2:] == ["connect", "start"]
    assert await told(None) == []
    assert [e async for e in world.engine.events.subscribe(0, 0)] == []


@pytest.mark.parametrize("noticed", ["by the freezing", "by the thawing"])
async def test_committing_a_container_that_just_ended(
    world: World, monkeypatch: pytest.MonkeyPatch, noticed: str
) -> None:
    await world.run("cc")

    async def ended(container: str) -> None:
        raise Conflict(f"container {container} is not running")

    async def commit(*_: object, **__: object) -> object:
        return IMAGE

    monkeypatch.setattr(world.runtime, "pause", ended)
    monkeypatch.setattr(world.runtime, "resume", ended)
    images: Any = world.engine.containers._core.images
    monkeypatch.setattr(images, "commit", commit, raising=False)
    found = await world.engine.snapshots.commit(
        "cc", config=None, changes=(), repository="", tag="", comment="", author="", pause=True
    )
    assert found == IMAGE.id


@pytest.mark.parametrize(("loopback", "server"), [(True, "127.0.0.53"), (False, "8.8.8.8")])
def test_the_hosts_own_server_is_for_who_shares_its_network(loopback: bool, server: str) -> None:
    text = resolv_conf(
        "nameserver 127.0.0.53\n",
        embedded=False,
        servers=(),
        search=(),
        options=(),
        ipv6=False,
        loopback=loopback,
    )
    assert text.splitlines()[1] == f"nameserver {server}"
