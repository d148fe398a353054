"""The few system calls that Python 3.11 lacks, through ctypes: setns, unshare, mount, fsopen and kin.

Each raises OSError with errno and, where there is one, the path. ctypes releases the GIL during a call.
"""

import ctypes
import os

CLONE_NEWNET = 0x40000000
CLONE_NEWNS = 0x00020000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MS_SHARED = 1 << 20
MNT_DETACH = 2

_SYS_MOVE_MOUNT, _SYS_FSOPEN, _SYS_FSCONFIG, _SYS_FSMOUNT = 429, 430, 431, 432  # same on all architectures
_FSCONFIG_SET_STRING, _FSCONFIG_CMD_CREATE = 1, 6
_CLOEXEC = 1
_AT_FDCWD = -100
_MOVE_MOUNT_F_EMPTY_PATH = 4

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
)
_libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)
_libc.syscall.restype = ctypes.c_long


def trim_memory() -> None:
    """Give memory that was freed back to the system (malloc_trim(3)); where libc cannot, it stays."""
    if trim := getattr(_libc, "malloc_trim", None):
        trim(0)


def _check(result: int, path: str | None = None) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)
    return result


def setns(fd: int) -> None:
    """Move the calling thread into the network namespace that the file refers to."""
    _check(_libc.setns(fd, CLONE_NEWNET))


def unshare_network() -> None:
    """Give the calling thread a fresh network namespace."""
    _check(_libc.unshare(CLONE_NEWNET))


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    _check(_libc.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode() or None), target)


def unmount(target: str) -> None:
    """Detach the topmost mount at ``target``; what still uses it keeps it until it ends."""
    _check(_libc.umount2(target.encode(), MNT_DETACH), target)


def mount_configured(kind: str, options: list[tuple[str, str]], target: str) -> None:
    """Mount with any number of options, each up to 255 bytes: mount(2) takes 4 KiB in all (fsopen(2)).

    Raises OSError; ENOSYS before Linux 5.2.
    """
    context = open_filesystem(kind)
    try:
        for key, value in options:
            _call(_SYS_FSCONFIG, context, _FSCONFIG_SET_STRING, key.encode(), value.encode(), 0)
        _call(_SYS_FSCONFIG, context, _FSCONFIG_CMD_CREATE, None, None, 0)
        tree = _call(_SYS_FSMOUNT, context, _CLOEXEC, 0)
    finally:
        os.close(context)
    try:
        _call(_SYS_MOVE_MOUNT, tree, b"", _AT_FDCWD, target.encode(), _MOVE_MOUNT_F_EMPTY_PATH)
    finally:
        os.close(tree)


def open_filesystem(kind: str) -> int:
    """A descriptor for configuring a file system; loads its module. ENODEV if the kernel lacks it."""
    return _call(_SYS_FSOPEN, kind.encode(), _CLOEXEC)


def _call(number: int, *arguments: bytes | int | None) -> int:
    converted = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments]
    return _check(_libc.syscall(ctypes.c_long(number), *converted))
