"""The copy beside the state file: when it is made, and what it is not replaced by."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fairway.model.errors import System
from fairway.model.record import Put
from fairway.store.backup import Backup
from fairway.store.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state.db"
    assert not list(tmp_path.glob("*.new"))


def names(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as db:
        return {name for (name,) in db.execute("SELECT id FROM objects")}


def put(store: SqliteStore, name: str) -> None:
    store.commit([Put("volume", name, b"{}")])


def test_made_at_start_when_all_is_good(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        put(store, "a")
    copy = Path(f"{path}.backup")
    copy.unlink()
    with closing(SqliteStore(path)) as store:
        assert not copy.exists()
        store.load(lambda row: None)
        assert names(copy) == {"a"}


def test_made_after_a_change(path: Path) -> None:
    with closing(SqliteStore(path, backup_delay=0)) as store:
        for name in ("a", "b"):
            put(store, name)
            for thread in threading.enumerate():
                if isinstance(thread, threading.Timer):
                    thread.join(10)
            assert name in names(store._backup.path)


def test_made_at_the_end(path: Path) -> None:
    store = SqliteStore(path, backup_delay=1000)
    put(store, "a")
    put(store, "b")
    assert not store._backup.path.exists()
    store.close()
    assert names(store._backup.path) == {"a", "b"}
    assert store._backup._timer is None


def test_a_damaged_file_replaces_no_copy(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        for number in range(60):
            store.commit([Put("volume", str(number), b"{}" * 500)])
    backup = Backup(path, 1000)
    before = backup.path.read_bytes()
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(System, match=r"state\.db is damaged: .* page 12"):
        backup.take(backup.path)
    assert not backup.update()
    assert backup.path.read_bytes() == before


def test_what_keeps_it_from_being_made_stops_nothing(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        Path(f"{path}.backup").mkdir()
        put(store, "a")
        store.load(lambda row: None)
        put(store, "b")
    assert names(path) == {"a", "b"}


def test_a_host_without_threads_keeps_what_was_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The transaction is done: that its copy has to wait must not look like a failure of it."""
    store = SqliteStore(path, backup_delay=60)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        put(store, "a")
    store.close()
    assert names(path) == names(Path(f"{path}.backup")) == {"a"}


def test_a_leftover_that_cannot_be_removed_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SqliteStore(path).close()

    def refuse(_: Path, missing_ok: bool = False) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        with pytest.raises(System, match=r"cannot copy the state file .* not permitted"):
            Backup(path, 60).take(Path(f"{path}.backup"))
