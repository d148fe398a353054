"""What the engine needs of kernel, store, resolver, runtime and image store, declared where it is consumed.

Implementations live in ``kernel/``, ``store/``, ``dns/`` and ``runtime/``; the daemon wires them. All raise
only kinds from ``model.errors``.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from fairway.model.address import Address, Cidr
from fairway.model.container import Config, Container, Exit, HostConfig
from fairway.model.dns import NetworkNames, Zone
from fairway.model.errors import Fault
from fairway.model.foreign import ForeignFilters
from fairway.model.image import Image, RootFilesystem
from fairway.model.process import ExecProcess, ExecRequest, Launch, LogLine, Streams
from fairway.model.record import Change, Put
from fairway.model.tree import PathStat, Tree
from fairway.model.usage import Usage
from fairway.plan import Counted, Fact, HeldPort, Plan, Sysctl


class Kernel(Protocol):
    """Applies plans. One worker thread; calls are taken in order."""

    async def apply(self, plan: Plan) -> None:
        """Take every step, or none: when one fails, what was done is undone and Fault is raised.

        Steps whose fact already holds (or, withdrawing, no longer holds) count as done.
        """

    async def withdraw(self, plan: Plan) -> Sequence[Fault]:
        """Take every step even if some fail, and return the failures. For teardown."""

    async def facts(self) -> frozenset[Fact]:
        """What holds now, of links, addresses, routes, elements, namespaces, mounts carrying our mark."""

    async def disturbed(self) -> frozenset[str]:
        """Until somebody else may have changed something of ours since the last call; what, in words.

        What this daemon does itself does not count. May tell too often, never too rarely.
        """

    async def intact(self) -> bool:
        """Whether the firewall table's rules are there as they were written."""

    async def install(self) -> bool:
        """Write the firewall table's rules if they are not; whether they were. Raises System."""

    async def adopt(self, path: str, pid: int) -> bool:
        """Keep the network namespace of a process at ``path``; False if one is kept there already.

        Raises System.
        """

    async def differing(self, wanted: Sequence[Sysctl]) -> Sequence[Sysctl]:
        """Of these sysctls those that hold another value, each with that: empty if there is no such file."""

    async def counted(self) -> Counted:
        """The elements of the nftables table, with what they and the rules have counted."""

    async def held(self) -> Collection[HeldPort]:
        """The ports of the host that are held for containers."""

    async def listing(self) -> str:
        """The nftables table as ``nft`` prints it; empty without it."""

    async def occupied(self) -> Sequence[Cidr]:
        """Subnets that host routes and interfaces use, our own bridges excluded; IPAM avoids them."""

    async def interfaces(self) -> Mapping[str, bool]:
        """All interface names of the host namespace, each with whether it is ours."""

    async def bridge_addresses(self, name: str) -> Sequence[Cidr] | None:
        """Addresses of a bridge of the host, whoever made it, in order; None if there is no such bridge."""

    async def ports_free(self, ports: Sequence[tuple[str, Address, int]]) -> Sequence[bool]:
        """For each (protocol, host's address, port) whether no process of the host has it.

        ``0.0.0.0`` and ``::`` stand for all addresses of their family.
        """

    async def foreign_filters(self) -> ForeignFilters:
        """Other programs' tables that filter forwarded packets. Raises System if one cannot be read."""

    async def sysctl(self, namespace: str, key: str) -> str:
        """Value of a sysctl (slash-separated key), stripped. Raises NotFound."""


class Store(Protocol):
    """Keeps objects by (kind, id). Blocking; called from a thread."""

    def load(self, take: Callable[[Put], None]) -> None:
        """Hand over all objects. Raises System when the store is damaged, or ``take`` cannot decode one."""

    def commit(self, changes: Sequence[Change]) -> None:
        """All changes in one durable transaction. Raises System; then none of them is made."""

    def close(self) -> None: ...


class Resolver(Protocol):
    """Control of the resolver process."""

    async def publish(self, networks: Sequence[NetworkNames], zones: Sequence[Zone]) -> None:
        """Swap tables of networks and snapshots of sandboxes, all at once.

        A network's table is kept while any zone lists it, so publish it together with the first such zone;
        afterwards either can be published alone. Publish before the sockets are opened.
        """

    async def withdraw(self, sandbox: str) -> None:
        """Drop the sandbox's snapshot, and tables that no other zone lists. No error if there is none."""

    async def sandboxes(self) -> frozenset[str]:
        """Sandbox ids that have a snapshot or sockets, for reconciliation."""


