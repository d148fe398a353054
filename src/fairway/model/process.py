"""What the engine hands to the runtime to start a process, and what streams back."""

from collections.abc import Awaitable
from typing import Literal, Protocol

import msgspec

from fairway.model.container import Container

StreamName = Literal["stdin", "stdout", "stderr"]


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one start of a container that is not in the container itself.

    ``container`` has its mounts resolved and its config merged with the image's.
    """

    container: Container
    rootfs: str
    """Mounted root filesystem."""
    namespace: str
    """Path of the network namespace file; empty for the host's."""
    hostname: str
    files: dict[str, str] = {}
    """Files bind-mounted read-write into the container: path inside → path on the host (hosts, …)."""
    environment: tuple[str, ...] = ()
    """``NAME=value`` added before the container's own (links)."""
    joins: dict[str, int] = {}
    """Namespaces shared with another process: ``pid``, ``ipc``, ``uts`` → its pid."""


class ExecRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One command to run in a running container. ``user`` empty means the container's."""

    argv: tuple[str, ...]
    env: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    tty: bool = False
    privileged: bool = False
    attach_stdin: bool = False
    attach_stdout: bool = True
    attach_stderr: bool = True
    detach_keys: str = ""
    """Keys that end an attached client's session, e.g. ``ctrl-p,ctrl-q``; empty for the default."""
    console_size: tuple[int, int] = (0, 0)
    """height, width in characters; 0 leaves the default."""


class Streams(Protocol):
    """The standard streams of a process, as an attached client sees them.

    With a terminal everything comes as ``stdout``.
    """

    async def read(self) -> tuple[StreamName, bytes] | None:
        """The next chunk of output, or None when the process' output has ended."""

    async def write(self, data: bytes) -> None:
        """Bytes for the process' stdin; silently dropped once it does not read any more."""

    async def close_stdin(self) -> None:
        """End of the client's input. The process sees end-of-file if it was created with ``stdin_once``."""

    def close(self) -> None:
        """Stop watching; the process goes on."""


class ExecProcess(Protocol):
    """A started exec."""

    @property
    def pid(self) -> int:
        """On the host."""

    @property
    def streams(self) -> Streams: ...

    @property
    def exit(self) -> Awaitable[int]:
        """Resolves to the exit code (128+n after signal n); may be awaited many times."""

    def resize(self, height: int, width: int) -> None: ...


class LogLine(msgspec.Struct, frozen=True):
    """One entry of a container's log; ``text`` keeps its newline, absent when the line was partial."""

    time: int
    """Nanoseconds since the epoch."""
    stream: StreamName
    text: bytes


class Exec(msgspec.Struct, frozen=True, kw_only=True):
    """An exec instance as inspect shows it; ``exit_code`` is None until it has ended."""

    id: str
    container_id: str
    request: ExecRequest
    running: bool = False
    exit_code: int | None = None
    pid: int = 0
