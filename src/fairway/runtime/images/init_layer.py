"""The layer between image and container: mount points that every container needs.

The runtime mounts over ``/proc``, ``/etc/hosts`` and the like, and what it mounts over must exist. Were these
stubs made in the container's own layer, they would show in ``docker diff`` and be committed; so, as in Docker
(moby, daemon/initlayer), they lie in a layer of their own below it.

Only what the image lacks is made, and a directory that must appear in the layer repeats the image's mode and
owner, since the topmost directory decides them. So the layer depends on the image, but most images need the
same one: it is named by its content and shared. A stub below a symbolic link of the image is left to the
runtime, which resolves links inside the mounted root.
"""

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from fairway.runtime.images.stack import Level

_DIRECTORIES = ("dev/pts", "dev/shm", "proc", "sys")
_FILES = (".dockerenv", "dev/console", "etc/hosts", "etc/hostname", "etc/resolv.conf")
_LINKS = {"etc/mtab": "/proc/mounts"}


class _Stub(msgspec.Struct, frozen=True):
    path: str
    kind: str
    mode: int = 0o755
    uid: int = 0
    gid: int = 0


def ensure(lower: Sequence[str], directory: Path, temporary: Path) -> str:
    """Path of the init layer for an image with these lower directories, topmost first; made if missing."""
    stubs = _needed(Level(lower))
    path = directory / hashlib.sha256(msgspec.json.encode(stubs)).hexdigest()[:8]
    if not path.exists():
        staging = Path(tempfile.mkdtemp(dir=temporary, prefix="init-"))
        _make(staging, stubs)
        try:
            staging.rename(path)
        except OSError:
            shutil.rmtree(staging)
            if not path.exists():  # otherwise another container's start was faster
                raise
    return str(path)


def _needed(root: Level) -> list[_Stub]:
    """What to make, parents first."""
    stubs: dict[str, _Stub] = {}
    for path in _DIRECTORIES:
        _plan(root, path, "directory", stubs)
    for path in _FILES:
        _plan(root, path, "file", stubs)
    for path, target in _LINKS.items():
        _plan(root, path, f"link {target}", stubs)
    return list(stubs.values())


def _plan(level: Level, path: str, kind: str, stubs: dict[str, _Stub]) -> None:
    *parents, name = path.split("/")
    needed: list[_Stub] = []
    for depth, parent in enumerate(parents, 1):
        status = level.status(parent)
        here = "/".join(parents[:depth])
        if status is None:
            needed.append(_Stub(here, "directory"))
        elif stat.S_ISDIR(status.st_mode):
            mode = stat.S_IMODE(status.st_mode)
            needed.append(_Stub(here, "directory", mode, status.st_uid, status.st_gid))
        else:
            return
        level = level.enter(parent)
    if level.status(name) is None:
        for stub in (*needed, _Stub(path, kind)):
            stubs.setdefault(stub.path, stub)


def _make(staging: Path, stubs: Sequence[_Stub]) -> None:
    staging.chmod(0o755)
    for stub in stubs:
        path = staging / stub.path
        if stub.kind == "directory":
            path.mkdir()
        elif stub.kind == "file":
            path.touch()
        else:
            path.symlink_to(stub.kind.removeprefix("link "))
            continue
        os.chown(path, stub.uid, stub.gid)
        path.chmod(stub.mode)
