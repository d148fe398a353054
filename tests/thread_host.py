"""Network namespaces for threads: what a thread makes, sockets and processes, belongs to the one it is in."""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
_libc = ctypes.CDLL(None, use_errno=True)


def unshare() -> None:
    """Move the calling thread into a new network namespace with its loopback up."""
    if _libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    with socket.socket() as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def enter(namespace: int) -> None:
    """Move the calling thread into the namespace of a file descriptor."""
    if _libc.setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def in_thread(work: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


@contextlib.contextmanager
def own_namespace() -> Iterator[None]:
    """The calling thread, and threads made by it, are in a namespace of their own."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    unshare()
    try:
        yield
    finally:
        enter(before)
        os.close(before)
