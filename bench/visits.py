"""Sockets in another network namespace, for looking at it from outside: a socket stays where it was made."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fairway.kernel import libc

T = TypeVar("T")


def inside(pid: int, make: Callable[[], T]) -> T:
    """What ``make`` makes in the network namespace of the process, by a thread that goes there and ends."""

    def work() -> T:
        fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            libc.setns(fd)
        finally:
            os.close(fd)
        return make()

    with ThreadPoolExecutor(1) as visitor:
        return visitor.submit(work).result()
