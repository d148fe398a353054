"""Children of the daemon: started by vfork, waited for through a process descriptor.

Rejected: the event loop's own ``create_subprocess_exec``. uvloop forks, which copies the page table of a
daemon of 60 MB, and reads on the loop until the child has executed its program: 3 ms in which nothing else is
served, three times for each container. ``subprocess`` uses vfork and needs a tenth of a millisecond, little
enough to be done on the loop; so no cancellation can lose a child between its start and its first wait.
"""

import asyncio
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

File = int
"""A descriptor, or ``subprocess.DEVNULL``."""


class Child:
    """A running program. It is reaped when it ends, whether anybody waits or not."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        stdin: File = subprocess.DEVNULL,
        stdout: File = subprocess.DEVNULL,
        stderr: File = subprocess.DEVNULL,
        env: Mapping[str, str],
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        """Start it in a session of its own, with no descriptors but these. Raises OSError if it cannot be."""
        self._process = subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=env,
            cwd=cwd,
            pass_fds=pass_fds,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._loop = asyncio.get_running_loop()
        self._status: asyncio.Future[int] = self._loop.create_future()
        self._descriptor = os.pidfd_open(self.pid)
        self._loop.add_reader(self._descriptor, self._reap)

    async def wait(self) -> int:
        """Its exit status, negative for a signal. Any number may wait, at any time."""
        return await asyncio.shield(self._status)

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if not self._status.done():
            self._process.kill()

    async def end(self) -> None:
        """Kill it if it still runs, and see it reaped, unless the kernel cannot let it go within a second."""
        if not self._status.done():
            self._process.kill()
            await asyncio.wait({self._status}, timeout=1)

    def _reap(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._status.set_result(self._process.wait())


async def read(descriptor: int) -> bytes:
    """All that comes until the other side is closed; closes ours, also when cancelled."""
    loop, chunks = asyncio.get_running_loop(), list[bytes]()
    ended: asyncio.Future[None] = loop.create_future()

    def readable() -> None:
        chunk = os.read(descriptor, 65536)
        chunks.append(chunk)
        if not chunk and not ended.done():
            ended.set_result(None)

    loop.add_reader(descriptor, readable)
    try:
        await ended
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return b"".join(chunks)
