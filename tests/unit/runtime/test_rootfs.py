"""Files of containers, looked at and copied on the host's side, while somebody means harm."""

import ctypes
import os
import stat
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from fairway.runtime import rootfs
from fairway.runtime.files import HostFiles
from fairway.runtime.openat import reopen

IN_OPEN = 0x20
"""linux/inotify.h"""


def test_what_is_no_file_is_not_even_opened(tmp_path: Path) -> None:
    """Opening a device can have an effect by itself; a pipe stands for it here, as anybody may make one."""
    (tmp_path / "etc").mkdir()
    node = tmp_path / "etc/passwd"
    os.mkfifo(node)
    libc = ctypes.CDLL(None)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    assert libc.inotify_add_watch(watch, bytes(node), IN_OPEN) >= 0
    assert rootfs.read_text(str(tmp_path), "/etc/passwd") == ""
    with pytest.raises(BlockingIOError):
        os.read(watch, 4096)
    os.close(watch)


def test_only_what_was_expected_is_opened(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    master, slave = os.openpty()
    opened = [os.open(path, os.O_PATH) for path in (file, "/dev/null", os.ttyname(slave))]
    try:
        with pytest.raises(PermissionError):
            reopen(opened[0], os.O_RDONLY, regular=False)
        for kind in (True, False):
            with pytest.raises(PermissionError):
                reopen(opened[1], os.O_RDONLY, regular=kind)
        opened += [reopen(opened[0], os.O_RDONLY, regular=True), reopen(opened[2], os.O_RDWR, regular=False)]
        assert os.read(opened[3], 9) == b"text"
        assert os.isatty(opened[4])
    finally:
        for each in (*opened, master, slave):
            os.close(each)


def test_a_volume_is_filled_with_owners_modes_and_links(tmp_path: Path) -> None:
    source, volume = tmp_path / "root/data", tmp_path / "volume/_data"
    (source / "sub").mkdir(parents=True)
    volume.mkdir(parents=True)
    (source / "sub/file").write_text("text")
    (source / "link").symlink_to("/etc/passwd")
    source.chmod(0o1770)
    rootfs.copy_directory(str(tmp_path / "root"), "/data", volume)
    assert (volume / "sub/file").read_text() == "text"
    assert os.readlink(volume / "link") == "/etc/passwd"
    assert stat.S_IMODE(volume.stat().st_mode) == 0o1770
    assert [path.name for path in volume.parent.iterdir()] == ["_data"]


def test_filling_a_volume_follows_no_link_that_another_container_plants(tmp_path: Path) -> None:
    source, volume, outside = tmp_path / "root/data", tmp_path / "volume/_data", tmp_path / "outside"
    for directory in (source / "sub", volume, outside):
        directory.mkdir(parents=True)
    for number in range(3000):
        (source / f"sub/{number}").touch()
    over = threading.Event()

    def plant() -> None:
        """What a process can do that has the volume mounted."""
        while not over.is_set():
            with suppress(OSError):
                (volume / "sub").rename(volume / "moved")
                (volume / "sub").symlink_to(outside)

    thread = threading.Thread(target=plant)
    thread.start()
    with suppress(Exception):
        rootfs.copy_directory(str(tmp_path / "root"), "/data", volume)
    over.set()
    thread.join()
    assert not list(outside.iterdir())


def test_a_file_that_a_container_has_blown_up_is_left_alone(tmp_path: Path) -> None:
    files = HostFiles(tmp_path)
    files.write("0a", "hosts", "10.0.0.1\tone\n10.0.0.2\ttwo\n")
    with Path(files.path("0a", "hosts")).open("ab") as file:
        file.write(b"\xff\n")
    files.drop("0a", "hosts", frozenset(["10.0.0.1"]))
    assert Path(files.path("0a", "hosts")).read_bytes() == b"10.0.0.2\ttwo\n\xff\n"
    os.truncate(files.path("0a", "hosts"), 1 << 40)
    files.drop("0a", "hosts", frozenset(["10.0.0.2"]))
    assert os.stat(files.path("0a", "hosts")).st_size == 1 << 40
