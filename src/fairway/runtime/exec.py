"""One more process in a running container: ``<runtime> exec`` as a child of the daemon.

conmon is not used: an exec need not outlive the daemon, and without it a command takes two forks instead of
five. The runtime writes a pid file once the program runs and ends with the program's status, so "pid file
before end" is what tells a program that ended from one that never started; the reason is then in the
runtime's log.

With a terminal crun hands the process' own to us, through a console socket. Letting it copy to and from one
of ours loses output: what it has not copied when the program ends it takes for an error and writes to its log
(crun 1.8, measured: one in ten short commands on a busy machine). runc takes a console socket only for
processes that it does not wait for, so there it gets a terminal of ours as its standard streams, in raw mode.
"""

import asyncio
import contextlib
import fcntl
import os
import shutil
import struct
import tempfile
import termios
import tty
from collections.abc import Awaitable, Generator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import structlog

from fairway.model.errors import Conflict, System
from fairway.model.process import ExecRequest, StreamName
from fairway.runtime import command, faults, pidfd
from fairway.runtime.child import Child
from fairway.runtime.conmon import read_pid
from fairway.runtime.console import Console
from fairway.runtime.openat import reopen
from fairway.runtime.paths import Paths
from fairway.runtime.select import Program
from fairway.runtime.streams import GRACE, FdStreams

_log = structlog.get_logger(__name__)

LOST = 255
"""Exit code of an exec whose own nobody saw."""


class Completion(Awaitable[int]):
    """An exit code that many may await, and a cancelled one does not spoil it for the others."""

    def __init__(self, task: "asyncio.Task[int]") -> None:
        self._task = task

    def __await__(self) -> Generator[Any, None, int]:
        return asyncio.shield(self._task).__await__()


class OciExec:
    """``ExecProcess``: see model/process.py."""

    def __init__(self, pid: int, streams: FdStreams, end: "asyncio.Task[int]", terminal: bool) -> None:
        self.pid = pid
        self.streams = streams
        self.exit: Awaitable[int] = Completion(end)
        self._end = end
        self._terminal = terminal

    def resize(self, height: int, width: int) -> None:
        """Set the terminal's size; nothing happens without a terminal or after the end."""
        if not self._terminal or self._end.done():
            return
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:  # ended, or it has closed it
            place = os.open(f"/proc/{self.pid}/fd/0", os.O_PATH)
            stack.callback(os.close, place)
            fd = reopen(place, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK, regular=False)
            stack.callback(os.close, fd)
            set_size(fd, height, width)


