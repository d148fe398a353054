"""Process that unpacks one layer: ``python -m fairway.runtime.images.unpack TARGET < archive``.

Archives come from strangers. Instead of checking every name, link and link target for a way out, the process
makes TARGET its root before it reads the first byte, as Docker's does: there is no outside. What it needs is
imported before that, and nothing after; names of users and groups are never looked up, since that would load
a library from within. Devices cannot be opened there (``view``). Whiteouts become overlayfs' (see
``whiteouts``), so TARGET serves as a lower directory as it is.

The result depends on the archive alone, not on the layers below; that is what lets images share a layer by
its diff id. The price, the same as Docker's: a directory that an archive uses without declaring gets 0755.

Prints the sum of the regular files' sizes in bytes. Exit status 1: the archive is wrong, 2: the system
failed; stderr says what.
"""

# ruff: noqa: PTH101, PTH102, PTH108, PTH112, PTH118, PTH120, PTH211
# Names here are whatever an archive or a container made them; os takes them as they are, one call each.

import errno
import os
import stat
import sys
import tarfile
from contextlib import suppress
from typing import BinaryIO

from fairway.runtime import trees
from fairway.runtime.copying import view
from fairway.runtime.images import whiteouts
from fairway.runtime.images.strict_tar import BadArchive, StrictTarInfo

CHUNK = 1 << 20
_SYSTEM_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENOMEM, errno.EMFILE, errno.EPERM}


