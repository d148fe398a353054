"""Directories and small files that the engine keeps for containers and volumes.

    <data-root>/containers/<id>/{hosts,hostname,resolv.conf}     mounted into the container
    <data-root>/volumes/<name>/_data                             mounted where the container asks

Files are written in place, never renamed over: a bind mount shows the inode it was made of.
"""

import platform
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from fairway.model.errors import Fault, System
from fairway.runtime import trees
from fairway.runtime.rootfs import copy_directory

_LARGEST = 1 << 20
"""Characters up to which a container's file is edited: the container may write to it, too."""


class HostFiles:
    """Implements the engine's ``Files`` under one data root."""

    def __init__(self, data_root: Path) -> None:
        self._containers = data_root / "containers"
        self._volumes = data_root / "volumes"
        for directory in (self._containers, self._volumes):
            directory.mkdir(mode=0o710, parents=True, exist_ok=True)

    def path(self, container: str, name: str) -> str:
        return str(self._containers / container / name)

    def write(self, container: str, name: str, text: str) -> None:
        try:
            (self._containers / container).mkdir(mode=0o710, exist_ok=True)
            path = self._containers / container / name
            path.write_text(text)
            path.chmod(0o644)
        except OSError as e:
            raise _failed(f"write {name} of container {container[:12]}", e) from e

    def append(self, container: str, name: str, text: str) -> None:
        try:
            with (self._containers / container / name).open("a") as file:
                file.write(text)
        except OSError as e:
            raise _failed(f"write {name} of container {container[:12]}", e) from e

    def edit(self, container: str, name: str, change: Callable[[str], str]) -> None:
        try:
            path = self._containers / container / name
            with path.open(errors="surrogateescape") as file:
                old = file.read(_LARGEST)
                if file.read(1):
                    return  # the container's own doing: it may write what it likes, and has it as it is
            new = change(old)
            if new != old:
                path.write_text(new, errors="surrogateescape")
        except OSError as e:
            raise _failed(f"write {name} of container {container[:12]}", e) from e

    def drop(self, container: str, name: str, words: frozenset[str]) -> None:
        def without(text: str) -> str:
            lines = text.splitlines(keepends=True)
            return "".join(line for line in lines if not words & set(line.split()[:1]))

        self.edit(container, name, without)

    def remove(self, container: str) -> None:
        """The container's directory, whatever else is in it."""
        _remove_tree(self._containers / container)

    def create_volume(self, name: str) -> str:
        data = self._volumes / name / "_data"
        try:
            data.parent.mkdir(mode=0o701, exist_ok=True)
            data.mkdir(mode=0o755, exist_ok=True)
        except OSError as e:
            raise _failed(f"create volume {name}", e) from e
        return str(data)

    def remove_volume(self, name: str) -> None:
        _remove_tree(self._volumes / name)

    def volume_size(self, name: str) -> int:
        """Bytes of all files, a hard-linked one counted once."""
        seen: dict[tuple[int, int], int] = {}
        with suppress(FileNotFoundError):
            for entry in trees.walk(str(self._volumes / name / "_data")):
                if not entry.is_directory:
                    seen[entry.status.st_dev, entry.status.st_ino] = entry.status.st_size
        return sum(seen.values())

    def populate(self, volume: str, rootfs: str, destination: str) -> None:
        try:
            copy_directory(rootfs, destination, Path(volume))
        except OSError as e:
            raise _failed(f"copy the image's {destination} into the volume", e) from e

    def is_directory(self, path: str) -> bool | None:
        try:
            return Path(path).is_dir() if Path(path).exists() else None
        except OSError:
            return None

    def make_directory(self, path: str) -> None:
        try:
            Path(path).mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise _failed(f"create the bind's source {path}", e) from e

    def resolv_conf(self) -> str:
        return _text(Path("/etc/resolv.conf"))

    def hosts(self) -> str:
        return _text(Path("/etc/hosts"))

    def hostname(self) -> str:
        return platform.node()


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""


def _remove_tree(path: Path) -> None:
    try:
        trees.remove(str(path))
    except FileNotFoundError:
        return
    except OSError as e:
        raise _failed(f"remove {path}", e) from e


def _failed(what: str, error: OSError) -> Fault:
    return System(f"cannot {what}: {error.strerror}: {error.filename}")
