"""One conmon per container: it outlives the daemon, holds the streams, writes the log and the exit status.

Protocol (conmon's own, as podman and cri-o speak it): conmon forks itself away, makes the ``attach`` socket
and the ``ctl`` pipe in the bundle, runs the OCI runtime's ``create``, and reports on a pipe named by
``_OCI_SYNCPIPE`` one JSON line, ``{"data": <pid>}`` or ``{"data": -1, "message": …}``. When the container's
process ends, conmon writes its exit code to ``<exit-dir>/<id>`` and ends itself. So "conmon has ended" is
"the exit file is there", and a process file descriptor of conmon tells when: also to a daemon that did not
start it. If it is not there then, conmon was killed: nobody reads the container's streams any more, nor would
anybody learn its exit code (``OciRuntime`` sees to that).
"""

import asyncio
import os
from pathlib import Path

import msgspec

from fairway.model.container import Container
from fairway.model.errors import System
from fairway.runtime import command, faults, log_options, pidfd, rotation
from fairway.runtime.child import Child
from fairway.runtime.paths import Paths
from fairway.runtime.select import Program


class Report(msgspec.Struct, frozen=True):
    """What conmon writes on the synchronisation pipe."""

    data: int
    message: str = ""


async def start(conmon: str, program: Program, paths: Paths, container: Container, argv: list[str]) -> int:
    """Run conmon on a bundle that is ready; returns the pid of the created container's first process.

    Raises Docker's fault for what the runtime complains about; ``argv`` is the container's command.
    """
    reading, writing = os.pipe()
    try:
        try:
            await _spawn(
                conmon, arguments(conmon, program, paths, container), writing, paths.bundle(container.id)
            )
        finally:
            os.close(writing)
        report = await _read_report(reading)
    finally:
        os.close(reading)
    if report.data <= 0:
        message = faults.logged(paths.runtime_log(container.id)) or report.message
        raise faults.creating(message or _stderr(paths.bundle(container.id)), argv)
    return report.data


async def _spawn(conmon: str, argv: list[str], pipe: int, bundle: Path) -> None:
    """Start conmon and wait until it has forked itself away."""
    with (bundle / "conmon.err").open("wb") as errors:
        child = Child(
            argv,
            stderr=errors.fileno(),
            pass_fds=(pipe,),
            cwd=bundle,
            env=command.ENVIRONMENT | {"_OCI_SYNCPIPE": str(pipe)},
        )
        status = await child.wait()
    if status:
        raise System(f"{conmon} failed: {_stderr(bundle)}")


def arguments(conmon: str, program: Program, paths: Paths, container: Container) -> list[str]:
    """conmon's command line (conmon(8))."""
    cid = container.id
    config = container.config
    runtime = [*program.create_prefix, program.path, "--root", str(paths.state)]
    runtime += ["--log", str(paths.runtime_log(cid)), "--log-format", "json"]
    argv = [
        conmon,
        *("--api-version", "1"),
        *("--cid", cid, "--cuuid", cid, "--name", container.name or cid),
        *("--runtime", runtime[0], *(f"--runtime-arg={part}" for part in runtime[1:])),
        *("--bundle", str(paths.bundle(cid)), "--persist-dir", str(paths.bundle(cid))),
        *("--exit-dir", str(paths.exits), "--socket-dir-path", str(paths.sockets)),
        *("--conmon-pidfile", str(paths.monitor_pid(cid)), "--container-pidfile", str(paths.pid(cid))),
        *("--log-level", "error", "--no-sync-log", *_log(paths, container)),
    ]
    if config.tty:
        argv.append("--terminal")
    if config.open_stdin:
        argv.append("--stdin")
        if config.tty or not config.stdin_once:
            argv.append("--leave-stdin-open")
    return argv


def _log(paths: Paths, container: Container) -> list[str]:
    driver = container.host.log_config
    if driver.type == "none":
        return ["--log-path", "none:"]
    argv = ["--log-path", f"k8s-file:{paths.log(container.id)}"]
    limits = log_options.parse(driver)
    return [*argv, "--log-size-max", str(rotation.away(limits))] if limits else argv


async def _read_report(pipe: int) -> Report:
    """conmon's line; an empty report if it ended without one."""
    loop = asyncio.get_running_loop()
    os.set_blocking(pipe, False)
    readable = asyncio.Event()
    loop.add_reader(pipe, readable.set)
    text = b""
    try:
        while not text.endswith(b"\n"):
            await readable.wait()
            readable.clear()
            chunk = os.read(pipe, 65536)
            if not chunk:
                break
            text += chunk
    finally:
        loop.remove_reader(pipe)
    try:
        return msgspec.json.decode(text, type=Report)
    except msgspec.DecodeError:
        return Report(-1, text.decode(errors="replace"))


def _stderr(bundle: Path) -> str:
    try:
        return (bundle / "conmon.err").read_text(errors="replace").strip()
    except FileNotFoundError:
        return ""


async def ended(paths: Paths, container: str) -> None:
    """Until the container's conmon has ended."""
    monitor = read_pid(paths.monitor_pid(container))
    if is_monitor(monitor, container):
        await gone(monitor)


def is_monitor(pid: int, container: str) -> bool:
    """Whether ``pid`` is this container's conmon, not another process that got its number."""
    try:
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return container.encode() in argv


async def gone(pid: int) -> None:
    """Until a process, not necessarily our child, has ended."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        await pidfd.gone(fd)
    finally:
        os.close(fd)


def read_pid(path: Path) -> int:
    """The number in a pid file; 0 when it is missing or not written yet."""
    try:
        return int(path.read_text() or 0)
    except FileNotFoundError:
        return 0


def resize(bundle: Path, height: int, width: int) -> None:
    """Set the size of the container's terminal through conmon's control pipe (message type 1)."""
    try:
        fd = os.open(bundle / "ctl", os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        raise System(f"cannot resize a container that is not running: {error.strerror}") from error
    try:
        os.write(fd, f"1 {height} {width}\n".encode())
    finally:
        os.close(fd)