class Unpacker:
    """Writes entries below the current root."""

    def __init__(self) -> None:
        self.size = 0
        self._times: dict[str, float] = {}

    def run(self, stream: BinaryIO) -> None:
        """All entries of the archive. Raises BadArchive, OSError."""
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=StrictTarInfo, bufsize=CHUNK) as archive:
            for entry in archive:
                self._entry(archive, entry)
                archive.members.clear()  # type: ignore[attr-defined]  # a stream is read once: keep no headers
        # Directories get their times last, when nothing is created in them any more.
        for path, mtime in self._times.items():
            with suppress(FileNotFoundError):  # where a container runs, it may have removed it
                os.utime(path, (mtime, mtime), follow_symlinks=False)

    def _entry(self, archive: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        path = os.path.normpath("/" + entry.name).replace("//", "/")
        parent, name = os.path.split(path)
        trees.make_directories(parent)
        if name.startswith(whiteouts.PREFIX):
            self._whiteout(parent, name)
            return
        replaced = self._clear(path, keep_directory=entry.isdir())
        self._create(archive, entry, path)
        if entry.islnk():
            return
        self._attributes(entry, path)
        if replaced and entry.isdir():
            os.setxattr(path, whiteouts.OPAQUE_ATTRIBUTE, b"y")

    def _whiteout(self, parent: str, name: str) -> None:
        if name == whiteouts.OPAQUE:
            os.setxattr(parent, whiteouts.OPAQUE_ATTRIBUTE, b"y")
            return
        if name.startswith(whiteouts.RESERVED):
            return
        hidden = name.removeprefix(whiteouts.PREFIX)
        if hidden in ("", ".", ".."):
            raise BadArchive(f"invalid whiteout {name!r}")
        path = os.path.join(parent, hidden)
        try:
            kind = os.lstat(path).st_mode
        except FileNotFoundError:
            os.mknod(path, stat.S_IFCHR, 0)
            return
        # A whiteout concerns the layers below only: what this layer itself has there stays.
        if stat.S_ISDIR(kind):
            os.setxattr(path, whiteouts.OPAQUE_ATTRIBUTE, b"y")

    def _clear(self, path: str, *, keep_directory: bool) -> bool:
        """Make room for an entry; says whether a whiteout was there."""
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            return False
        if stat.S_ISDIR(status.st_mode):
            if not keep_directory:
                trees.remove(path)
                self._forget(path)
            return False
        os.unlink(path)
        return whiteouts.is_whiteout(status)

    def _forget(self, path: str) -> None:
        """A directory that was removed, and what was below it, get no times any more."""
        for known in [p for p in self._times if p == path or p.startswith(f"{path}/")]:
            del self._times[known]

    def _create(self, archive: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> None:
        if entry.isdir():
            if not os.path.isdir(path):
                os.mkdir(path)
        elif entry.islnk():
            os.link(self._linked(entry), path, follow_symlinks=False)
        elif entry.issym():
            os.symlink(entry.linkname, path)
        elif entry.isreg():
            self._file(archive, entry, path)
        elif entry.isfifo():
            self._node(path, stat.S_IFIFO | entry.mode & 0o7777, 0)
        elif entry.ischr() or entry.isblk():
            kind = stat.S_IFCHR if entry.ischr() else stat.S_IFBLK
            self._node(path, kind | entry.mode & 0o7777, os.makedev(entry.devmajor, entry.devminor))
        else:
            raise BadArchive(f"unhandled tar header type {entry.type!r}")

    def _linked(self, entry: tarfile.TarInfo) -> str:
        """Path of the file that a hard link is another name of."""
        return os.path.normpath("/" + entry.linkname).replace("//", "/")

    def _node(self, path: str, mode: int, device: int) -> None:
        """With its mode from the start: a pipe or device is not opened to change it."""
        mask = os.umask(0)
        try:
            os.mknod(path, mode, device)
        finally:
            os.umask(mask)

    def _file(self, archive: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> None:
        source = archive.extractfile(entry)
        if source is None:
            raise BadArchive(f"{entry.name}: no content")
        if entry.issparse() and entry.size > _room(os.path.dirname(path)):
            # Its holes, a few bytes in the archive, would fill the disk first.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(path, flags, 0o600), "wb") as target:
            while chunk := source.read(CHUNK):
                target.write(chunk)
                self.size += len(chunk)

    def _attributes(self, entry: tarfile.TarInfo, path: str) -> None:
        """Owner first: changing it clears set-user-id bits and file capabilities.

        Through a descriptor where there can be one: what lies at the path may be replaced meanwhile.
        """
        if not entry.isreg() and not entry.isdir():
            os.chown(path, entry.uid, entry.gid, follow_symlinks=False)
            self._extended(entry, path)
            os.utime(path, (entry.mtime, entry.mtime), follow_symlinks=False)
            return
        kind = os.O_DIRECTORY if entry.isdir() else 0
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | kind)
        try:
            os.chown(descriptor, entry.uid, entry.gid)
            os.chmod(descriptor, entry.mode & 0o7777)
            self._extended(entry, descriptor)
            if entry.isdir():
                self._times[path] = entry.mtime
            else:
                os.utime(descriptor, (entry.mtime, entry.mtime))
        finally:
            os.close(descriptor)

    def _extended(self, entry: tarfile.TarInfo, target: str | int) -> None:
        for key, value in entry.pax_headers.items():
            name = key.removeprefix("SCHILY.xattr.")
            if name == key or name.startswith(whiteouts.OVERLAY_ATTRIBUTES):
                continue
            data = value.encode("utf-8", "surrogateescape")
            try:
                os.setxattr(target, name, data, follow_symlinks=isinstance(target, int))
            except OSError as error:
                # Attributes of another system's security module or filesystem mean nothing here (as Docker).
                if error.errno != errno.ENOTSUP:
                    raise


def _room(directory: str) -> int:
    """Bytes that are free on the disk of a directory."""
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize


def main() -> int:
    """Confine the process, unpack, and drain the input so that the writer never sees a broken pipe."""
    os.umask(0o022)
    unpacker = Unpacker()
    try:
        view.enter(sys.argv[1], ())
        unpacker.run(sys.stdin.buffer)
        while sys.stdin.buffer.read(CHUNK):
            pass
    except (BadArchive, tarfile.TarError, ValueError, OverflowError) as error:
        truncated = "unexpected end of data" in str(error)
        print("unexpected EOF" if truncated else error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.strerror}: {error.filename}" if error.filename else error.strerror, file=sys.stderr)
        return 2 if error.errno in _SYSTEM_ERRORS else 1
    print(unpacker.size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
