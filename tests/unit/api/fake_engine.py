"""An engine in memory for tests of the API: objects in lists, processes that are scripts of chunks."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from fairway.api.backend import Backend
from fairway.model.address import Address, Cidr, Family, Mac
from fairway.model.container import Config, Container, ContainerPaths, Exit, Health, HostConfig, State, Volume
from fairway.model.difference import Difference, Examination
from fairway.model.errors import Conflict, Fault, NotFound, NotModified
from fairway.model.event import Event
from fairway.model.image import Image
from fairway.model.network import Endpoint, EndpointRequest, Network, Pool, Sandbox
from fairway.model.process import Exec, ExecProcess, ExecRequest, LogLine, StreamName, Streams
from fairway.model.request import (
    ContainerRequest,
    NetworkRequest,
    PruneFilter,
    VolumeRequest,
    WaitCondition,
)
from fairway.model.rule import Form, Rule
from fairway.model.system import SystemFacts
from fairway.model.tree import PathStat
from fairway.model.usage import CpuUsage, Usage

SECOND = 1_000_000_000
IMAGE_ID = "sha256:" + "ab" * 32
CONTAINER_ID = "c0ffee" + "0" * 58

BRIDGE = Network(
    id="b" * 64,
    name="bridge",
    driver="bridge",
    created=1_700_000_000 * SECOND,
    pools=(Pool(subnet=Cidr("172.17.0.0/16"), gateway=Address("172.17.0.1")),),
)
IMAGE = Image(
    id=IMAGE_ID,
    config={"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"], "Labels": {"a": "b"}}},
    layers=("sha256:" + "cd" * 32,),
    tags=("busybox:latest",),
    size=4096,
    layer_sizes=(4096,),
    created=1_600_000_000 * SECOND,
)


def container(name: str = "web", **changes: Any) -> Container:
    base = Container(
        id=CONTAINER_ID,
        name=name,
        created=1_700_000_000 * SECOND,
        image=IMAGE_ID,
        config=Config(image="busybox", cmd=("sh", "-c", "echo hi"), hostname="web"),
        host=HostConfig(network_mode="bridge"),
        state=State(status="running", pid=42, started=1_700_000_001 * SECOND),
    )
    return msgspec.structs.replace(base, **changes)


def endpoint(of: Container, net: Network = BRIDGE) -> Endpoint:
    return Endpoint(
        id="e" * 64,
        network_id=net.id,
        container_id=of.id,
        addresses=(Cidr("172.17.0.2/16"),),
        mac=Mac("02:42:ac:11:00:02"),
        gateways=(Address("172.17.0.1"),),
        interface="eth0",
    )


class FakeStreams:
    """Echoes stdin to stdout when ``echo``; otherwise plays its chunks and ends."""

    def __init__(self, chunks: Sequence[tuple[StreamName, bytes]] = (), *, echo: bool = False) -> None:
        self._queue: asyncio.Queue[tuple[StreamName, bytes] | None] = asyncio.Queue()
        for chunk in chunks:
            self._queue.put_nowait(chunk)
        if not echo:
            self._queue.put_nowait(None)
        self.written = b""
        self.closed = asyncio.Event()

    async def read(self) -> tuple[StreamName, bytes] | None:
        return await self._queue.get()

    async def write(self, data: bytes) -> None:
        self.written += data
        await self._queue.put(("stdout", data))

    async def close_stdin(self) -> None:
        await self._queue.put(("stdout", b"[eof]"))
        await self._queue.put(None)

    def close(self) -> None:
        self.closed.set()


class FakeProcess:
    def __init__(self, streams: FakeStreams) -> None:
        self.pid = 99
        self.streams: Streams = streams
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        ended.set_result(0)
        self.exit: Awaitable[int] = ended

    def resize(self, height: int, width: int) -> None: ...


class FakeNetworks:
    def __init__(self, engine: "FakeEngine") -> None:
        self._engine = engine
        self.items = [BRIDGE]
        self.requests: list[NetworkRequest] = []
        self.connected: list[tuple[str, str, EndpointRequest]] = []

    def all(self) -> Sequence[Network]:
        return self.items

    def find(self, reference: str) -> Network:
        for each in self.items:
            if reference in (each.name, each.id):
                return each
        raise NotFound(f"network {reference} not found")

    async def create(self, request: NetworkRequest) -> tuple[Network, str]:
        if any(each.name == request.name for each in self.items):
            raise Conflict(f"network with name {request.name} already exists")
        self.requests.append(request)
        made = Network(
            id=f"{len(self.items):064x}",
            name=request.name,
            driver=request.driver,
            created=1_700_000_100 * SECOND,
            labels=request.labels,
        )
        self.items.append(made)
        return made, ""

    async def remove(self, reference: str) -> None:
        self.items.remove(self.find(reference))

    async def connect(self, network: str, container: str, request: EndpointRequest) -> None:
        self.connected.append((self.find(network).id, container, request))

    async def disconnect(self, network: str, container: str, force: bool) -> None:
        self.find(network)

    async def prune(self, which: PruneFilter) -> Sequence[str]:
        return [each.name for each in self.items[1:]]

    def attached(self, network_id: str) -> Sequence[tuple[Container, Endpoint]]:
        return [(each, endpoint(each)) for each in self._engine.containers.items if network_id == BRIDGE.id]

    async def warnings(self, network: Network) -> list[str]:
        return []

    def in_use(self, network_id: str) -> bool:
        return network_id == BRIDGE.id


class FakeContainers:
    def __init__(self) -> None:
        self.items = [container()]
        self.requests: list[ContainerRequest] = []
        self.streams = FakeStreams()
        self.lines: list[LogLine] = []
        self.exit: asyncio.Future[Exit] | None = None
        self.calls: list[tuple[Any, ...]] = []
        self.hold: asyncio.Event | None = None

    def all(self) -> Sequence[Container]:
        return self.items

    def find(self, reference: str) -> Container:
        for each in self.items:
            if reference == each.name or each.id.startswith(reference):
                return each
        raise NotFound(f"No such container: {reference}")

    def endpoints(self, container_id: str) -> Sequence[tuple[Network, Endpoint]]:
        return [(BRIDGE, endpoint(self.find(container_id)))]

    def sandbox(self, container_id: str) -> Sandbox | None:
        return Sandbox(id="5" * 64, key="/run/fairway/netns/555555555555")

    def names(self, container_id: str) -> Sequence[str]:
        return [f"/{self.find(container_id).name}"]

    def links(self, container_id: str) -> Sequence[str]:
        return []

    def paths(self, container_id: str) -> ContainerPaths:
        return ContainerPaths(resolv_conf="/r", hostname="/n", hosts="/h", log="/l")

    def health(self, container_id: str) -> Health | None:
        return None

    async def create(self, request: ContainerRequest) -> tuple[Container, Sequence[str]]:
        self.requests.append(request)
        if self.hold is not None:
            await self.hold.wait()
        self.calls.append(("created", request.name))
        return container(request.name), ["careful"]

    async def start(self, reference: str) -> None:
        raise NotModified(f"container {self.find(reference).id} is already running")

    async def stop(self, reference: str, timeout: int | None, signal: str) -> None:
        self.calls.append(("stop", self.find(reference).name, timeout, signal))

    async def restart(self, reference: str, timeout: int | None, signal: str) -> None:
        self.calls.append(("restart", reference, timeout, signal))

    async def kill(self, reference: str, signal: str) -> None:
        self.calls.append(("kill", reference, signal))

    async def pause(self, reference: str) -> None:
        raise RuntimeError("a defect")

    async def unpause(self, reference: str) -> None:
        self.calls.append(("unpause", reference))

    async def rename(self, reference: str, name: str) -> None:
        self.calls.append(("rename", reference, name))

    async def update(self, reference: str, changes: HostConfig) -> Sequence[str]:
        self.calls.append(("update", reference, changes))
        return ["careful"]

    async def remove(self, reference: str, *, volumes: bool, force: bool, link: bool) -> None:
        self.calls.append(("remove", reference, volumes, force, link))

    async def attach(self, reference: str) -> FakeStreams:
        return self.streams

    async def logs(
        self, reference: str, *, stdout: bool, stderr: bool, since: int, until: int, tail: int, follow: bool
    ) -> AsyncGenerator[LogLine, None]:
        for line in self.lines:
            if (line.stream == "stdout" and stdout) or (line.stream == "stderr" and stderr):
                yield line

    async def resize(self, reference: str, height: int, width: int) -> None:
        self.calls.append(("resize", reference, height, width))

    async def prune(self, which: PruneFilter) -> tuple[Sequence[str], int]:
        self.calls.append(("prune", which))
        return [], 0

    async def changes(self, reference: str) -> Sequence[tuple[str, int]]:
        return [("/etc", 0), ("/etc/new", 1)]

    async def processes(self, reference: str) -> Sequence[int]:
        return [1]

    async def export(self, reference: str) -> AsyncGenerator[bytes, None]:
        return _chunks(b"tar", b"ball")

    async def commit(
        self,
        reference: str,
        *,
        config: Config | None,
        changes: Sequence[str],
        repository: str,
        tag: str,
        comment: str,
        author: str,
        pause: bool,
    ) -> str:
        self.calls.append(("commit", reference, config, tuple(changes), repository, tag, pause))
        return IMAGE_ID

    def waiter(self, reference: str, condition: WaitCondition) -> Awaitable[Exit]:
        self.find(reference)
        self.exit = asyncio.get_running_loop().create_future()
        return self.exit

    async def writable_size(self, reference: str) -> int:
        return 10


async def _chunks(*parts: bytes) -> AsyncGenerator[bytes, None]:
    for part in parts:
        yield part


class FakeExecs:
    def check(self, id_: str) -> None:
        self.find(id_)

    def __init__(self) -> None:
        self.items: dict[str, Exec] = {}
        self.streams = FakeStreams()
        self.fault: Fault | None = None

    async def create(self, container: str, request: ExecRequest) -> str:
        self.items["e1"] = Exec(id="e1", container_id=container, request=request)
        return "e1"

    async def start(self, id_: str, *, console_size: tuple[int, int] = (0, 0)) -> ExecProcess:
        if self.fault:
            raise self.fault
        return FakeProcess(self.streams)

    async def resize(self, id_: str, height: int, width: int) -> None:
        self.find(id_)

    def find(self, id_: str) -> Exec:
        if id_ not in self.items:
            raise NotFound(f"No such exec instance: {id_}")
        return self.items[id_]

    def of(self, container_id: str) -> Sequence[str]:
        return list(self.items)


class FakeVolumes:
    def __init__(self) -> None:
        self.items = [Volume(name="data", mountpoint="/v/data", created=1_700_000_000 * SECOND + 5)]

    def all(self) -> Sequence[Volume]:
        return self.items

    def find(self, name: str) -> Volume:
        for each in self.items:
            if each.name == name:
                return each
        raise NotFound(f"get {name}: no such volume")

    async def create(self, request: VolumeRequest) -> Volume:
        made = Volume(
            name=request.name or "f" * 64,
            mountpoint="/v",
            created=SECOND,
            labels=request.labels,
            anonymous=not request.name,
        )
        self.items.append(made)
        return made

    async def remove(self, name: str, force: bool) -> None:
        self.items.remove(self.find(name))

    async def prune(self, which: PruneFilter) -> tuple[Sequence[str], int]:
        return (["data"], 7) if which.all else ([], 0)

    def users(self, name: str) -> Sequence[str]:
        return []

    async def size(self, name: str) -> int:
        return 3


class FakeImages:
    def __init__(self) -> None:
        self.items = [IMAGE]
        self.loaded = b""
        self.pulled: list[tuple[Any, ...]] = []
        self.messages: list[dict[str, Any] | Fault] = [{"status": "Pulling"}, {"status": "Done"}]

    def all(self) -> Sequence[Image]:
        return self.items

    def find(self, reference: str) -> Image:
        for each in self.items:
            if reference == each.id or f"{reference}:latest" in each.tags or reference in each.tags:
                return each
        raise NotFound(f"No such image: {reference}")

    def history(self, reference: str) -> Sequence[dict[str, Any]]:
        return [{"Id": self.find(reference).id}]

    async def tag(self, reference: str, repository: str, tag: str) -> None:
        self.pulled.append(("tag", reference, repository, tag))

    async def remove(self, reference: str, force: bool, noprune: bool) -> Sequence[tuple[str, str]]:
        return [("Untagged", "busybox:latest"), ("Deleted", self.find(reference).id)]

    async def prune(self, which: PruneFilter) -> tuple[Sequence[tuple[str, str]], int]:
        return ([("Deleted", IMAGE_ID)], 9) if which.all else ([], 0)

    async def _play(self) -> AsyncGenerator[dict[str, Any], None]:
        for message in self.messages:
            if isinstance(message, Fault):
                raise message
            yield message

    async def load(self, archive: AsyncIterator[bytes]) -> AsyncGenerator[dict[str, Any], None]:
        async for chunk in archive:
            self.loaded += chunk
        async for message in self._play():
            yield message

    async def import_(
        self, archive: AsyncIterator[bytes], repository: str, tag: str, changes: Sequence[str], message: str
    ) -> AsyncGenerator[dict[str, Any], None]:
        self.pulled.append(("import", repository, tag, tuple(changes), message))
        async for each in self.load(archive):
            yield each

    def pull(
        self, repository: str, tag: str, *, platform: str, auth: Mapping[str, str] | None
    ) -> AsyncGenerator[dict[str, Any], None]:
        self.pulled.append((repository, tag, platform, auth))
        return self._play()

    def save(self, references: Sequence[str]) -> AsyncGenerator[bytes, None]:
        return _chunks(*(each.encode() for each in references))

    def users(self, image_id: str) -> int:
        return 1


class FakeEvents:
    def __init__(self) -> None:
        self.items: list[Event] = []
        self.asked: tuple[int | None, int | None] | None = None

    async def subscribe(self, since: int | None, until: int | None) -> AsyncGenerator[Event, None]:
        self.asked = since, until
        for each in self.items:
            yield each


class FakeSystem:
    async def warnings(self) -> list[str]:
        return ["web: something stops what leaves"]

    def reload(self, labels: tuple[str, ...], debug: bool) -> None:
        raise AssertionError("no request reloads the daemon")

    def info(self) -> SystemFacts:
        return SystemFacts(
            id="id",
            name="host",
            data_root="/var/lib/fairway",
            exec_root="/run/fairway",
            runtime_name="crun",
            runtime_path="/usr/bin/crun",
            runtime_version="1.8.1",
            runtimes={"crun": "/usr/bin/crun"},
            conmon_version="2.1.6",
            kernel="6.18.0",
            os="Debian GNU/Linux 12 (bookworm)",
            arch="x86_64",
            cpus=2,
            memory=1 << 30,
            ipv4_forwarding=True,
            bridge_nf_iptables=False,
            cgroup_version="1",
        )


class FakeCopying:
    """One file, ``/etc/motd``, and what was uploaded."""

    def __init__(self) -> None:
        self.uploads: list[tuple[str, bytes, bool, bool]] = []
        self.endless = False
        self.ended = asyncio.Event()
        """When an archive has been left."""

    async def describe(self, reference: str, path: str) -> PathStat:
        if path != "/etc/motd":
            raise NotFound(f"Could not find the file {path} in container {reference}")
        return PathStat(name="motd", size=5, mode=0o100644, modified=1_700_000_000 * SECOND)

    @asynccontextmanager
    async def archive(
        self, reference: str, path: str
    ) -> AsyncIterator[tuple[PathStat, AsyncGenerator[bytes, None]]]:
        try:
            yield await self.describe(reference, path), self._chunks()
        finally:
            self.ended.set()

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        yield b"tar"
        while self.endless:
            yield bytes(1 << 20)

    async def extract(
        self, reference: str, path: str, content: AsyncIterator[bytes], *, keep_kinds: bool, own: bool
    ) -> None:
        self.uploads.append((path, b"".join([c async for c in content]), keep_kinds, own))


class FakeStats:
    """Each sample has used one more nanosecond."""

    async def once(self, reference: str) -> tuple[Container, Usage]:
        if reference == "nosuch":
            raise NotFound(f"No such container: {reference}")
        time = 0 if reference == "stopped" else SECOND
        return container(), Usage(time=time, cpu=CpuUsage(total=1, online=2))

    async def stream(self, reference: str) -> AsyncGenerator[tuple[Container, Usage], None]:
        for n in range(1, 4):
            yield container(), Usage(time=n * SECOND, cpu=CpuUsage(total=n, online=2))


class FakeRules:
    async def report(self, reference: str = "") -> Sequence[Rule]:
        if reference == "nosuch":
            raise NotFound("No such container or network: nosuch")
        rule = Rule(
            kind="container", id=CONTAINER_ID, name="web", rule="held", origin="a", to="b", verdict="c"
        )
        return [rule, msgspec.structs.replace(rule, rule="published", packets=2, bytes=120)]

    async def nft(self) -> str:
        return "table inet fairway {\n}\n"

    async def iptables(self, kind: Family, *, form: Form, table: str, chain: str, verbose: bool) -> str:
        return f"{kind} {form} {table} {chain} {verbose}\n"


class FakeDoctor:
    """Two differences, of which one can be mended."""

    found = (
        Difference(kind="network", id="n1", name="web", text="interface br-0 is missing"),
        Difference(kind="host", text="interface veth0 is left over"),
    )

    async def examine(self) -> Examination:
        return Examination(self.found, self.found)

    async def cure(self) -> Examination:
        return Examination(self.found, self.found[1:], ("cannot delete veth0",))


class FakeEngine:
    def __init__(self) -> None:
        self.containers = FakeContainers()
        self.snapshots = self.containers
        self.networks = FakeNetworks(self)
        self.execs = FakeExecs()
        self.volumes = FakeVolumes()
        self.images = FakeImages()
        self.events = FakeEvents()
        self.system = FakeSystem()
        self.rules = FakeRules()
        self.doctor = FakeDoctor()
        self.copying = FakeCopying()
        self.stats = FakeStats()


def check_protocol(engine: FakeEngine) -> Backend:
    """For the type checker: the double offers all that the API asks of an engine."""
    return engine
