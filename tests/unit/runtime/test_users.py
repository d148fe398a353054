"""``user[:group]`` against passwd and group files, and the safety of reading them."""

import os
from pathlib import Path

import pytest

from fairway.model.errors import InvalidParameter
from fairway.runtime import rootfs
from fairway.runtime.openat import make_directory
from fairway.runtime.users import User, look_up, resolve

PASSWD = (
    "root:x:0:0:root:/root:/bin/sh\nbroken line\n# comment:x:1:1::/:\napp:x:1000:1001::/home/app:/bin/sh\n"
)
GROUP = "root:x:0:\naudio:x:29:app,other\nvideo:x:44:app\nwheel:x:10:root\n"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("", User(uid=0, gid=0, groups=(10,), home="/root")),
        ("root", User(uid=0, gid=0, groups=(10,), home="/root")),
        ("app", User(uid=1000, gid=1001, groups=(29, 44), home="/home/app")),
        ("1000", User(uid=1000, gid=1001, groups=(29, 44), home="/home/app")),
        ("app:video", User(uid=1000, gid=44, home="/home/app")),
        ("app:", User(uid=1000, gid=1001, groups=(29, 44), home="/home/app")),
        (":audio", User(uid=0, gid=29, home="/root")),
        ("77", User(uid=77, gid=0, home="/")),
        ("77:88", User(uid=77, gid=88, home="/")),
    ],
)
def test_found(spec: str, expected: User) -> None:
    assert resolve(spec, PASSWD, GROUP) == expected


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("foo", "unable to find user foo: no matching entries in passwd file"),
        ("comment", "unable to find user comment: no matching entries in passwd file"),
        ("app:foo", "unable to find group foo: no matching entries in group file"),
        ("-1", "uids and gids must be in range 0-2147483647"),
        ("2147483648", "uids and gids must be in range 0-2147483647"),
    ],
)
def test_not_found(spec: str, text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        resolve(spec, PASSWD, GROUP)
    assert caught.value.message == text


def test_groups_added() -> None:
    assert resolve("77", PASSWD, GROUP, ("audio", "5")).groups == (29, 5)
    with pytest.raises(InvalidParameter, match="Unable to find group foo"):
        resolve("77", PASSWD, GROUP, ("foo",))


def test_no_files_at_all(tmp_path: Path) -> None:
    assert look_up(str(tmp_path), "") == User()


def test_links_never_lead_out(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "secret").write_text("inside")
    (tmp_path / "secret").write_text("outside")
    (root / "etc/passwd").symlink_to("../../../../../secret")
    (root / "etc/group").symlink_to(tmp_path / "secret")
    assert rootfs.read_text(str(root), "/etc/passwd") == "inside"
    assert rootfs.read_text(str(root), "/etc/group") == ""
    assert rootfs.read_text(str(root), "/etc") == ""


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "passwd")
    assert rootfs.read_text(str(tmp_path), "/passwd") == ""


def test_directories_are_made_inside(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    make_directory(str(root), "/a/b")
    make_directory(str(root), "/a/b")
    assert (root / "a/b").is_dir()
    with pytest.raises(FileNotFoundError):
        make_directory(str(root), "/out/c")
    assert not (tmp_path / "c").exists()


def test_copy_directory(tmp_path: Path) -> None:
    (tmp_path / "root/data/sub").mkdir(parents=True)
    (tmp_path / "root/data/sub/f").write_text("x")
    (tmp_path / "root/data").chmod(0o750)
    target = tmp_path / "volume"
    target.mkdir()
    rootfs.copy_directory(str(tmp_path / "root"), "/data", target)
    rootfs.copy_directory(str(tmp_path / "root"), "/nosuch", target)
    (tmp_path / "root/data/late").write_text("not copied into what is not empty")
    rootfs.copy_directory(str(tmp_path / "root"), "/data", target)
    assert (target / "sub/f").read_text() == "x"
    assert not (target / "late").exists()
    assert target.stat().st_mode & 0o777 == 0o750


def test_numbers_that_are_none() -> None:
    """An image may write anything there."""
    odd = f"two:x:\u00b2:0::/:\nbig:x:{'9' * 5000}:0::/:\n" + PASSWD
    assert resolve("app", odd, f"x:x:\u00b9:\ny:x:{'9' * 5000}:\n").uid == 1000
    for spec in ("two", "big"):
        with pytest.raises(InvalidParameter):
            resolve(spec, odd, GROUP)
    with pytest.raises(InvalidParameter, match="range"):
        resolve("9" * 5000, odd, GROUP)
