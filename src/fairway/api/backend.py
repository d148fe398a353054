"""What the API needs of the engine, declared where it is consumed.

Every method raises only kinds of ``fairway.model.errors``. The engine satisfies these protocols by structure;
tests put an in-memory double in its place.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from fairway.model.address import Family
from fairway.model.container import Config, Container, ContainerPaths, Exit, Health, HostConfig, Volume
from fairway.model.difference import Examination
from fairway.model.event import Event
from fairway.model.image import Image
from fairway.model.network import Endpoint, EndpointRequest, Network, Sandbox
from fairway.model.process import Exec, ExecProcess, ExecRequest, LogLine, Streams
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
from fairway.model.usage import Usage


class Networks(Protocol):
    def all(self) -> Sequence[Network]: ...

    def find(self, reference: str) -> Network: ...

    async def create(self, request: NetworkRequest) -> tuple[Network, str]: ...

    async def remove(self, reference: str) -> None: ...

    async def connect(self, network: str, container: str, request: EndpointRequest) -> None: ...

    async def disconnect(self, network: str, container: str, force: bool) -> None: ...

    async def prune(self, which: PruneFilter) -> Sequence[str]: ...

    def attached(self, network_id: str) -> Sequence[tuple[Container, Endpoint]]: ...

    async def warnings(self, network: Network) -> Sequence[str]:
        """What stops the network's traffic, and how to remedy it."""

    def in_use(self, network_id: str) -> bool: ...


class Containers(Protocol):
    def all(self) -> Sequence[Container]: ...

    def find(self, reference: str) -> Container: ...

    def endpoints(self, container_id: str) -> Sequence[tuple[Network, Endpoint]]: ...

    def sandbox(self, container_id: str) -> Sandbox | None: ...

    def names(self, container_id: str) -> Sequence[str]:
        """With leading slashes: its own, and those that links give it."""

    def links(self, container_id: str) -> Sequence[str]:
        """``/target:/linker/alias``"""

    def paths(self, container_id: str) -> ContainerPaths: ...

    def health(self, container_id: str) -> Health | None: ...

    async def create(self, request: ContainerRequest) -> tuple[Container, Sequence[str]]: ...

    async def start(self, reference: str) -> None: ...

    async def stop(self, reference: str, timeout: int | None, signal: str) -> None: ...

    async def restart(self, reference: str, timeout: int | None, signal: str) -> None: ...

    async def kill(self, reference: str, signal: str) -> None: ...

    async def pause(self, reference: str) -> None: ...

    async def unpause(self, reference: str) -> None: ...

    async def rename(self, reference: str, name: str) -> None: ...

    async def update(self, reference: str, changes: HostConfig) -> Sequence[str]:
        """What ``changes`` holds; returns warnings."""

    async def remove(self, reference: str, *, volumes: bool, force: bool, link: bool) -> None: ...

    async def attach(self, reference: str) -> Streams:
        """Valid on created containers, too: the streams then begin with the process."""

    def logs(
        self, reference: str, *, stdout: bool, stderr: bool, since: int, until: int, tail: int, follow: bool
    ) -> AsyncGenerator[LogLine, None]: ...

    async def resize(self, reference: str, height: int, width: int) -> None: ...

    async def prune(self, which: PruneFilter) -> tuple[Sequence[str], int]: ...

    def changes(self, reference: str) -> Awaitable[Sequence[tuple[str, int]]]: ...

    async def processes(self, reference: str) -> Sequence[int]: ...

    def waiter(self, reference: str, condition: WaitCondition) -> Awaitable[Exit]:
        """Registers at once; awaiting gives the exit."""

    async def writable_size(self, reference: str) -> int: ...


class Snapshots(Protocol):
    async def export(self, reference: str) -> AsyncGenerator[bytes, None]: ...

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
    ) -> str: ...


class Copying(Protocol):
    """Files into and out of containers."""

    async def describe(self, reference: str, path: str) -> PathStat: ...

    def archive(
        self, reference: str, path: str
    ) -> AbstractAsyncContextManager[tuple[PathStat, AsyncGenerator[bytes, None]]]:
        """The archive must be read within the context, which keeps others from the container."""

    async def extract(
        self, reference: str, path: str, content: AsyncIterator[bytes], *, keep_kinds: bool, own: bool
    ) -> None: ...


