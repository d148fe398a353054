"""The one mount that the runtime makes on the host: a /dev/shm that several containers share.

A container's own /dev/shm lives and dies in its mount namespace. One that others may join (``--ipc
shareable``) must be reachable from outside, so it is mounted in the bundle and bound into each of them, as
Docker does.
"""

import ctypes
import errno
import os
from pathlib import Path

from fairway.model.errors import System
from fairway.runtime.mounts import DEFAULT_SHM_SIZE

_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
"""linux/mount.h"""
_MNT_DETACH = 2
"""sys/mount.h"""
_libc = ctypes.CDLL(None, use_errno=True)


def mount_shm(directory: Path, size: int) -> None:
    """Mount a tmpfs of ``size`` bytes (0: Docker's 64 MiB) at ``directory``, which is made."""
    directory.mkdir()
    options = f"mode=1777,size={size or DEFAULT_SHM_SIZE}".encode()
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    if _libc.mount(b"shm", os.fsencode(directory), b"tmpfs", flags, options) < 0:
        raise System(f"mounting {directory}: {os.strerror(ctypes.get_errno())}")


def unmount(directory: Path) -> None:
    """Unmount if mounted; processes that still use it keep it until they end."""
    if _libc.umount2(os.fsencode(directory), _MNT_DETACH) < 0:
        number = ctypes.get_errno()
        if number not in (errno.EINVAL, errno.ENOENT):
            raise System(f"unmounting {directory}: {os.strerror(number)}")
