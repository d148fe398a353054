"""The file that tells which process is the daemon, and keeps a second one from starting."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from fairway.model.errors import Conflict, System


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Write our pid, remove the file at the end. Raises Conflict while its process runs, System."""
    owner = _owner(path)
    if owner:
        raise Conflict(
            f"failed to start daemon, ensure fairwayd is not running or delete {path}: "
            f"process with PID {owner} is still running"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(os.getpid()))
    except OSError as error:
        raise System(f"failed to start daemon: cannot write {path}: {error.strerror}") from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _owner(path: Path) -> int:
    """The live process, other than this one, whose pid the file holds; 0 if there is none."""
    try:
        pid = int(path.read_text().strip() or 0)
    except (FileNotFoundError, ValueError):
        return 0
    if pid in (0, os.getpid()) or not Path(f"/proc/{pid}").exists():
        return 0
    return pid
