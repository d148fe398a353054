"""openat2(2) with ``RESOLVE_IN_ROOT``: a path resolved as if a directory were ``/``.

The C library has no function for it, so it is called by number. Links that the kernel makes up, such as
``/proc/1/root``, are not followed at all. Kept apart from what uses it because helper processes, which start
often, import little.
"""

import ctypes
import errno
import os
import stat

_OPENAT2 = 437
"""The same on all architectures (asm-generic/unistd.h)."""
_RESOLVE_IN_ROOT = 0x10
"""linux/openat2.h"""
_TERMINALS = range(136, 144)
"""Majors of pseudo terminals (Documentation/admin-guide/devices.txt)."""
_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    """``struct open_how`` of linux/openat2.h."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_in_root(root: str, path: str, flags: int, mode: int = 0) -> int:
    """A file descriptor of ``path`` inside ``root``. Raises OSError as open(2) does."""
    directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        how = _OpenHow(flags | os.O_CLOEXEC, mode, _RESOLVE_IN_ROOT)
        name = os.fsencode(path)
        fd: int = _libc.syscall(_OPENAT2, directory, name, ctypes.byref(how), ctypes.sizeof(how))
        if fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
        return fd
    finally:
        os.close(directory)


def reopen(descriptor: int, flags: int, *, regular: bool) -> int:
    """Open what an ``O_PATH`` descriptor stands for, if it is a regular file, or else a terminal (pty).

    Raises OSError as open(2) does, PermissionError for any other kind. To look first matters: opening alone
    can have an effect, as with a watchdog's device, and a container may put a node of any device anywhere.
    """
    status = os.fstat(descriptor)
    terminal = stat.S_ISCHR(status.st_mode) and os.major(status.st_rdev) in _TERMINALS
    if not (stat.S_ISREG(status.st_mode) if regular else terminal):
        raise PermissionError(errno.EPERM, "not a file of the expected kind")
    return os.open(f"/proc/self/fd/{descriptor}", flags | os.O_CLOEXEC)


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
