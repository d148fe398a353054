"""Reading and making files inside a container's root file system without being led out of it.

A root file system's content is not to be trusted: ``/etc`` may be a symbolic link to the host's. So paths are
resolved by the kernel inside the root (``openat``). Joining and normalising them was rejected: it is racy
against the running container.
"""

import os
import stat
import subprocess
from pathlib import Path

from fairway.model.errors import System
from fairway.runtime import command
from fairway.runtime.openat import open_in_root


def read_text(root: str, path: str, limit: int = 1 << 20) -> str:
    """A small file's content; empty when it is missing or no regular file."""
    try:
        fd = open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return os.read(fd, limit).decode(errors="replace")
    finally:
        os.close(fd)


def copy_directory(root: str, path: str, target: Path) -> None:
    """Copy what ``path`` inside ``root`` holds into the directory ``target``: owners, modes, attributes, too.

    Nothing is done when ``target`` already holds something or ``path`` is no directory. Raises System when
    the copy fails, e.g. on a full disk.
    """
    if any(target.iterdir()):
        return
    try:
        source = open_in_root(root, path, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        copy = [command.find("cp", "coreutils"), "-a", f"/proc/self/fd/{source}/.", str(target)]
        done = subprocess.run(copy, pass_fds=(source,), capture_output=True, check=False)
    finally:
        os.close(source)
    if done.returncode:
        raise System(
            f"copying {path} of the image to {target}: {done.stderr.decode(errors='replace').strip()}"
        )
