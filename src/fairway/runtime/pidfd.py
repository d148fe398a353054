"""Process file descriptors: waiting for, and asking about, processes that need not be our children.

A pid read from a file may belong to another process by now; a descriptor opened first and checked afterwards
cannot (pidfd_open(2)).
"""

import asyncio
import fcntl
import os
import struct

_PIDFD_GET_INFO = 0xC040FF0B
"""``_IOWR(0xFF, 11, struct pidfd_info)``, the structure's first 64 bytes (linux/pidfd.h, Linux 6.15)."""
_PIDFD_INFO_EXIT = 1 << 3
_INFO = struct.Struct("=QQ11Ii")


async def gone(fd: int) -> None:
    """Until the process has ended."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_reader(fd, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(fd)


def exit_code(fd: int) -> int | None:
    """Exit code of an ended process (128+n after signal n); None when the kernel does not tell."""
    question = _INFO.pack(_PIDFD_INFO_EXIT, *[0] * 13)
    try:
        mask, *_, status = _INFO.unpack(fcntl.ioctl(fd, _PIDFD_GET_INFO, question))
    except OSError:  # ENOTTY before Linux 6.15
        return None
    if not mask & _PIDFD_INFO_EXIT:
        return None
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
