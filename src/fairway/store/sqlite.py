"""The durable store: one SQLite file in WAL mode, one table, one transaction per operation.

``synchronous=FULL``: what a client was told survives a power failure, at about a millisecond per commit on
an ordinary disk (``NORMAL`` would be a hundredth of that, and lose the last commits).
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

from fairway.model.errors import System
from fairway.model.record import Change, Kind, Put

SCHEMA = 1
"""Version of the layout and of the objects' JSON, in ``PRAGMA user_version``."""


class SqliteStore:
    """Thread-safe: calls are serialised. Raises System when the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            path.chmod(0o600)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error as e:
            raise System(f"cannot use the state file {path}: {e}") from e
        if version > SCHEMA:
            self._db.close()
            raise System(
                f"the state file {path} has schema {version}, this version knows {SCHEMA}: "
                "start the newer fairwayd that wrote it, or choose another --data-root"
            )
        with self._db:
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS objects"
                " (kind TEXT, id TEXT, data BLOB NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID"
            )
            self._db.execute(f"PRAGMA user_version={SCHEMA}")

    def load(self) -> Iterator[Put]:
        kinds: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
        with self._lock:
            rows = self._db.execute("SELECT kind, id, data FROM objects").fetchall()
        for kind, key, data in rows:
            yield Put(kinds[kind], key, data)

    def commit(self, changes: Sequence[Change]) -> None:
        with self._lock:
            try:
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
                self._db.execute("COMMIT")
            except sqlite3.Error as e:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise System(f"cannot write the state file: {e}") from e

    def close(self) -> None:
        with self._lock:
            self._db.close()
