"""Where the runtime keeps its files: one place that knows every path.

Below the run root (lost at reboot, as the processes are): the OCI runtime's own state, one bundle per
created container, exit files, running execs. Below the data root (kept): the log. Everything of one daemon
is below its own two roots, so several daemons never see each other's containers.

Sockets have names of at most 108 bytes (unix(7)); conmon binds through a short directory of symbolic links
and we connect through ``/proc/self/fd``, so neither root's length matters.
"""

from pathlib import Path


class Paths:
    """Paths below ``run_root`` (volatile) and ``data_root`` (durable)."""

    def __init__(self, run_root: Path, data_root: Path) -> None:
        self.state = run_root / "oci"
        self.exits = run_root / "exits"
        self.sockets = run_root / "attach"
        self.execs = run_root / "execs"
        self.bundles = run_root / "bundles"
        self.containers = data_root / "containers"

    def make(self) -> None:
        """Create the directories, closed to other users: logs and environments hold secrets."""
        for path in (self.state, self.exits, self.sockets, self.execs, self.bundles, self.containers):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def bundle(self, container: str) -> Path:
        return self.bundles / container

    def spec(self, container: str) -> Path:
        return self.bundle(container) / "config.json"

    def limits(self, container: str) -> Path:
        """What the container's process may use since the last update."""
        return self.bundle(container) / "resources.json"

    def log_limits(self, container: str) -> Path:
        """Limits of the log's files; missing for a log that may grow."""
        return self.bundle(container) / "log.json"

    def control(self, container: str) -> Path:
        """conmon's pipe for orders."""
        return self.bundle(container) / "ctl"

    def pid(self, container: str) -> Path:
        """The container's first process, on the host."""
        return self.bundle(container) / "pid"

    def monitor_pid(self, container: str) -> Path:
        """The container's conmon."""
        return self.bundle(container) / "conmon.pid"

    def runtime_log(self, container: str) -> Path:
        """The OCI runtime's own errors, one JSON object per line."""
        return self.bundle(container) / "runtime.log"

    def oom(self, container: str) -> Path:
        """Made by conmon when the kernel ran out of memory for the container."""
        return self.bundle(container) / "oom"

    def shm(self, container: str) -> Path:
        """Mount point of a /dev/shm that other containers may share."""
        return self.bundle(container) / "shm"

    def exit(self, container: str) -> Path:
        """Holds the exit code in decimal; its modification time is when the container ended."""
        return self.exits / container

    def home(self, container: str) -> Path:
        return self.containers / container

    def log(self, container: str) -> Path:
        return self.home(container) / f"{container}.log"
