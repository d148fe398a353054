"""Opening a state file: whatever it is, it is used, brought up to date, or refused with a way back."""

import os
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from fairway.engine.state import State
from fairway.model.container import Volume
from fairway.model.errors import System
from fairway.model.record import Put
from fairway.store.schema import MIGRATIONS, create
from fairway.store.sqlite import SqliteStore

NAME = "state of 'us'.db"
"""With what a shell would not take as it is."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / NAME


def rows(path: Path) -> dict[str, bytes]:
    """What a daemon that starts on the file finds in it."""
    found: list[Put] = []
    with closing(SqliteStore(path)) as store:
        store.load(found.append)
    return {row.id: row.data for row in found}


def fill(path: Path, names: Sequence[str] = ("a", "b"), data: bytes = b"{}" * 500) -> None:
    with closing(SqliteStore(path)) as store:
        for name in names:
            store.commit([Put("volume", name, data)])


def refused(path: Path) -> str:
    before = {p.name: p.read_bytes() for p in path.parent.iterdir() if p.is_file() and "-" not in p.name}
    with pytest.raises(System) as refusal:
        SqliteStore(path)
    assert {p.name: p.read_bytes() for p in path.parent.iterdir() if p.name in before} == before
    return refusal.value.message


def type_in(message: str) -> None:
    """The commands that a message shows."""
    commands = [line.strip() for line in message.splitlines() if line.startswith("    ")]
    assert commands
    subprocess.run(["bash", "-ec", "\n".join(commands)], check=True)


def killed(path: Path, names: Sequence[str]) -> None:
    """A file as a daemon leaves it that is killed after these commits."""
    running = path.with_name("running.db")
    with closing(SqliteStore(running)) as store:
        for name in names:
            store.commit([Put("volume", name, b"{}" * 500)])
        for end in ("", "-wal", "-shm"):
            shutil.copy(f"{running}{end}", f"{path}{end}")


# Damage.


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(8192))


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)


def odd(path: Path) -> None:
    os.truncate(path, 5000)


def holed(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - 4096)
        file.write(os.urandom(4096))


def emptied(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize(
    ("harm", "text"),
    [
        (garbage, "file is not a database"),
        (truncated, "malformed|Page|page"),
        (odd, "malformed|Page|page"),
        (holed, "malformed|Page|page"),
        (emptied, "it is empty"),
        (Path.unlink, "it is missing"),
    ],
)
def test_a_damaged_file_comes_back(path: Path, harm: Callable[[Path], None], text: str) -> None:
    names = [str(n) for n in range(60)]
    fill(path, names)
    before = rows(path)
    harm(path)
    message = refused(path)
    first = message.splitlines()[0]
    assert first.startswith(f"the state file {path} is damaged: ")
    assert any(part in first for part in text.split("|")), first
    type_in(message)
    assert rows(path) == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_damaged_file_without_a_backup(path: Path) -> None:
    garbage(path)
    message = refused(path)
    assert "There is no backup of it" in message
    type_in(message)
    assert rows(path) == {}


def test_a_damaged_backup_is_told(path: Path) -> None:
    fill(path)
    garbage(path)
    garbage(Path(f"{path}.backup"))
    message = refused(path)
    assert "Its backup is damaged, too: file is not a database" in message
    type_in(message)
    assert rows(path) == {}
    assert len(list(path.parent.glob("*.damaged*"))) == 2


def test_a_second_damage_keeps_what_was_left_of_the_first(path: Path) -> None:
    for text in ("first", "second", "third"):
        path.write_text(text)
        type_in(refused(path))
    kept = sorted(path.parent.glob("*.damaged*"))
    assert [file.read_text() for file in kept] == ["first", "second", "third"]


def test_an_object_that_cannot_be_decoded(path: Path) -> None:
    volume = Volume(name="v", mountpoint="/v", created=1)
    for data in (b"", b"{", b'{"name": 1}', b'{"name": "\xff"}', b"null"):
        fill(path, ["v"], State(SqliteStore(path.with_name("other")))._encoder.encode(volume))
        state = State(SqliteStore(path))
        state.load()
        state.close()
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("UPDATE objects SET data = ?", (data,))
        state = State(SqliteStore(path))
        with pytest.raises(System, match="is damaged: volume v cannot be read: ") as refusal:
            state.load()
        state.close()
        type_in(refusal.value.message)
        state = State(SqliteStore(path))
        state.load()
        assert state.volumes == {"v": volume}
        state.close()


def test_an_object_of_an_unknown_kind(path: Path) -> None:
    fill(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE objects SET kind = 'vessel'")
    with (
        closing(SqliteStore(path)) as store,
        pytest.raises(System, match="vessel a cannot be read: unknown kind"),
    ):
        store.load(lambda row: None)


# The write-ahead log.


def test_what_a_killed_daemon_committed_is_there(path: Path) -> None:
    killed(path, ["a", "b", "c"])
    assert set(rows(path)) == {"a", "b", "c"}


@pytest.mark.parametrize("place", ["header", "middle", "end", "cut", "gone"])
def test_a_damaged_log(path: Path, place: str) -> None:
    killed(path, ["a", "b", "c"])
    shutil.copy(path.with_name("running.db.backup"), f"{path}.backup")
    log = Path(f"{path}-wal")
    data = bytearray(log.read_bytes())
    if place == "gone":
        log.unlink()
    elif place == "cut":
        log.write_bytes(data[: len(data) - 4120])
    else:
        at = {"header": 5, "middle": len(data) // 2, "end": len(data) - 9}[place]
        data[at] ^= 0xFF
        log.write_bytes(data)
    message = refused(path)
    assert f"its write-ahead log {log} has only " in message
    type_in(message)
    assert set(rows(path)) == {"a", "b", "c"}


def test_an_index_of_an_earlier_log_means_nothing(path: Path) -> None:
    """As after a power failure, which may leave an old index on the disk."""
    killed(path, ["a", "b", "c"])
    old = Path(f"{path}-shm").read_bytes()
    with closing(SqliteStore(path)) as store:
        store._db.execute("PRAGMA wal_checkpoint(RESTART)")
        store.commit([Put("volume", "d", b"{}")])
        for end in ("", "-wal"):
            shutil.copy(f"{path}{end}", f"{path.with_name('copy.db')}{end}")
    copy = path.with_name("copy.db")
    Path(f"{copy}-shm").write_bytes(old)
    assert set(rows(copy)) == {"a", "b", "c", "d"}


# Schemas.


def test_a_newer_schema_is_refused(path: Path) -> None:
    fill(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=99")
    assert "schema 99, this version knows 1: start the newer fairwayd" in refused(path)


def upper(db: sqlite3.Connection) -> None:
    db.execute("UPDATE objects SET data = upper(data)")


def column(db: sqlite3.Connection) -> None:
    db.execute("ALTER TABLE objects ADD COLUMN revision INTEGER NOT NULL DEFAULT 1")


def test_an_older_schema_is_migrated_in_order(path: Path) -> None:
    fill(path, ["a"], b"text")
    with closing(SqliteStore(path, (create, column, upper))) as store:
        assert store._db.execute("SELECT id, data, revision FROM objects").fetchall() == [("a", "TEXT", 1)]
        assert store._db.execute("PRAGMA user_version").fetchone() == (3,)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE objects SET data = 'text'")
    with closing(SqliteStore(path, (create, column, upper))) as store:  # not once more
        assert store._db.execute("SELECT data FROM objects").fetchall() == [("text",)]
    assert "schema 3, this version knows 1" in refused(path)
    assert rows(Path(f"{path}.schema-1")) == {"a": b"text"}


def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    fill(path, ["a"], b"text")

    def fails(db: sqlite3.Connection) -> None:
        db.execute("UPDATE objects SET nosuch = 1")

    with pytest.raises(System, match=r"cannot use the state file .*no such column: nosuch"):
        SqliteStore(path, (create, upper, fails))
    assert rows(path) == {"a": b"text"}


def test_a_file_that_was_not_finished_is_new(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        create(db)
    fill(path)
    assert set(rows(path)) == {"a", "b"}
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


# What is no file that can be used.


def test_a_directory_in_its_place(path: Path) -> None:
    path.mkdir()
    assert refused(path) == f"cannot use the state file {path}: Is a directory"


def test_no_directory_for_it(path: Path) -> None:
    with pytest.raises(System, match=r"cannot use the state file .*: No such file or directory"):
        SqliteStore(path / "below")


def test_it_is_closed_to_others(path: Path) -> None:
    path.touch(0o644)
    with closing(SqliteStore(path)) as store:
        store.commit([Put("volume", "a", b"{}")])
        store.load(lambda row: None)
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}
        assert modes == {f"{NAME}{end}": 0o600 for end in ("", "-wal", "-shm", ".backup")}
