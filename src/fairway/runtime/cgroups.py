"""What the runtime itself reads and clears of cgroups; the OCI runtime makes them.

Works for v1 (a hierarchy per controller, hybrid included) and v2. A container's cgroup is found through its
process (``/proc/PID/cgroup``), because a runtime may have put it below the daemon's own.
"""

import contextlib
import os
import signal as signals
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def of_process(pid: int) -> dict[str, str]:
    """Controller (empty for v2) → cgroup of a process; empty when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/cgroup").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return {}
    result = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            result[controller.removeprefix("name=")] = path
    return result


def holds(pid: int, container: str) -> bool:
    """Whether a live process belongs to the container; a reused pid does not."""
    if any(container in path.split("/") for path in of_process(pid).values()):
        return _alive(pid)
    return False


def _alive(pid: int) -> bool:
    """Not a zombie: /proc/PID/stat's third field, after the parenthesised name (proc(5))."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")  # a process names itself as it likes
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def processes(container: str) -> list[int]:
    """Host pids of all processes in the container's cgroup and those below it."""
    for directory in directories(container):
        pids: set[int] = set()
        for below, _, _ in os.walk(directory):
            with contextlib.suppress(OSError):  # removed meanwhile
                pids.update(map(int, Path(below, "cgroup.procs").read_text().split()))
        if pids:
            return sorted(pids)
    return []


def signal(pid: int, container: str, number: int) -> bool:
    """Send a signal through a process descriptor that is checked to be the container's; whether it was."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if not holds(pid, container):
            return False
        signals.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def kill(container: str, first: int) -> bool:
    """SIGKILL for the container's ``first`` process and all others; whether any was left.

    Frozen ones are thawed: those of v1 would never take it.
    """
    left = [pid for pid in (first, *processes(container)) if pid and signal(pid, container, signals.SIGKILL)]
    for directory in directories(container) if left else ():
        with contextlib.suppress(OSError):  # removed meanwhile
            if (directory / "freezer.state").exists():
                (directory / "freezer.state").write_text("THAWED")
    return bool(left)


def directories(container: str) -> Iterator[Path]:
    """The container's cgroups under the usual parents, in every hierarchy that has one."""
    for hierarchy in _hierarchies():
        yield from (
            d for d in (hierarchy / "fairway" / container, *hierarchy.glob(f"*/{container}")) if d.is_dir()
        )


def out_of_memory(container: str) -> bool:
    """Whether the kernel killed for memory, by the count that the memory cgroup keeps."""
    for directory in directories(container):
        for name in ("memory.oom_control", "memory.events"):
            with contextlib.suppress(OSError):
                lines = (directory / name).read_text().splitlines()
                if any(line.startswith("oom_kill ") and line != "oom_kill 0" for line in lines):
                    return True
    return False


def frozen(container: str) -> bool:
    """Whether the container's processes are frozen, or about to be."""
    for directory in directories(container):
        for name in ("freezer.state", "cgroup.freeze"):
            with contextlib.suppress(FileNotFoundError):
                if (directory / name).read_text().strip() in ("FROZEN", "FREEZING", "1"):
                    return True
    return False


def remove(container: str) -> None:
    """Remove the container's empty cgroups, in case the OCI runtime could not."""
    for directory in list(directories(container)):
        for below in sorted((d for d in directory.rglob("*") if d.is_dir()), reverse=True):
            _rmdir(below)
        _rmdir(directory)


def remove_parent(name: str) -> None:
    """Remove a parent cgroup that no container uses any more; one still in use stays."""
    for hierarchy in _hierarchies():
        _rmdir(hierarchy / name.strip("/"))


def _hierarchies() -> tuple[Path, ...]:
    if (ROOT / "cgroup.controllers").exists():
        return (ROOT,)
    return tuple(d for d in ROOT.iterdir() if d.is_dir() and not d.is_symlink())


def _rmdir(directory: Path) -> None:
    with contextlib.suppress(OSError):  # EBUSY: in use, which is the answer wanted
        directory.rmdir()
