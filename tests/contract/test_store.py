"""One suite for all stores: what is committed is there, wholly, also after a new start."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fairway.engine.protocols import Store
from fairway.model.errors import System
from fairway.model.record import Change, Delete, Put
from fairway.store.memory import MemoryStore
from fairway.store.sqlite import SqliteStore

Open = Callable[[], Store]


@pytest.fixture(params=["memory", "sqlite"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    if request.param == "memory":
        store = MemoryStore()
        return lambda: store
    return lambda: SqliteStore(tmp_path / "state.db")


def rows(store: Store) -> dict[tuple[str, str], bytes]:
    return {(row.kind, row.id): row.data for row in store.load()}


def commit(store: Store, *changes: Change) -> None:
    store.commit(changes)


def test_put_replaces_and_survives(reopen: Open) -> None:
    store = reopen()
    commit(store, Put("network", "a", b"1"), Put("container", "a", b"2"))
    commit(store, Put("network", "a", b"3"))
    store.close()
    again = reopen()
    assert rows(again) == {("network", "a"): b"3", ("container", "a"): b"2"}
    again.close()


def test_delete_is_idempotent(reopen: Open) -> None:
    store = reopen()
    commit(store, Put("volume", "v", b"1"))
    commit(store, Delete("volume", "v"), Delete("volume", "nosuch"))
    assert rows(store) == {}
    store.close()


def test_sqlite_refuses_a_newer_schema(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "state.db"
    SqliteStore(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(System, match="schema 99, this version knows 1"):
        SqliteStore(path)


def test_sqlite_names_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"not a database, for sure" * 100)
    with pytest.raises(System, match=r"cannot use the state file .*state\.db"):
        SqliteStore(path)


def test_sqlite_transactions_are_whole(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    with pytest.raises(System):
        commit(store, Put("network", "a", b"1"), Put("network", "b", None))  # type: ignore[arg-type]
    assert rows(store) == {}
    store.close()