class Stats(Protocol):
    async def once(self, reference: str) -> tuple[Container, Usage]: ...

    def stream(self, reference: str) -> AsyncGenerator[tuple[Container, Usage], None]:
        """One each second, until the container is removed."""


class Execs(Protocol):
    def check(self, id_: str) -> None:
        """Raises Conflict when it cannot be started, because it has been or its container does not run."""

    async def create(self, container: str, request: ExecRequest) -> str: ...

    async def start(self, id_: str, *, console_size: tuple[int, int] = (0, 0)) -> ExecProcess: ...

    async def resize(self, id_: str, height: int, width: int) -> None: ...

    def find(self, id_: str) -> Exec: ...

    def of(self, container_id: str) -> Sequence[str]:
        """Ids of the container's execs."""


class Volumes(Protocol):
    def all(self) -> Sequence[Volume]: ...

    def find(self, name: str) -> Volume: ...

    async def create(self, request: VolumeRequest) -> Volume: ...

    async def remove(self, name: str, force: bool) -> None: ...

    async def prune(self, which: PruneFilter) -> tuple[Sequence[str], int]: ...

    def users(self, name: str) -> Sequence[str]: ...

    async def size(self, name: str) -> int: ...


class Images(Protocol):
    def all(self) -> Sequence[Image]: ...

    def find(self, reference: str) -> Image: ...

    def history(self, reference: str) -> Sequence[dict[str, Any]]: ...

    async def tag(self, reference: str, repository: str, tag: str) -> None: ...

    async def remove(self, reference: str, force: bool, noprune: bool) -> Sequence[tuple[str, str]]: ...

    async def prune(self, which: PruneFilter) -> tuple[Sequence[tuple[str, str]], int]: ...

    def load(self, archive: AsyncIterator[bytes]) -> AsyncGenerator[dict[str, Any], None]: ...

    def import_(
        self, archive: AsyncIterator[bytes], repository: str, tag: str, changes: Sequence[str], message: str
    ) -> AsyncGenerator[dict[str, Any], None]: ...

    def pull(
        self, repository: str, tag: str, *, platform: str, auth: Mapping[str, str] | None
    ) -> AsyncGenerator[dict[str, Any], None]: ...

    def save(self, references: Sequence[str]) -> AsyncGenerator[bytes, None]: ...

    def users(self, image_id: str) -> int: ...


class Events(Protocol):
    def subscribe(self, since: int | None, until: int | None) -> AsyncGenerator[Event, None]:
        """Past events from ``since`` (ns, None: none), then live ones, to ``until`` (ns, None: for ever)."""


class System(Protocol):
    def info(self) -> SystemFacts: ...

    async def warnings(self) -> Sequence[str]:
        """What keeps networks from working as one would expect."""

    def reload(self, labels: tuple[str, ...], debug: bool) -> None: ...


class Rules(Protocol):
    async def report(self, reference: str = "") -> Sequence[Rule]: ...

    async def nft(self) -> str: ...

    async def iptables(self, kind: Family, *, form: Form, table: str, chain: str, verbose: bool) -> str: ...


class Doctor(Protocol):
    async def examine(self) -> Examination: ...

    async def cure(self) -> Examination: ...


class Backend(Protocol):
    """The engine, as the API sees it."""

    @property
    def networks(self) -> Networks: ...

    @property
    def containers(self) -> Containers: ...

    @property
    def snapshots(self) -> Snapshots: ...

    @property
    def copying(self) -> Copying: ...

    @property
    def stats(self) -> Stats: ...

    @property
    def execs(self) -> Execs: ...

    @property
    def volumes(self) -> Volumes: ...

    @property
    def images(self) -> Images: ...

    @property
    def events(self) -> Events: ...

    @property
    def system(self) -> System: ...

    @property
    def rules(self) -> Rules: ...

    @property
    def doctor(self) -> Doctor: ...