class Runtime(Protocol):
    """Runs containers through conmon and an OCI runtime; they outlive the daemon."""

    name: str
    """``crun`` or ``runc``."""
    path: str
    version: str

    def settle(self, host: HostConfig) -> HostConfig:
        """The host configuration as it will be applied: defaults spelled out.

        Raises InvalidParameter for what no container can have on this machine.
        """

    async def create(self, launch: Launch) -> int:
        """Make bundle and container, process not started yet; returns its pid on the host.

        Raises InvalidParameter for what the image or the request cannot satisfy (Docker's texts, e.g. an
        executable that is not there), System otherwise. Nothing is left after a failure.
        """

    async def start(self, container: str) -> None:
        """Let the created process run."""

    async def wait(self, container: str) -> Exit:
        """Until the container's process has ended; works for containers started by an earlier daemon."""

    async def kill(self, container: str, signal: int) -> None:
        """Send a signal to the container's init process; no error when it has just ended."""

    async def update(self, container: str, host: HostConfig) -> None:
        """Have the limits of a running container be those of ``host``. Raises Conflict, System."""

    async def pause(self, container: str) -> None:
        """Freeze all processes; no error if they are."""

    async def resume(self, container: str) -> None:
        """Thaw all processes; no error if they run."""

    async def delete(self, container: str) -> None:
        """Remove what the runtime keeps of a container (cgroup, state, bundle); never its log.

        A process that still runs is killed; no error when nothing is kept.
        """

    async def attach(self, container: str) -> Streams:
        """Streams from now on; valid between create and exit."""

    async def resize(self, container: str, height: int, width: int) -> None: ...

    async def exec(self, container: Container, request: ExecRequest) -> ExecProcess: ...

    def logs(
        self,
        container: str,
        *,
        stdout: bool,
        stderr: bool,
        since: int,
        until: int,
        tail: int,
        follow: bool,
    ) -> AsyncGenerator[LogLine, None]:
        """Log entries; since/until in ns (0: unbounded), tail -1 for all. Following ends with the process."""

    def log_path(self, container: str) -> str: ...

    async def processes(self, container: str) -> Sequence[int]:
        """Host pids of all processes in the container's cgroup."""

    async def usage(self, container: str) -> Usage | None:
        """What the container uses now; None if it does not run."""

    async def describe(self, tree: Tree, path: str) -> PathStat:
        """What lies at ``path`` in a container's file system. Raises NotFound, InvalidParameter, System."""

    def archive(
        self, tree: Tree, path: str
    ) -> AbstractAsyncContextManager[tuple[PathStat, AsyncGenerator[bytes, None]]]:
        """What lies at ``path`` and an archive of it; raises as ``describe``."""

    async def extract(
        self, tree: Tree, path: str, content: AsyncIterator[bytes], *, keep_kinds: bool, user: str
    ) -> None:
        """Write an archive into the directory ``path``.

        ``keep_kinds`` replaces no directory by something else or the other way round; all of it belongs to
        ``user`` (empty: to whom the archive says). Raises NotFound, InvalidParameter, Forbidden, System.
        """

    async def running(self) -> Mapping[str, int]:
        """Containers of this daemon whose process exists, with its pid."""

    async def kept(self) -> Sequence[str]:
        """Containers of this daemon that ``delete`` would remove something of, ended or not."""

    async def forget(self, container: str) -> None:
        """Remove everything, the log included."""


