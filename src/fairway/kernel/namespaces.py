"""Network namespaces held alive by files, and visits of the worker thread to them.

A namespace is made by ``unshare`` in the worker thread and kept by bind-mounting ``/proc/thread-self/ns/net``
on a file: half a millisecond, and no process. The thread always returns to the host's namespace, also on
errors; it is the only thread that ever leaves it.

The directory of these files lies on a shared mount of its own: conmon and the containers run in copies of
this mount namespace, and an unmount here must reach the copies, or they keep dead namespaces alive. It is a
*fresh* peer group (private first, then shared), otherwise each file would be mounted twice, once more below
the directory's original mount.

Rejected: forking a helper per namespace (pyroute2, ip netns): 3 ms, and unsafe beside threads.
"""

import contextlib
import errno
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from fairway.kernel import libc
from fairway.kernel.mounts import mounts
from fairway.kernel.netlink import Channel, failed
from fairway.kernel.rtnetlink import set_link
from fairway.model.errors import System

_THREAD = "/proc/thread-self/ns/net"


def prepare_run_directory(path: str) -> None:
    """Make the directory, if missing, a shared mount of its own. Idempotent. Raises System."""
    try:
        Path(path).mkdir(mode=0o711, parents=True, exist_ok=True)
        real = os.path.realpath(path)
        if not any(m.target == real for m in mounts()):
            libc.mount(real, real, "none", libc.MS_BIND)
            libc.mount("none", real, "none", libc.MS_PRIVATE)
            libc.mount("none", real, "none", libc.MS_SHARED)
    except OSError as error:
        raise System(f"cannot make {path} a shared mount: {error.strerror}") from error


def release_run_directory(path: str) -> None:
    """Undo ``prepare_run_directory``; the directory stays. Idempotent. Raises System."""
    real = os.path.realpath(path)
    try:
        if any(m.target == real for m in mounts()):
            libc.unmount(real)
    except OSError as error:
        raise System(f"cannot unmount {path}: {error.strerror}") from error


class Namespaces:
    """The worker thread's home namespace and its visits elsewhere. Only for that thread."""

    def __init__(self, home: str | None) -> None:
        """Enter ``home`` (a namespace file) if given; the thread's namespace is the host's from now on."""
        if home is not None:
            fd = os.open(home, os.O_RDONLY | os.O_CLOEXEC)
            try:
                libc.setns(fd)
            finally:
                os.close(fd)
        self._home = os.open(_THREAD, os.O_RDONLY | os.O_CLOEXEC)
        self.kept: dict[str, int] = {}
        """What is kept at each path, by inode number: what shall be there still. Read by other threads."""

    @property
    def home(self) -> int:
        """Descriptor of the host's namespace."""
        return self._home

    def close(self) -> None:
        os.close(self._home)

    @contextlib.contextmanager
    def inside(self, path: str) -> Iterator[int]:
        """The thread is in the namespace ``path`` (the host's if empty) meanwhile; yields a descriptor.

        Raises FileNotFoundError when there is none.
        """
        if not path:
            yield self._home
            return
        fd = open_namespace(path)
        try:
            libc.setns(fd)
            try:
                yield fd
            finally:
                libc.setns(self._home)
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[None]:
        """The thread is in a fresh namespace meanwhile, which then disappears."""
        libc.unshare_network()
        try:
            yield
        finally:
            libc.setns(self._home)

    def create(self, path: str) -> bool:
        """Make a namespace with its loopback up and keep it at ``path``; False if there is one already.

        The file is mounted last: a namespace that is there is complete. Raises OSError.
        """

        def mount() -> None:
            with self.scratch():
                _loopback_up()
                libc.mount(_THREAD, path, "none", libc.MS_BIND)

        return self._keep(path, mount)

    def adopt(self, path: str, pid: int) -> bool:
        """Keep the namespace of a process at ``path``; False if there is one already.

        Raises OSError, with EXDEV if the process went to another one: the host's, or one that is kept.
        """
        source = f"/proc/{pid}/ns/net"
        if (number := inode(source)) == os.fstat(self._home).st_ino or any(
            kept == number for other, kept in self.kept.items() if other != path
        ):
            raise OSError(errno.EXDEV, "it is in a namespace that is not its container's")
        return self._keep(path, lambda: libc.mount(source, path, "none", libc.MS_BIND))

    def remove(self, path: str) -> bool:
        """Let go of a namespace; it dies when its last user ends. False if there was none. Raises OSError."""
        self.kept.pop(path, None)
        return remove(path)

    def find(self, directory: str) -> None:
        """Take note of all namespaces that are kept in the directory, and drop files that keep none.

        These were left by a crash in mid-creation, or by a reboot. Raises OSError.
        """
        folder = Path(directory)
        for file in folder.iterdir() if folder.is_dir() else ():
            path = f"{directory}/{file.name}"
            if is_namespace(path):
                self.kept[path] = inode(path)
            elif file.is_file():
                file.unlink(missing_ok=True)

    def lost(self) -> list[str]:
        """Paths at which another namespace or none is kept than was. They are told once. For any thread."""
        gone = [path for path, number in list(self.kept.items()) if inode(path) != number]
        for path in gone:
            self.kept.pop(path, None)
        return gone

    def _keep(self, path: str, mount: Callable[[], None]) -> bool:
        if not is_namespace(path):
            file = Path(path)
            file.touch(mode=0o444)
            try:
                mount()
            except OSError:
                file.unlink()
                raise
            self.kept[path] = inode(path)
            return True
        self.kept[path] = inode(path)
        return False


def remove(path: str) -> bool:
    """Let go of a namespace; it dies when its last user ends. False if there was none. Raises OSError."""
    file = Path(path)
    if not file.exists():
        return False
    held = is_namespace(path)
    if held:
        libc.unmount(path)
    file.unlink()
    return held


def is_namespace(path: str) -> bool:
    """Whether a namespace is kept at ``path``: the file lies on nsfs then."""
    try:
        return os.stat(path).st_dev == _nsfs()  # noqa: PTH116 - as below
    except FileNotFoundError:
        return False


@functools.cache
def _nsfs() -> int:
    """The device of the file system that all namespaces are on."""
    return Path(_THREAD).stat().st_dev


def inode(path: str) -> int:
    """The namespace's number; 0 if nothing is at ``path``."""
    try:
        return os.stat(path).st_ino  # noqa: PTH116 - a third of pathlib's time, for hundreds of them
    except FileNotFoundError:
        return 0


def open_namespace(path: str) -> int:
    """A descriptor of the namespace. Raises FileNotFoundError when there is none."""
    if not is_namespace(path):
        raise FileNotFoundError(2, "no such network namespace", path)
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _loopback_up() -> None:
    channel = Channel()
    try:
        if answer := failed(channel.exchange([set_link(name="lo", up=True)])):
            raise OSError(answer.code, f"loopback: {answer}")
    finally:
        channel.close()