def set_size(fd: int, height: int, width: int) -> None:
    """TIOCSWINSZ, see ioctl_tty(2)."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


async def start(
    program: Program, paths: Paths, container: str, request: ExecRequest, spec: dict[str, Any]
) -> OciExec:
    """Start the process described by the OCI ``process`` object ``spec``.

    Raises InvalidParameter with Docker's text when the program cannot be started.
    """
    with _directory(paths) as directory:
        (directory / "process.json").write_bytes(msgspec.json.encode(spec))
        pipes = _Pipes(request, directory, handed_over=program.name == "crun")
        try:
            child = _spawn(program, paths, container, directory, pipes)
            ending = asyncio.create_task(child.wait())
            pid = await _started(directory, ending)
            if pid:
                await pipes.receive()
        except BaseException:
            pipes.streams.close()
            raise
        finally:
            pipes.close_child_side()
        reason = faults.logged(directory / "log")
    if pid:
        end = asyncio.create_task(_end(child, ending, pid, pipes.streams))
        return OciExec(pid, pipes.streams, end, request.tty)
    pipes.streams.close()
    if "paused" in reason or "does not exist" in reason or "stopped container" in reason:
        raise Conflict(f"cannot exec in container {container}: {reason}")
    raise faults.executing(reason, list(request.argv))


@contextlib.contextmanager
def _directory(paths: Paths) -> Iterator[Path]:
    """For one start. Should it stay, the daemon clears it when it ends or starts; the command runs anyway."""
    directory = Path(tempfile.mkdtemp(dir=paths.execs))
    try:
        yield directory
    finally:
        try:
            shutil.rmtree(directory)
        except OSError as error:
            _log.warning("files of an exec stay", directory=str(directory), error=error.strerror)


def _spawn(program: Program, paths: Paths, container: str, directory: Path, pipes: "_Pipes") -> Child:
    arguments = (
        "--process",
        str(directory / "process.json"),
        "--pid-file",
        str(directory / "pid"),
        *(("--console-socket", pipes.console.path) if pipes.console else ()),
        container,
    )
    return Child(
        [
            *(program.path, "--root", str(paths.state)),
            *("--log", str(directory / "log"), "--log-format", "json"),
            *("exec", *arguments),
        ],
        stdin=pipes.child[0],
        stdout=pipes.child[1],
        stderr=pipes.child[2],
        env=command.ENVIRONMENT,
    )


async def _started(directory: Path, ending: "asyncio.Task[int]") -> int:
    """The process' pid as soon as it runs; 0 if the runtime ended without starting it.

    Looks again after ever longer pauses, from half a millisecond. Usually it takes 4 ms, and inotify was
    rejected because closing its descriptor alone blocks for 12 ms (the kernel waits for a grace period).
    """
    pause = 0.0005
    while True:
        over = ending.done()
        pid = read_pid(directory / "pid")
        if pid or over:
            return pid
        await asyncio.wait({ending}, timeout=pause)
        pause = min(pause * 1.5, 0.05)


async def _end(child: Child, ending: "asyncio.Task[int]", pid: int, streams: FdStreams) -> int:
    """Exit code of the exec.

    crun ends with the program. runc first copies its output to the end, which a background process can put
    off for ever; then runc is ended and the kernel asked for the exit code (Linux 6.15, and only if the
    program did not end before we looked; else the code is LOST).
    """
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        fd = -1
    try:
        ended = asyncio.create_task(pidfd.gone(fd) if fd >= 0 else asyncio.sleep(0))
        await asyncio.wait({ended, ending}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        streams.expire()
        try:
            status = await asyncio.wait_for(asyncio.shield(ending), GRACE)
        except TimeoutError:
            child.kill()
            code = pidfd.exit_code(fd) if fd >= 0 else None
            return LOST if code is None else code
        return status if status >= 0 else 128 - status
    finally:
        if fd >= 0:
            os.close(fd)


class _Pipes:
    """The process' side and our side of its standard streams."""

    def __init__(self, request: ExecRequest, directory: Path, *, handed_over: bool) -> None:
        self.console: Console | None = None
        self.child: tuple[int, int, int]
        self._request = request
        if not request.tty:
            self._open_pipes(request)
        elif handed_over:
            self.console = Console(directory)
            null = os.open(os.devnull, os.O_RDWR)
            self.child = (null, null, null)
            self.streams = FdStreams({}, -1)
        else:
            self._open_terminal()

    def _open_terminal(self) -> None:
        master, slave = os.openpty()
        tty.setraw(slave)
        self.child = (slave, slave, slave)
        self._use(master)

    def _use(self, master: int) -> None:
        height, width = self._request.console_size
        if height and width:
            set_size(master, height, width)
        self.streams = FdStreams({master: "stdout"}, master if self._request.attach_stdin else -1)

    async def receive(self) -> None:
        """Take the terminal that a runtime hands over; it has done so before it tells the pid."""
        if self.console is None:
            return
        try:
            async with asyncio.timeout(GRACE):
                master = await self.console.master()
        except TimeoutError:
            raise System("the OCI runtime did not hand over the terminal") from None
        self._use(master)

    def _open_pipes(self, request: ExecRequest) -> None:
        outputs: dict[int, StreamName] = {}
        child_in, stdin = os.pipe() if request.attach_stdin else (os.open(os.devnull, os.O_RDONLY), -1)
        child_out = self._output(outputs, "stdout", request.attach_stdout)
        child_err = self._output(outputs, "stderr", request.attach_stderr)
        self.child = (child_in, child_out, child_err)
        self.streams = FdStreams(outputs, stdin)

    @staticmethod
    def _output(outputs: dict[int, StreamName], name: StreamName, wanted: bool) -> int:
        if not wanted:
            return os.open(os.devnull, os.O_WRONLY)
        reading, writing = os.pipe()
        outputs[reading] = name
        return writing

    def close_child_side(self) -> None:
        if self.console:
            self.console.close()
        for fd in set(self.child):
            os.close(fd)
