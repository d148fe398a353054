"""The durable store: one SQLite file in WAL mode, one table, one transaction per operation.

``synchronous=FULL``: what a client was told survives a power failure, at about a millisecond per commit on
an ordinary disk (``NORMAL`` would be a hundredth of that, and lose the last commits).

    open    claim the file → is it whole (``integrity.py``)? → not newer than we are → migrate (``schema.py``)
    load    hand over every object → all were read: copy the file (``backup.py``)
    commit  → copied within half a minute

A file that is not whole is refused, and so is one that is missing or empty beside its copy: with an empty
state, the daemon would take all that runs for leftovers. Half a state is none: nothing is skipped.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import get_args

import msgspec

from fairway.model.errors import System
from fairway.model.record import Change, Kind, Put
from fairway.store import integrity
from fairway.store.backup import DELAY, Backup
from fairway.store.schema import MIGRATIONS, Migration, migrate, version

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError)


class SqliteStore:
    """Thread-safe: calls are serialised. Raises System when the file cannot be used."""

    def __init__(
        self, path: Path, migrations: Sequence[Migration] = MIGRATIONS, *, backup_delay: float = DELAY
    ) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._backup = Backup(path, backup_delay)
        _claim(path, self._backup)
        try:
            if problem := integrity.problem(path):
                raise self._backup.damage(problem)
            self._check_schema(migrations)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as e:
            raise System(f"cannot use the state file {path}: {_reason(e, path)}") from e
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            migrate(self._db, migrations)
        except (sqlite3.Error, *_UNREADABLE) as e:
            self._db.close()
            raise System(f"cannot use the state file {path}: {_reason(e, path)}") from e

    def _check_schema(self, migrations: Sequence[Migration]) -> None:
        """Refuse a newer schema; keep a copy of an older one, for the version that wrote it."""
        with closing(integrity.reading(self._path)) as db:
            found, ours = version(db), len(migrations)
        if found > ours:
            raise System(
                f"the state file {self._path} has schema {found}, this version knows {ours}: "
                "start the newer fairwayd that wrote it, or choose another --data-root"
            )
        if 0 < found < ours:
            self._backup.take(Path(f"{self._path}.schema-{found}"))

    def load(self, take: Callable[[Put], None]) -> None:
        """See ``Store``."""
        kinds: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
        try:
            with self._lock:
                rows = self._db.execute("SELECT kind, id, data FROM objects").fetchall()
        except sqlite3.Error as e:
            raise System(f"cannot read the state file {self._path}: {_reason(e, self._path)}") from e
        for kind, key, data in rows:
            try:
                if kind not in kinds:
                    raise msgspec.ValidationError("unknown kind of object")
                take(Put(kinds[kind], key, data))
            except _UNREADABLE as e:
                self.close()  # its other files go: the commands do not move them
                raise self._backup.damage(f"{kind} {key} cannot be read: {e}") from e
        self._backup.update()

    def commit(self, changes: Sequence[Change]) -> None:
        """See ``Store``."""
        with self._lock:
            try:
                self._write(changes)
            except sqlite3.Error as e:
                raise System(f"cannot write the state file {self._path}: {_reason(e, self._path)}") from e
        self._backup.changed()

    def _write(self, changes: Sequence[Change]) -> None:
        with self._db:  # commits, or rolls back if that or anything before it fails
            self._db.execute("BEGIN IMMEDIATE")
            for change in changes:
                if isinstance(change, Put):
                    self._db.execute(
                        "INSERT OR REPLACE INTO objects VALUES (?, ?, ?)",
                        (change.kind, change.id, change.data),
                    )
                else:
                    self._db.execute(
                        "DELETE FROM objects WHERE kind = ? AND id = ?", (change.kind, change.id)
                    )

    def close(self) -> None:
        self._backup.close()
        with self._lock:
            self._db.close()


def _claim(path: Path, backup: Backup) -> None:
    """The file is there, can be written, and is closed to other users. Raises System."""
    try:
        missing = not path.exists() or (path.is_file() and not path.stat().st_size)
        if missing and backup.path.exists():
            what = "empty" if path.exists() else "missing"
            raise backup.damage(f"it is {what}, but it has a backup (to begin anew, remove that, too)")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as e:
        raise System(f"cannot use the state file {path}: {e.strerror}") from e


def _reason(error: Exception, path: Path) -> str:
    """What SQLite says, and that the disk is full if it is: it may call that an I/O error."""
    space = os.statvfs(path.parent)
    if space.f_bavail == 0 and "full" not in str(error):
        return f"{error} (no space left on the file system)"
    return str(error)
