"""Reading and making files inside a container's root file system without being led out of it.

A root file system's content is not to be trusted: ``/etc`` may be a symbolic link to the host's. openat2(2)
with ``RESOLVE_IN_ROOT`` resolves every link as if the directory were ``/``. The C library has no function
for it, so it is called by number. Joining and normalising paths was rejected: it is racy against the
running container.
"""

import ctypes
import os
import stat
import subprocess
from pathlib import Path

from fairway.model.errors import System
from fairway.runtime import command

_OPENAT2 = 437
"""The same on all architectures (asm-generic/unistd.h)."""
_RESOLVE_IN_ROOT = 0x10
"""linux/openat2.h"""
_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    """``struct open_how`` of linux/openat2.h."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_in_root(root: str, path: str, flags: int) -> int:
    """A file descriptor of ``path`` inside ``root``. Raises OSError as open(2) does."""
    directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        how = _OpenHow(flags | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT)
        name = os.fsencode(path)
        fd: int = _libc.syscall(_OPENAT2, directory, name, ctypes.byref(how), ctypes.sizeof(how))
        if fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
        return fd
    finally:
        os.close(directory)


def read_text(root: str, path: str, limit: int = 1 << 20) -> str:
    """A small file's content; empty when it is missing or no regular file."""
    try:
        fd = open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return os.read(fd, limit).decode(errors="replace")
    finally:
        os.close(fd)


def make_directory(root: str, path: str) -> None:
    """Make ``path`` and its parents inside ``root`` (0755), as Docker does for a working directory."""
    made = ""
    for part in (part for part in path.split("/") if part not in ("", ".")):
        parent = open_in_root(root, made or "/", os.O_PATH | os.O_DIRECTORY)
        try:
            os.mkdir(part, 0o755, dir_fd=parent)
        except FileExistsError:
            pass
        finally:
            os.close(parent)
        made = f"{made}/{part}"


def copy_directory(root: str, path: str, target: Path) -> None:
    """Copy what ``path`` inside ``root`` holds into the directory ``target``: owners, modes, attributes, too.

    Nothing is done when ``target`` already holds something or ``path`` is no directory. Raises System when
    the copy fails, e.g. on a full disk.
    """
    if any(target.iterdir()):
        return
    try:
        source = open_in_root(root, path, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        copy = [command.find("cp", "coreutils"), "-a", f"/proc/self/fd/{source}/.", str(target)]
        done = subprocess.run(copy, pass_fds=(source,), capture_output=True, check=False)
    finally:
        os.close(source)
    if done.returncode:
        raise System(
            f"copying {path} of the image to {target}: {done.stderr.decode(errors='replace').strip()}"
        )
