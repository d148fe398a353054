"""An engine on fakes: the evaluating kernel, a store in memory, processes that end when told to."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import structlog

from fairway.engine.core import Core
from fairway.engine.engine import Engine
from fairway.engine.events import Events
from fairway.engine.identity import Identity
from fairway.engine.ports import Ports
from fairway.engine.protocols import Store
from fairway.engine.reconciling import Reconciler
from fairway.engine.settings import Settings
from fairway.engine.state import State
from fairway.firewall import guard, ruleset
from fairway.ipam import Ipam
from fairway.ipam.subnets import DEFAULT_POOLS, ula_pool
from fairway.kernel.fake import FakeKernel
from fairway.model.container import Config, Container, Exit, HostConfig
from fairway.model.dns import NetworkNames, Zone
from fairway.model.errors import Conflict, Fault, NotFound, System
from fairway.model.image import Image, RootFilesystem
from fairway.model.network import EndpointRequest
from fairway.model.process import Launch, StreamName
from fairway.model.request import ContainerRequest
from fairway.model.system import SystemFacts
from fairway.model.tree import PathStat, Tree
from fairway.model.usage import Usage
from fairway.plan import Namespace, Overlay
from fairway.store.memory import MemoryStore

OBJECTS = (*ruleset.OBJECTS, *guard.OBJECTS)
"""Sets and maps of both tables."""
IMAGE = Image(
    id="sha256:" + "1" * 64,
    config={"config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]}},
    layers=(),
    tags=("busybox:latest",),
)


class FakeClock:
    def __init__(self) -> None:
        self.time = 1_000_000_000_000

    def now(self) -> int:
        self.time += 1
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += int(seconds * 1e9)
        await asyncio.sleep(0)


class FakeStreams:
    def __init__(self, reads: asyncio.Event | None = None) -> None:
        self.written = b""
        self.output: asyncio.Queue[tuple[StreamName, bytes] | None] = asyncio.Queue()
        self._reads = reads

    async def read(self) -> tuple[StreamName, bytes] | None:
        return await self.output.get()

    async def write(self, data: bytes) -> None:
        if self._reads:
            await self._reads.wait()
        self.written += data

    async def close_stdin(self) -> None:
        self.written += b"<eof>"

    def close(self) -> None:
        self.output.put_nowait(None)


class FakeRuntime:
    name, path, version = "crun", "/usr/bin/crun", "1.0"

    def __init__(self, clock: FakeClock, kernel: FakeKernel) -> None:
        self._kernel = kernel
        self.launches: dict[str, Launch] = {}
        self.ends: dict[str, asyncio.Future[Exit]] = {}
        self.streams: dict[str, FakeStreams] = {}
        self.fail_create: Fault | None = None
        self.fail_start: Fault | None = None
        self.fail_attach: Fault | None = None
        self.fail_update: Fault | None = None
        self.fail_freeze: Fault | None = None
        self.frozen: set[str] = set()
        self.limits: dict[str, HostConfig] = {}
        """What was asked for while the container ran."""
        self.before_start: Callable[[], Awaitable[None]] | None = None
        self.reads: asyncio.Event | None = None
        """When processes begin to read their input; None: always."""
        self.ignore_term = False
        self.usages: dict[str, Usage] = {}
        self.trees: list[Tree] = []
        """File systems that something was copied from or to."""
        self.extracted: list[tuple[str, bytes, str]] = []
        self._clock = clock

    def settle(self, host: HostConfig) -> HostConfig:
        return host

    async def create(self, launch: Launch) -> int:
        if self.fail_create:
            raise self.fail_create
        container = launch.container.id
        there = self._kernel._facts
        assert any(isinstance(f, Overlay) and f.target == launch.rootfs for f in there), "it is not mounted"
        assert not launch.namespace or Namespace(launch.namespace) in there
        self.launches[container] = launch
        self.ends[container] = asyncio.get_running_loop().create_future()
        self.streams[container] = FakeStreams(self.reads)
        return 100 + len(self.launches)

    async def start(self, container: str) -> None:
        if self.fail_start:
            raise self.fail_start
        if self.before_start:
            await self.before_start()

    async def wait(self, container: str) -> Exit:
        if container not in self.ends:
            raise NotFound(f"No such container: {container}")
        return await asyncio.shield(self.ends[container])

    def end(self, container: str, code: int) -> None:
        self.frozen.discard(container)
        self.ends[container].set_result(Exit(code=code, finished=self._clock.now()))

    async def kill(self, container: str, signal: int) -> None:
        end = self.ends.get(container)
        if end and not end.done() and not (self.ignore_term and signal == 15):
            self.end(container, 128 + signal)

    async def update(self, container: str, host: HostConfig) -> None:
        if self.fail_update:
            raise self.fail_update
        self.limits[container] = host

    async def pause(self, container: str) -> None:
        if self.fail_freeze:
            raise self.fail_freeze
        if container not in await self.running():
            raise Conflict(f"container {container} is not running")
        self.frozen.add(container)

    async def resume(self, container: str) -> None:
        if self.fail_freeze:
            raise self.fail_freeze
        self.frozen.discard(container)

    async def delete(self, container: str) -> None:
        await self.kill(container, 9)
        self.launches.pop(container, None)
        self.ends.pop(container, None)
        self.streams.pop(container, None)

    async def kept(self) -> Sequence[str]:
        return list(self.ends)

    async def attach(self, container: str) -> FakeStreams:
        if self.fail_attach:
            raise self.fail_attach
        return self.streams[container]

    async def usage(self, container: str) -> Usage | None:
        return self.usages.get(container)

    async def describe(self, tree: Tree, path: str) -> PathStat:
        self.trees.append(tree)
        if path == "/nosuch":
            raise NotFound(path)
        return PathStat(name=path, size=1, mode=0o100644, modified=1)

    @asynccontextmanager
    async def archive(
        self, tree: Tree, path: str
    ) -> AsyncIterator[tuple[PathStat, AsyncGenerator[bytes, None]]]:
        async def content() -> AsyncGenerator[bytes, None]:
            yield b"tar"

        yield await self.describe(tree, path), content()

    async def extract(
        self, tree: Tree, path: str, content: AsyncIterator[bytes], *, keep_kinds: bool, user: str
    ) -> None:
        await self.describe(tree, path)
        self.extracted.append((path, b"".join([c async for c in content]), user))

    async def running(self) -> Mapping[str, int]:
        return {c: 1 for c, end in self.ends.items() if not end.done()}

    async def forget(self, container: str) -> None:
        await self.delete(container)

    def log_path(self, container: str) -> str:
        return f"/data/containers/{container}/log"


class FakeImages:
    def __init__(self) -> None:
        self.prepared: set[str] = set()
        """Containers that have a root file system."""

    def list(self) -> Sequence[Image]:
        return [IMAGE]

    def find(self, reference: str) -> Image:
        if reference not in ("busybox", "busybox:latest", IMAGE.id):
            raise NotFound(f"No such image: {reference}:latest")
        return IMAGE

    async def prepare(self, container: str, image: str) -> RootFilesystem:
        self.prepared.add(container)
        base = f"/data/{container[:12]}"
        return RootFilesystem(target=f"{base}/root", lower=("/l",), upper=f"{base}/up", work=f"{base}/work")

    async def discard(self, container: str) -> None:
        self.prepared.discard(container)

    async def writable_size(self, container: str) -> int:
        return 7


class FakeFiles:
    def __init__(self) -> None:
        self.texts: dict[tuple[str, str], str] = {}
        self.volumes: set[str] = set()
        self.host_resolv_conf = "nameserver 9.9.9.9\nsearch corp.example\n"

    def path(self, container: str, name: str) -> str:
        return f"/data/containers/{container}/{name}"

    def write(self, container: str, name: str, text: str) -> None:
        self.texts[container, name] = text

    def append(self, container: str, name: str, text: str) -> None:
        self.edit(container, name, lambda old: old + text)

    def edit(self, container: str, name: str, change: Callable[[str], str]) -> None:
        if (container, name) not in self.texts:
            raise System(f"cannot write {name} of container {container[:12]}: No such file or directory")
        self.texts[container, name] = change(self.texts[container, name])

    def drop(self, container: str, name: str, words: frozenset[str]) -> None:
        def without(text: str) -> str:
            return "".join(x for x in text.splitlines(keepends=True) if not words & set(x.split()[:1]))

        self.edit(container, name, without)

    def remove(self, container: str) -> None:
        for key in [k for k in self.texts if k[0] == container]:
            del self.texts[key]

    def create_volume(self, name: str) -> str:
        self.volumes.add(name)
        return f"/data/volumes/{name}/_data"

    def remove_volume(self, name: str) -> None:
        self.volumes.discard(name)

    def volume_size(self, name: str) -> int:
        return 3

    def populate(self, volume: str, rootfs: str, destination: str) -> None: ...

    def is_directory(self, path: str) -> bool | None:
        return None if path.startswith("/nosuch") else True

    def make_directory(self, path: str) -> None: ...

    def resolv_conf(self) -> str:
        return self.host_resolv_conf

    def hosts(self) -> str:
        return "127.0.0.1 localhost thishost\n"

    def hostname(self) -> str:
        return "thishost"


class FakeResolver:
    def __init__(self) -> None:
        self.networks: dict[str, NetworkNames] = {}
        self.zones: dict[str, Zone] = {}
        self.dead = False

    async def publish(self, networks: Sequence[NetworkNames], zones: Sequence[Zone]) -> None:
        self._answer()
        self.networks |= {n.id: n for n in networks}
        self.zones |= {z.sandbox: z for z in zones}
        self._drop_unlisted()

    async def withdraw(self, sandbox: str) -> None:
        self._answer()
        self.zones.pop(sandbox, None)
        self._drop_unlisted()

    def come_back(self) -> None:
        """A new process, which knows nothing."""
        self.networks, self.zones, self.dead = {}, {}, False

    def _answer(self) -> None:
        if self.dead:
            raise System("the resolver does not answer")

    def _drop_unlisted(self) -> None:
        listed = {n for zone in self.zones.values() for n in zone.networks}
        self.networks = {k: v for k, v in self.networks.items() if k in listed}

    async def sandboxes(self) -> frozenset[str]:
        return frozenset(self.zones)


def _no_facts() -> SystemFacts:
    raise AssertionError("these tests do not ask for facts about the host")


class Killed(BaseException):
    """The daemon is dead: nothing that it does happens any more."""


class Life:
    """Of one daemon."""

    def __init__(self) -> None:
        self.over = False

    def check(self) -> None:
        if self.over:
            raise Killed


class Mortal:
    """Stands between one daemon and what outlives it: lets nothing through from a dead one.

    Calls take a turn of the loop before and after, so that a daemon can be killed at each of these moments.
    """

    def __init__(self, real: Any, life: Life) -> None:
        self._real = real
        self._life = life

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        if not callable(value):
            return value
        if not inspect.iscoroutinefunction(value):

            def call(*arguments: Any, **named: Any) -> Any:
                self._life.check()
                return value(*arguments, **named)

            return call

        async def wait(*arguments: Any, **named: Any) -> Any:
            self._life.check()
            await asyncio.sleep(0)
            self._life.check()
            result = await value(*arguments, **named)
            self._life.check()
            await asyncio.sleep(0)
            self._life.check()
            return result

        return wait


class Inline(ThreadPoolExecutor):
    """Works at once, in the caller: runs of the loop repeat exactly."""

    def submit(self, work: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(*arguments, **named))
        except BaseException as error:  # noqa: BLE001  as an executor does
            future.set_exception(error)
        return future


class World:
    """One engine and everything around it; ``restart`` is a new daemon on the same store and kernel."""

    def __init__(
        self,
        store: Store | None = None,
        kernel: FakeKernel | None = None,
        *,
        mortal: bool = False,
        settings: Settings | None = None,
    ) -> None:
        self._mortal = mortal
        self.store: Any = store or MemoryStore()
        self.kernel = kernel or FakeKernel(objects=OBJECTS)
        self.clock = FakeClock()
        self.runtime = FakeRuntime(self.clock, self.kernel)
        self.files = FakeFiles()
        self.images = FakeImages()
        self.resolver = FakeResolver()
        self.settings = settings or Settings(
            id="0123456789", exec_root="/run/x", data_root="/data", address_pools=DEFAULT_POOLS
        )
        self.engine = self._engine(seed=1)

    def _engine(self, seed: int) -> Engine:
        self._life = life = Life()

        def near(real: Any) -> Any:
            return Mortal(real, life) if self._mortal else real

        core = self.core = Core(
            settings=self.settings,
            state=State(near(self.store)),
            ipam=Ipam((*DEFAULT_POOLS, ula_pool("0123456789"))),
            kernel=near(self.kernel),
            resolver=near(self.resolver),
            runtime=near(self.runtime),
            images=near(self.images),
            files=near(self.files),
            clock=self.clock,
            identity=Identity(Random(seed)),
            events=Events(self.clock),
            log=structlog.get_logger(),
        )
        core.state._writer = Inline()  # a thread would wait for its turn while tests count turns of the loop
        return Engine(core, _no_facts)

    async def restart(self) -> Engine:
        await self.engine.close()
        return await self.start_again()

    async def start_again(self) -> Engine:
        self.engine = self._engine(seed=self.clock.now())
        await self.engine.start()
        return self.engine

    async def kill(self) -> None:
        """End the daemon at this instruction; what it has not done never happens."""
        self._life.over = True
        here = asyncio.current_task()
        while tasks := [t for t in asyncio.all_tasks() if t is not here]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for task in tasks:
                if not task.cancelled():
                    task.exception()

    async def quiet(self) -> None:
        """Until nothing is under way: no lock is held, and only watchers of living processes are left."""
        still = 0
        for _ in range(20_000):
            await asyncio.sleep(0)
            still = still + 1 if self._is_quiet() else 0
            if still == 10:
                return
        raise AssertionError(f"it never ends: {[str(t) for t in asyncio.all_tasks()]}")

    def _is_quiet(self) -> bool:
        containers = self.core.state.containers
        active = {c.id for c in containers.values() if c.state.status in ("running", "paused")}
        alive = {c for c, end in self.runtime.ends.items() if not end.done()}
        watched = {task.get_name() for task in self.engine._lifecycle._tasks._tasks}
        healing = self.engine._healing
        whole = healing._wait is None and not self.core.doubt.is_set() and not self.kernel._disturbances
        return not self.core.locks._locks and active == alive == watched and whole

    async def run(
        self, name: str, network: str = "bridge", request: EndpointRequest | None = None, **host: Any
    ) -> Container:
        """Create and start."""
        container, _ = await self.engine.containers.create(
            ContainerRequest(
                name=name,
                config=Config(image="busybox"),
                host=HostConfig(network_mode=network, **host),
                endpoints={network: request} if request else {},
            )
        )
        await self.engine.containers.start(container.id)
        return self.engine.containers.find(container.id)

    def address(self, container: str, network: str) -> str:
        found = self.engine.containers.find(container)
        pairs = self.engine.containers.endpoints(found.id)
        return next(e.addresses[0] if e.addresses else "" for n, e in pairs if n.name == network)

    def names(self, network: str) -> dict[str, tuple[str, ...]]:
        return dict(self.resolver.networks[self.engine.networks.find(network).id].names)

    @property
    def reconciler(self) -> Reconciler:
        return self.engine._healing._reconciler

    @property
    def core_ports(self) -> Ports:
        """The book of host ports."""
        return self.engine._lifecycle.ports

    async def settle(self) -> None:
        """Let background tasks run until nothing moves any more."""
        for _ in range(50):
            await asyncio.sleep(0)
