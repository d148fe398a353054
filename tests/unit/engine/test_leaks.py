"""What came and went leaves no object behind in the engine, whatever happened to it on the way."""

import asyncio
import gc
from collections import Counter, deque
from collections.abc import Awaitable, Callable

import pytest

from fairway.engine import execs
from fairway.model.container import Config, Healthcheck, HostConfig, PortBinding
from fairway.model.errors import Fault, System
from fairway.model.network import EndpointRequest
from fairway.model.process import ExecRequest
from fairway.model.request import ContainerRequest, NetworkRequest
from unit.engine.world import World

CYCLES = 20


async def one_life(world: World) -> None:
    """A container on two networks, that people look at, attach to, wait for, restart and remove by force."""
    engine = world.engine
    await engine.networks.create(NetworkRequest(name="n"))
    await engine.networks.create(NetworkRequest(name="m"))
    host = HostConfig(
        network_mode="n",
        port_bindings={"80/tcp": (PortBinding(host_ip="", host_port="8080"),)},
        binds=("anonymous:/data",),
    )
    check = Healthcheck(test=("CMD", "true"))
    request = ContainerRequest(name="cc", config=Config(image="busybox", healthcheck=check), host=host)
    container, _ = await engine.containers.create(request)
    (await engine.containers.attach("cc")).close()
    await engine.containers.attach("cc")  # somebody who never goes away
    engine.containers.waiter("cc", "next-exit")
    engine.containers.waiter("cc", "removed")
    await engine.containers.start("cc")
    await engine.networks.connect("m", "cc", EndpointRequest(links=("cc:l",)))
    await engine.containers.rename("cc", "dd")
    await engine.containers.restart("dd", 0, "")
    for _ in range(3):
        await engine.execs.create("dd", ExecRequest(argv=("true",)))
    with pytest.raises(Fault):
        await engine.containers.create(ContainerRequest(name="dd", config=Config(image="busybox")))
    await engine.networks.disconnect("n", "dd", force=False)
    await engine.containers.remove("dd", volumes=True, force=True, link=False)
    for network in ("n", "m"):
        await engine.networks.remove(network)
    await engine.volumes.remove("anonymous", force=False)
    assert container.id not in world.core.state.containers


async def refused(world: World) -> None:
    """A start that fails; attached to, and removed without ever having run."""
    world.runtime.fail_create = System("no")
    container, _ = await world.engine.containers.create(
        ContainerRequest(name="cc", config=Config(image="busybox"), host=HostConfig(network_mode="bridge"))
    )
    await world.engine.containers.attach("cc")
    with pytest.raises(System):
        await world.engine.containers.start(container.id)
    world.runtime.fail_create = None
    await world.engine.containers.remove("cc", volumes=True, force=False, link=False)


async def never_started(world: World) -> None:
    await world.engine.containers.create(ContainerRequest(name="cc", config=Config(image="busybox")))
    await world.engine.containers.attach("cc")
    world.engine.containers.waiter("cc", "next-exit")
    await world.engine.containers.remove("cc", volumes=True, force=False, link=False)


async def waiting_in_vain(world: World) -> None:
    """Many wait for the same container, and go away."""
    if world.core.state.container_named("long") is None:
        await world.run("long")
    for condition in ("next-exit", "removed"):
        waiting = asyncio.ensure_future(world.engine.containers.waiter("long", condition))
        await asyncio.sleep(0)
        waiting.cancel()
    (await world.engine.containers.attach("long")).close()


async def by_itself(world: World) -> None:
    container = await world.run("cc", auto_remove=True)
    removed = world.engine.containers.waiter("cc", "removed")
    world.runtime.end(container.id, 3)
    await removed
    assert container.id not in world.core.state.containers


@pytest.mark.parametrize("life", [one_life, refused, never_started, waiting_in_vain, by_itself])
async def test_nothing_stays(
    world: World, monkeypatch: pytest.MonkeyPatch, life: Callable[[World], Awaitable[None]]
) -> None:
    monkeypatch.setattr(execs, "KEEP", 4)
    world.core.events._past = deque(maxlen=4)

    async def objects() -> Counter[str]:
        for _ in range(CYCLES):
            await life(world)
        await world.settle()
        gc.collect()
        return Counter(type(thing).__qualname__ for thing in gc.get_objects())

    await objects()
    before = await objects()
    more = await objects() - before
    assert {kind: count for kind, count in more.items() if count >= CYCLES // 2} == {}
