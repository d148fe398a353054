"""Copies from and to containers, and samples of what they use, on the fakes."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from fairway.model.container import Config, Container, HostConfig
from fairway.model.errors import NotFound, System
from fairway.model.request import ContainerRequest
from fairway.model.usage import InterfaceCount, Usage
from fairway.plan import Overlay
from unit.engine.world import World

ONE = InterfaceCount(
    rx_bytes=1, rx_packets=1, rx_errors=0, rx_dropped=0, tx_bytes=1, tx_packets=1, tx_errors=0, tx_dropped=0
)


async def created(world: World, name: str = "box", **host: Any) -> Container:
    request = ContainerRequest(
        name=name, config=Config(image="busybox", user="me"), host=HostConfig(**host), endpoints={}
    )
    return (await world.engine.containers.create(request))[0]


async def mounted(world: World) -> bool:
    return any(isinstance(fact, Overlay) for fact in await world.kernel.facts())


async def content() -> AsyncGenerator[bytes, None]:
    yield b"tar"


async def test_a_stopped_container_is_mounted_meanwhile(world: World) -> None:
    await created(world)
    async with world.engine.copying.archive("box", "/etc") as (found, chunks):
        assert await mounted(world)
        assert (found.name, [c async for c in chunks]) == ("/etc", [b"tar"])
    assert not await mounted(world)


async def test_a_running_container_stays_mounted(world: World) -> None:
    await world.run("box")
    assert (await world.engine.copying.describe("box", "/etc")).name == "/etc"
    assert await mounted(world)


async def test_what_a_container_mounts_is_part_of_it(world: World) -> None:
    await created(world, binds=("/b:/data/deep:ro", "/a:/data"), tmpfs={"/tmp": ""}, readonly_rootfs=True)
    await world.engine.copying.describe("box", "/")
    (tree,) = world.runtime.trees
    assert tree.read_only
    seen = [(m.source, m.destination, m.read_only) for m in tree.mounts if m.destination.startswith("/data")]
    assert seen == [("/a", "/data", False), ("/b", "/data/deep", True)]
    assert {m.destination for m in tree.mounts} >= {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}
    assert "/tmp" not in {m.destination for m in tree.mounts}


async def test_a_shared_network_brings_the_peer_s_files(world: World) -> None:
    peer = await created(world, "peer")
    await created(world, network_mode=f"container:{peer.id}")
    await world.engine.copying.describe("box", "/")
    assert f"/data/containers/{peer.id}/hosts" in {m.source for m in world.runtime.trees[0].mounts}


async def test_a_path_that_is_not_there(world: World) -> None:
    await created(world)
    text = "^Could not find the file /nosuch in container box$"
    with pytest.raises(NotFound, match=text):
        await world.engine.copying.describe("box", "/nosuch")
    with pytest.raises(NotFound, match=text):
        async with world.engine.copying.archive("box", "/nosuch"):
            pass
    with pytest.raises(NotFound, match=text):
        await world.engine.copying.extract("box", "/nosuch", content(), keep_kinds=True, own=False)
    assert not await mounted(world)


async def test_files_get_the_container_s_user_if_asked(world: World) -> None:
    await created(world)
    for own in (False, True):
        await world.engine.copying.extract("box", "/x", content(), keep_kinds=True, own=own)
    assert world.runtime.extracted == [("/x", b"tar", ""), ("/x", b"tar", "me")]


@pytest.mark.parametrize("step", ["apply", "withdraw"])
async def test_a_copy_cut_short_leaves_nothing_mounted(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A client goes away while the kernel mounts or unmounts."""
    await created(world)
    entered, gate, real = asyncio.Event(), asyncio.Event(), getattr(world.kernel, step)

    async def late(plan: Any) -> Any:
        await gate.wait()
        return await real(plan)

    async def slow(plan: Any) -> Any:
        entered.set()
        # What the worker has begun it ends; what still waits for it is dropped with the one who asked.
        return await (asyncio.shield(late(plan)) if step == "apply" else late(plan))

    monkeypatch.setattr(world.kernel, step, slow)
    copying = asyncio.create_task(world.engine.copying.describe("box", "/etc"))
    await entered.wait()
    copying.cancel()
    await asyncio.sleep(0)
    copying.cancel()
    await asyncio.sleep(0)
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await copying
    assert not await mounted(world)
    await world.engine.containers.remove("box", volumes=False, force=False, link=False)


async def test_who_looks_looks_together(world: World) -> None:
    container = await created(world)
    async with world.engine.copying.archive("box", "/a"):
        async with world.engine.copying.archive("box", "/b"):
            assert await mounted(world)
        removing = asyncio.create_task(
            world.engine.containers.remove(container.id, volumes=False, force=False, link=False)
        )
        await asyncio.sleep(0)
        assert (await world.engine.copying.describe("box", "/c")).name == "/c"
        assert await mounted(world)
    await removing
    assert not await mounted(world)
    assert not world.engine._lifecycle.looking._parties


async def test_a_root_that_cannot_be_mounted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await created(world)

    async def fail(plan: Any) -> None:
        raise System("no room")

    with monkeypatch.context() as patched:
        patched.setattr(world.kernel, "apply", fail)
        with pytest.raises(System, match="no room"):
            await world.engine.copying.describe("box", "/etc")
    assert (await world.engine.copying.describe("box", "/etc")).name == "/etc"


async def test_a_sample_shows_the_sandbox_s_interfaces(world: World) -> None:
    owner = await world.run("owner")
    peer = await world.run("peer", f"container:{owner.id}")
    for each in (owner, peer):
        world.runtime.usages[each.id] = Usage(time=5, interfaces={"lo": ONE, "eth0": ONE, "tunl0": ONE})
        _, usage = await world.engine.stats.once(each.id)
        assert (usage.time, set(usage.interfaces)) == (5, {"eth0"})
    host = await world.run("host", "host")
    world.runtime.usages[host.id] = Usage(time=5, interfaces={"lo": ONE, "eth0": ONE})
    assert (await world.engine.stats.once("host"))[1].interfaces == {}


async def test_samples_end_with_the_container(world: World) -> None:
    container = await created(world)
    samples = []
    async for _, usage in world.engine.stats.stream("box"):
        samples.append(usage)
        if len(samples) == 2:
            await world.engine.containers.remove(container.id, volumes=False, force=False, link=False)
    assert samples == [Usage(), Usage()]
