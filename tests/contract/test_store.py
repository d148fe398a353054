"""One suite for all stores: what is committed is there, wholly, also after a new start."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fairway.engine.protocols import Store
from fairway.engine.state import State
from fairway.model.container import Volume
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
    found: list[Put] = []
    store.load(found.append)
    return {(row.kind, row.id): row.data for row in found}


def volume(name: str) -> Volume:
    return Volume(name=name, mountpoint="/v" * 100, created=1)


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


def test_sqlite_transactions_are_whole(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    with pytest.raises(System):
        commit(store, Put("network", "a", b"1"), Put("network", "b", None))  # type: ignore[arg-type]
    assert rows(store) == {}
    store.close()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KB."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "small", str(mounted)], check=True)
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


@pytest.mark.root
async def test_a_full_disk(small: Path) -> None:
    """The change is refused and undone, in memory, too; the next one works when there is room again."""
    path = small / "state.db"
    state = State(SqliteStore(path))
    await state.commit(volume("before"))
    (small / "filler").write_bytes(bytes((shutil.disk_usage(small).free // 4096) * 4096))
    with pytest.raises(System, match=r"cannot write the state file .*(full|no space left)"):
        for number in range(1000):
            await state.commit(volume(f"v{number}"), delete=[volume("before")], begin=volume("before"))
    assert "before" in state.volumes
    kept = set(state.volumes)
    (small / "filler").unlink()
    await state.commit(volume("after"))
    state.close()
    again = State(SqliteStore(path))
    again.load()
    assert set(again.volumes) == {*kept, "after"} == set(state.volumes)
    again.close()


@pytest.mark.root
def test_a_full_disk_at_start(small: Path) -> None:
    path = small / "state.db"
    (small / "filler").write_bytes(bytes(shutil.disk_usage(small).free))
    with pytest.raises(System, match=r"cannot use the state file .*(full|no space left)"):
        SqliteStore(path)
    (small / "filler").unlink()
    SqliteStore(path).close()


@pytest.mark.root
def test_a_file_system_that_is_read_only(small: Path) -> None:
    path = small / "state.db"
    SqliteStore(path).close()
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    with pytest.raises(System, match=r"cannot use the state file .*state\.db: Read-only file system"):
        SqliteStore(path)


async def test_a_disk_that_becomes_read_only(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    state = State(store)
    await state.commit(volume("before"))
    store._db.execute("PRAGMA query_only=1")
    with pytest.raises(System, match=r"cannot write the state file .*readonly"):
        await state.commit(volume("after"), delete=[volume("before")])
    assert set(state.volumes) == {"before"}
    store._db.execute("PRAGMA query_only=0")
    await state.commit(volume("after"))
    assert {name for _, name in rows(store)} == {"before", "after"}
    state.close()
