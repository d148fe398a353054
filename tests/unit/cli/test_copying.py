"""``cp``: its paths, and archives that mean harm to this machine. Scenarios compare it with docker's."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from fairway.cli import copy_paths, local_tar
from fairway.cli.copy_paths import Source, Target
from fairway.cli.exits import Exit


@pytest.mark.parametrize(
    ("argument", "container", "path"),
    [
        ("web:/x", "web", "/x"),
        ("web:x:y", "web", "x:y"),
        ("/a:b", "", "/a:b"),
        ("./a:b", "", "./a:b"),
        ("a", "", "a"),
        ("-", "", "-"),
        (":x", "", "x"),
    ],
)
def test_arguments(argument: str, container: str, path: str) -> None:
    assert copy_paths.split_argument(argument) == (container, path)


@pytest.mark.parametrize(
    ("path", "directory", "entry"),
    [("/a/b", "/a", "b"), ("/a/b/", "/a", "b"), ("/a/.", "/a", "."), ("/", "/", "/"), ("a", ".", "a")],
)
def test_entries(path: str, directory: str, entry: str) -> None:
    assert copy_paths.split_entry(path) == (directory, entry)


def test_where_a_copy_lands() -> None:
    file, tree = Source("/s/file", False), Source("/s/dir", True)
    assert copy_paths.prepare(file, Target("/d", True, True)) == ("/d", None)
    assert copy_paths.prepare(file, Target("/d/x", True)) == ("/d", ("file", "x"))
    assert copy_paths.prepare(file, Target("/d/x")) == ("/d", ("file", "x"))
    assert copy_paths.prepare(tree, Target("/d/x")) == ("/d", ("dir", "x"))
    assert copy_paths.prepare(Source("/s/dir", True, "link"), Target("/d/x")) == ("/d", ("link", "x"))
    with pytest.raises(Exit, match="cannot copy directory"):
        copy_paths.prepare(tree, Target("/d/x", True))
    with pytest.raises(Exit, match="no such directory"):
        copy_paths.prepare(file, Target("/d/x/"))


def test_renaming() -> None:
    assert copy_paths.renamed("dir/dir", ("dir", "new")) == "new/dir"
    assert copy_paths.renamed("/a", ("/", "new")) == "new/a"
    assert copy_paths.renamed("a", None) == "a"


def test_followed_links() -> None:
    assert copy_paths.followed("/a/link", "/b/real") == ("/b/real", "link")
    assert copy_paths.followed("/a/link/.", "/b/real") == ("/b/real/.", "")
    assert copy_paths.followed("/a/link/", "/b/real") == ("/b/real/", "link")


def archive(*entries: tuple[str, bytes, str]) -> list[bytes]:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, kind, text in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = kind, 0o755 if kind == tarfile.DIRTYPE else 0o640
            if kind == tarfile.REGTYPE:
                entry.size = len(text)
                tar.addfile(entry, io.BytesIO(text.encode()))
            else:
                entry.linkname = text
                tar.addfile(entry)
    whole = made.getvalue()
    return [whole[n : n + 700] for n in range(0, len(whole), 700)]


def test_there_and_back(tmp_path: Path) -> None:
    source = tmp_path / "s/dir"
    (source / "sub").mkdir(parents=True)
    (source / "f").write_text("x" * 3000)
    (source / "f").chmod(0o4751)
    os.link(source / "f", source / "hard")
    (source / "l").symlink_to("nowhere")
    os.utime(source / "sub", (5, 5))
    (tmp_path / "t").mkdir()
    local_tar.unpack(local_tar.pack(str(tmp_path / "s"), "dir", ("dir", "new")), str(tmp_path / "t"), [])
    new = tmp_path / "t/new"
    assert (new / "f").read_text() == "x" * 3000
    assert (new / "f").stat().st_mode & 0o7777 == 0o4751
    assert (new / "hard").samefile(new / "f")
    assert os.readlink(new / "l") == "nowhere"
    assert (new / "sub").stat().st_mtime == 5


@pytest.mark.parametrize(
    "entries",
    [
        [("../out", tarfile.REGTYPE, "x")],
        [("a/../../out", tarfile.REGTYPE, "x")],
        [("l", tarfile.SYMTYPE, ".."), ("l/out", tarfile.REGTYPE, "x")],
        [("l", tarfile.SYMTYPE, "/"), ("l/out", tarfile.DIRTYPE, "")],
        [("h", tarfile.LNKTYPE, "../secret")],
        [("l", tarfile.SYMTYPE, ".."), ("h", tarfile.LNKTYPE, "l/secret")],
    ],
)
def test_nothing_is_written_outside(tmp_path: Path, entries: list[tuple[str, bytes, str]]) -> None:
    (tmp_path / "secret").write_text("mine")
    target = tmp_path / "t"
    target.mkdir()
    with pytest.raises((Exit, OSError)):
        local_tar.unpack(archive(*entries), str(target), [])
    assert sorted(os.listdir(tmp_path)) == ["secret", "t"]
    assert not Path("/out").exists()
    assert not (target / "h").exists()


def test_a_link_in_the_way_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine")
    target = tmp_path / "t"
    target.mkdir()
    (target / "f").symlink_to(tmp_path / "secret")
    local_tar.unpack(archive(("f", tarfile.REGTYPE, "new"), ("/abs", tarfile.REGTYPE, "x")), str(target), [])
    assert ((tmp_path / "secret").read_text(), (target / "f").read_text()) == ("mine", "new")
    assert not (target / "f").is_symlink()
    assert (target / "abs").exists()


def test_kinds_are_kept(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_text("x")
    with pytest.raises(Exit, match=f'cannot overwrite directory "{tmp_path}/d" with non-directory'):
        local_tar.unpack(archive(("d", tarfile.REGTYPE, "x")), str(tmp_path), [])
    with pytest.raises(Exit, match="cannot overwrite non-directory"):
        local_tar.unpack(archive(("f", tarfile.DIRTYPE, "")), str(tmp_path), [])


def test_a_damaged_archive(tmp_path: Path) -> None:
    with pytest.raises(Exit, match="Error processing tar file"):
        local_tar.unpack([b"x" * 2000], str(tmp_path), [])
    with pytest.raises(Exit, match="Error processing tar file"):
        local_tar.unpack(archive(("f", tarfile.REGTYPE, "x" * 5000))[:3], str(tmp_path), [])
