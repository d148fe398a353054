"""The layout of the state file, and how a file that an older version wrote is brought up to it.

The schema's number is in ``PRAGMA user_version``; it counts changes of the layout and of the objects' JSON. A
field with a default needs none: older JSON lacks it, older versions pass over it.
"""

import sqlite3
from collections.abc import Callable, Sequence

Migration = Callable[[sqlite3.Connection], None]
"""Leads from one schema to the next, within a transaction that is open: by ``execute``, for ``executescript``
would commit."""


def create(db: sqlite3.Connection) -> None:
    db.execute(
        "CREATE TABLE IF NOT EXISTS objects"
        " (kind TEXT, id TEXT, data BLOB NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID"
    )


MIGRATIONS: Sequence[Migration] = (create,)
"""The first leads from schema 0, an empty file, to 1, and so on; the last one to today's."""


def version(db: sqlite3.Connection) -> int:
    found: int = db.execute("PRAGMA user_version").fetchone()[0]
    return found


def migrate(db: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    """Take all steps that the file lacks, or none: a failure leaves it to the version that wrote it."""
    missing = migrations[version(db) :]
    if not missing:
        return
    with db:
        db.execute("BEGIN IMMEDIATE")
        for step in missing:
            step(db)
        db.execute(f"PRAGMA user_version={len(migrations)}")
