"""Reading and making files inside a container's root file system without being led out of it.

A root file system's content is not to be trusted: ``/etc`` may be a symbolic link to the host's. So paths are
resolved by the kernel inside the root (``openat``). Joining and normalising them was rejected: it is racy
against the running container.
"""

import errno
import os
import shutil
import subprocess
from pathlib import Path

from fairway.model.errors import System
from fairway.runtime import command
from fairway.runtime.openat import open_in_root, reopen


def read_text(root: str, path: str, limit: int = 1 << 20) -> str:
    """A small file's content; empty when it is missing or no regular file."""
    try:
        place = open_in_root(root, path, os.O_PATH)
    except OSError:
        return ""
    try:
        with open(reopen(place, os.O_RDONLY, regular=True), "rb") as file:  # noqa: PTH123 - a descriptor
            return file.read(limit).decode(errors="replace")
    except OSError:
        return ""
    finally:
        os.close(place)


def copy_directory(root: str, path: str, target: Path) -> None:
    """Copy what ``path`` inside ``root`` holds into the directory ``target``: owners, modes, attributes, too.

    It is copied beside ``target`` first and then moved in, entry by entry: another container may have
    ``target`` mounted, and put a link to the host's files where a directory is being filled.

    Nothing is done when ``target`` already holds something or ``path`` is no directory. Raises System when
    the copy fails, e.g. on a full disk.
    """
    if any(target.iterdir()):
        return
    try:
        source = open_in_root(root, path, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return
    filling = target.with_name(".filling")
    try:
        shutil.rmtree(filling, ignore_errors=True)  # of a daemon that was killed
        filling.mkdir(mode=0o700)
        copy = [command.find("cp", "coreutils"), "-a", f"/proc/self/fd/{source}/.", str(filling)]
        done = subprocess.run(
            copy, pass_fds=(source,), env=command.ENVIRONMENT, capture_output=True, check=False
        )
        if done.returncode:
            reason = done.stderr.decode(errors="replace").strip()
            raise System(f"copying {path} of the image to {target}: {reason}")
        _move_in(filling, target)
    finally:
        os.close(source)
        shutil.rmtree(filling, ignore_errors=True)


def _move_in(filling: Path, target: Path) -> None:
    """All entries and the directory's own attributes; what somebody has made there meanwhile stays."""
    for entry in filling.iterdir():
        try:
            entry.rename(target / entry.name)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
                raise
    status = filling.stat()
    os.chown(target, status.st_uid, status.st_gid)
    shutil.copystat(filling, target)