class Images(Protocol):
    """The image store: layers unpacked for overlayfs, configurations, names.

    What is not ``async`` answers from memory; everything that touches the disk does so in a thread.
    """

    def list(self) -> Sequence[Image]: ...

    def find(self, reference: str) -> Image:
        """By name (``busybox``, ``busybox:1``, ``name@sha256:…``), full id, or unique id prefix.

        Raises NotFound with Docker's text (``No such image: nosuch:latest``).
        """

    def history(self, image: Image) -> Sequence[dict[str, Any]]:
        """Newest first: Id, Created, CreatedBy, Tags, Size, Comment (API ``ImageHistory``)."""

    async def prepare(self, container: str, image: str) -> RootFilesystem:
        """Directories for a container's root filesystem on the image; made if missing, kept if there.

        From then on the container keeps its layers alive, even if the image is removed by force.
        """

    async def discard(self, container: str) -> None:
        """Remove the container's writable layer (unmounted before); no error if there is none."""

    async def changes(self, container: str, image: str) -> Sequence[tuple[str, int]]:
        """Paths that the container changed: 0 modified, 1 added, 2 deleted (Docker's numbers), sorted."""

    async def writable_size(self, container: str) -> int:
        """Bytes of the files in the container's writable layer (``SizeRw``)."""

    async def tag(self, reference: str, repository: str, tag: str) -> None:
        """Name an image; an empty tag means ``latest``."""

    async def remove(
        self, reference: str, *, force: bool, prune: bool, used: Sequence[Container]
    ) -> Sequence[tuple[str, str]]:
        """Untag or delete; ``used`` are the containers that exist, running or not.

        Returns pairs like ("Untagged", "busybox:latest"), ("Deleted", "sha256:…") in Docker's order.
        """

    async def prune(
        self, *, dangling: bool, used: Sequence[Container], accept: Callable[[Image], bool]
    ) -> tuple[Sequence[tuple[str, str]], int]:
        """Remove unused images (only untagged ones if ``dangling``) that ``accept`` lets pass (filters).

        Returns the pairs of ``remove`` and the bytes won.
        """

    def load(
        self, archive: AsyncIterator[bytes], *, quiet: bool = False
    ) -> AsyncGenerator[dict[str, Any], None]:
        """docker save/OCI archive (plain or gzip/bzip2/xz/zstd); yields Docker's progress messages."""

    def import_(
        self, archive: AsyncIterator[bytes], repository: str, tag: str, changes: Sequence[str], message: str
    ) -> AsyncGenerator[dict[str, Any], None]:
        """A root filesystem as tar becomes an image of one layer; an empty repository leaves it untagged."""

    def pull(
        self, repository: str, tag: str, *, platform: str, auth: Mapping[str, str] | None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yields Docker's progress; what fails before the transfer is raised before the first message."""

    def save(self, references: Sequence[str]) -> AsyncGenerator[bytes, None]:
        """An archive that both ``docker load`` and OCI tools read."""

    def export(self, root: str) -> AsyncGenerator[bytes, None]:
        """A mounted root filesystem as a tar stream."""

    async def commit(
        self,
        container: Container,
        config: Config,
        *,
        changes: Sequence[str] = (),
        repository: str,
        tag: str,
        comment: str,
        author: str,
    ) -> Image:
        """The container's image plus its changes; ``config``, altered by Dockerfile ``changes``."""


class Clock(Protocol):
    """Time, passed in so that tests own it."""

    def now(self) -> int:
        """Nanoseconds since the epoch."""

    async def sleep(self, seconds: float) -> None: ...


class Files(Protocol):
    """Directories and small files of containers and volumes, on this host's disk. Quick, blocking."""

    def path(self, container: str, name: str) -> str:
        """Where the container's file ``name`` (hosts, hostname, resolv.conf) is or will be."""

    def write(self, container: str, name: str, text: str) -> None:
        """In place, so that a bind mount of the file keeps showing it."""

    def append(self, container: str, name: str, text: str) -> None: ...

    def edit(self, container: str, name: str, change: Callable[[str], str]) -> None:
        """Replace the text by what ``change`` makes of it, in place."""

    def drop(self, container: str, name: str, words: frozenset[str]) -> None:
        """Take out the lines whose first word is one of these, in place; the others stay as they are."""

    def remove(self, container: str) -> None: ...

    def create_volume(self, name: str) -> str:
        """Directory of the volume's data, made if missing."""

    def remove_volume(self, name: str) -> None: ...

    def volume_size(self, name: str) -> int: ...

    def populate(self, volume: str, rootfs: str, destination: str) -> None:
        """Copy what the image has at ``destination`` into an empty volume, owners and modes kept."""

    def is_directory(self, path: str) -> bool | None:
        """None when nothing is there."""

    def make_directory(self, path: str) -> None: ...

    def resolv_conf(self) -> str:
        """The host's, empty if it has none."""

    def hosts(self) -> str:
        """The host's /etc/hosts."""

    def hostname(self) -> str: ...
