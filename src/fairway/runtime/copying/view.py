"""Makes a container's file system the root of this process, in a mount namespace of its own.

Everything is mounted afresh: the root, then what the container mounts, each at a place that is found inside
the root. Mounts are built detached (open_tree(2), move_mount(2)), so no path is looked up twice and a
container that renames directories meanwhile gains nothing. All of it is mounted ``nodev``: a device that a
container makes to look like its file is never opened. The namespace, and its mounts, go with the process.
"""

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Iterable

from fairway.runtime.openat import make_directory, open_in_root

_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
"""The same on all architectures (asm-generic/unistd.h)."""
_OPEN_TREE_CLONE, _AT_RECURSIVE, _AT_EMPTY_PATH, _AT_FDCWD = 1, 0x8000, 0x1000, -100
_FROM_FD, _TO_FD = 0x04, 0x40
"""``MOVE_MOUNT_F_EMPTY_PATH``, ``MOVE_MOUNT_T_EMPTY_PATH`` (linux/mount.h)."""
_RDONLY, _NOSUID, _NODEV, _NOEXEC = 0x1, 0x2, 0x4, 0x8
"""``MOUNT_ATTR_…`` (linux/mount.h)."""
_MS_REC, _MS_PRIVATE, _MS_SLAVE = 0x4000, 1 << 18, 1 << 19
_CLONE_NEWNS = 0x20000
_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttr(ctypes.Structure):
    """``struct mount_attr`` of linux/mount.h."""

    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def enter(root: str, mounts: Iterable[tuple[str, str, bool]]) -> None:
    """``root`` with ``mounts`` (source, destination, read-only) becomes ``/`` and the working directory.

    Raises OSError.
    """
    _check(_libc.unshare(_CLONE_NEWNS), "unshare")
    _check(_libc.mount(b"none", b"/", None, _MS_REC | _MS_SLAVE, None), "/")
    top = _clone(root, read_only=False, recursive=False)
    place = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    _move(top, place, root)
    os.close(place)
    for source, destination, read_only in mounts:
        try:
            tree = _clone(source, read_only=read_only, recursive=True)
        except FileNotFoundError:
            continue
        target = _target(f"/proc/self/fd/{top}", destination, os.fstat(tree))
        _move(tree, target, destination)
        os.close(target)
        os.close(tree)
    os.fchdir(top)
    os.chroot(".")
    os.close(top)
    sys.meta_path.clear()  # a module that is not there yet would come from the container


def _clone(path: str, *, read_only: bool, recursive: bool) -> int:
    """A detached copy of what is mounted at ``path``."""
    depth = _AT_RECURSIVE if recursive else 0
    tree = _check(
        _libc.syscall(_OPEN_TREE, _AT_FDCWD, os.fsencode(path), _OPEN_TREE_CLONE | os.O_CLOEXEC | depth), path
    )
    attributes = _NODEV | _NOSUID | _NOEXEC | (_RDONLY if read_only else 0)
    wanted = _MountAttr(attributes, 0, _MS_PRIVATE, 0)
    _check(
        _libc.syscall(
            _MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH | depth, ctypes.byref(wanted), ctypes.sizeof(wanted)
        ),
        path,
    )
    return tree


def _move(tree: int, target: int, path: str) -> None:
    _check(_libc.syscall(_MOVE_MOUNT, tree, b"", target, b"", _FROM_FD | _TO_FD), path)


def _target(root: str, path: str, source: os.stat_result) -> int:
    """Descriptor of a mount's place, made if it is not there, as the container's start will make it."""
    if stat.S_ISDIR(source.st_mode):
        make_directory(root, path)
        return open_in_root(root, path, os.O_PATH | os.O_DIRECTORY)
    make_directory(root, os.path.dirname(path))  # noqa: PTH120
    try:
        os.close(open_in_root(root, path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    except OSError as error:
        if error.errno != errno.EEXIST:
            raise
    return open_in_root(root, path, os.O_PATH)


def _check(result: int, path: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result
