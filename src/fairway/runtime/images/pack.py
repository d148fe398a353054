"""Process that writes a directory as tar: ``python -m fairway.runtime.images.pack [--layer] ROOT > archive``.

ROOT becomes the process' root first, for the reason given in ``unpack``: what it walks may be changing under
a running container, and a directory swapped for a link must not lead to the host's files. With ``--layer``
the directory is the upper one of an overlay and its whiteouts are written as a layer's.

The same tree always gives the same bytes: names sorted, times in whole seconds, numeric owners only. Kept are
modes, owners, hard links, devices, ``security.capability`` and ``user.*``; sockets have no meaning in an
archive. A file that shrinks while it is read is filled with zeros; one that vanishes, or becomes something
else between a look and the reading, is left out.
"""

# ruff: noqa: PTH112, PTH114, PTH115, PTH118, PTH208
# Names here are whatever an archive or a container made them; os takes them as they are, one call each.

import os
import stat
import sys
import tarfile
from collections.abc import Callable, Iterator
from typing import BinaryIO

from fairway.runtime.copying import view
from fairway.runtime.images import whiteouts

CHUNK = 1 << 20
_KINDS = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
}


class Packer:
    """Writes the tree below the current root to a stream."""

    def __init__(self, out: BinaryIO, *, layer: bool) -> None:
        self._out = out
        self._layer = layer
        self._links: dict[tuple[int, int], str] = {}

    def run(self) -> None:
        """The whole archive, closed by two zero blocks. Raises OSError."""
        for path in self._walk("/"):
            self._entry(path, path.lstrip("/"))
        self._end()

    def resource(self, path: str, name: Callable[[str], str]) -> None:
        """An archive of one file or directory; ``name`` names what lies at a path relative to it."""
        self._entry(path, name(""))
        if os.path.isdir(path) and not os.path.islink(path):
            for below in self._walk(path):
                self._entry(below, name(os.path.relpath(below, path)))
        self._end()

    def _end(self) -> None:
        self._write(bytes(2 * tarfile.BLOCKSIZE))
        self._out.flush()

    def _walk(self, directory: str) -> Iterator[str]:
        """Paths of all that is in it, a directory before what it holds."""
        pending = [_listed(directory)]
        while pending:
            if (path := next(pending[-1], None)) is None:
                pending.pop()
                continue
            yield path
            if os.path.isdir(path) and not os.path.islink(path):
                pending.append(_listed(path))

    def _entry(self, path: str, name: str) -> None:
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            return
        if self._layer and whiteouts.is_whiteout(status):
            parent, base = os.path.split(name)
            self._mark(os.path.join(parent, whiteouts.PREFIX + base), status)
            return
        kind = _KINDS.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            return
        try:
            entry = self._header(path, name, kind, status)
        except OSError:
            if _is_still(path, status):
                raise
            return
        if entry.isreg():
            self._file(path, entry, status)
        else:
            self._put(entry)
        if self._layer and entry.isdir() and whiteouts.is_opaque(path):
            self._mark(f"{name}/{whiteouts.OPAQUE}", status)

    def _header(self, path: str, name: str, kind: bytes, status: os.stat_result) -> tarfile.TarInfo:
        entry = tarfile.TarInfo(name)
        entry.type = kind
        entry.mode = stat.S_IMODE(status.st_mode)
        entry.uid, entry.gid = status.st_uid, status.st_gid
        entry.mtime = int(status.st_mtime)
        if entry.issym():
            entry.linkname = os.readlink(path)
        elif entry.ischr() or entry.isblk():
            entry.devmajor, entry.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
        elif entry.isreg():
            entry.size = status.st_size
            if status.st_nlink > 1:
                first = self._links.setdefault((status.st_dev, status.st_ino), name)
                if first != name:
                    entry.type, entry.linkname, entry.size = tarfile.LNKTYPE, first, 0
        if entry.isreg() or entry.isdir():
            entry.pax_headers = _extended_attributes(path)
        return entry

    def _mark(self, name: str, status: os.stat_result) -> None:
        entry = tarfile.TarInfo(name)
        entry.mode, entry.mtime = 0o600, int(status.st_mtime)
        self._put(entry)

    def _file(self, path: str, entry: tarfile.TarInfo, status: os.stat_result) -> None:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            if _is_still(path, status):
                raise
            return
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)  # replaced meanwhile, perhaps by a device of the host's
            return
        with os.fdopen(descriptor, "rb") as source:
            self._put(entry)
            left = entry.size
            while left:
                chunk = source.read(min(CHUNK, left)) or bytes(min(CHUNK, left))
                self._write(chunk)
                left -= len(chunk)
        self._write(bytes(-entry.size % tarfile.BLOCKSIZE))

    def _put(self, entry: tarfile.TarInfo) -> None:
        self._write(entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))

    def _write(self, data: bytes) -> None:
        self._out.write(data)


def _listed(directory: str) -> Iterator[str]:
    try:
        names = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        names = []  # it went while we were on the way
    return iter([os.path.join(directory, name) for name in names])


def _is_still(path: str, status: os.stat_result) -> bool:
    """Whether what was seen at the path is there still."""
    try:
        now = os.lstat(path)
    except OSError:
        return False
    return (now.st_ino, now.st_mode) == (status.st_ino, status.st_mode)


def _extended_attributes(path: str) -> dict[str, str]:
    """PAX records of the attributes that travel."""
    return {
        f"SCHILY.xattr.{name}": os.getxattr(path, name).decode("utf-8", "surrogateescape")
        for name in sorted(os.listxattr(path))
        if name == "security.capability" or name.startswith("user.")
    }


def main() -> int:
    """Confine the process and write the archive to stdout. Exit status 2 with the reason on stderr."""
    layer = "--layer" in sys.argv[1:-1]
    try:
        view.enter(sys.argv[-1], ())
        Packer(sys.stdout.buffer, layer=layer).run()
    except BrokenPipeError:
        os.dup2(os.open("/", os.O_RDONLY), sys.stdout.fileno())  # nobody reads: nothing more to flush or say
        return 2
    except OSError as error:
        print(f"{error.strerror}: {error.filename}" if error.filename else error.strerror, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
