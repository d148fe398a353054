"""Local files as a tar archive, and an archive as local files; streaming, for ``cp``.

An archive comes from a container and is not trusted. Every directory on the way to an entry is opened without
following links, so nothing is written outside of the destination, whatever links the archive brings along.
"""

# ruff: noqa: PTH112, PTH114, PTH115, PTH118, PTH123, PTH208
# Names here are whatever an archive or a directory holds; os takes them as they are, one call each.

from __future__ import annotations

import os
import shutil
import stat
import tarfile
from collections.abc import Iterable, Iterator

from fairway.cli.copy_paths import Renaming, clean, renamed
from fairway.cli.exits import FAILED, Exit

_CHUNK = 1 << 20
_TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
}


def pack(directory: str, entry: str, renaming: Renaming | None) -> Iterator[bytes]:
    """The archive of ``entry`` in ``directory``, with its names changed. Raises OSError."""
    links: dict[tuple[int, int], str] = {}
    for path, name in _walk(os.path.join(directory, entry), entry):
        yield from _entry(path, renamed(name, renaming), links)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _walk(path: str, name: str) -> Iterator[tuple[str, str]]:
    yield path, name
    if os.path.isdir(path) and not os.path.islink(path.removesuffix("/")):
        for each in sorted(os.listdir(path)):
            yield from _walk(os.path.join(path, each), f"{name}/{each}")


def _entry(path: str, name: str, links: dict[tuple[int, int], str]) -> Iterator[bytes]:
    status = os.lstat(path)
    kind = _TYPES.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        return  # a socket: it has no meaning in an archive
    header = tarfile.TarInfo(name)
    header.type, header.mode, header.mtime = kind, stat.S_IMODE(status.st_mode), int(status.st_mtime)
    header.uid, header.gid = status.st_uid, status.st_gid
    if header.issym():
        header.linkname = os.readlink(path)
    elif header.ischr() or header.isblk():
        header.devmajor, header.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
    elif header.isreg() and status.st_nlink > 1:
        first = links.setdefault((status.st_dev, status.st_ino), name)
        if first != name:
            header.type, header.linkname = tarfile.LNKTYPE, first
    if not header.isreg():
        yield _encoded(header)
        return
    with open(path, "rb") as file:
        header.size = left = status.st_size
        yield _encoded(header)
        while left:
            chunk = file.read(min(_CHUNK, left)) or bytes(min(_CHUNK, left))  # it shrank: zeros
            yield chunk
            left -= len(chunk)
    yield bytes(-header.size % tarfile.BLOCKSIZE)


def _encoded(header: tarfile.TarInfo) -> bytes:
    return header.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


class _Pieces:
    """An iterator of bytes as a file to read."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces, self._left = iter(pieces), b""

    def read(self, size: int) -> bytes:
        taken = [self._left]
        have = len(self._left)
        while have < size and (piece := next(self._pieces, None)) is not None:
            taken.append(piece)
            have += len(piece)
        data = b"".join(taken)
        self._left = data[size:]
        return data[:size]


def unpack(pieces: Iterable[bytes], directory: str, renamings: list[Renaming]) -> None:
    """Write an archive into ``directory``, owned by the user. Raises OSError; Exit for what is refused."""
    directory = clean(directory)
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    times: list[tuple[str, float]] = []
    try:
        with tarfile.open(fileobj=_Pieces(pieces), mode="r|", bufsize=_CHUNK) as archive:  # type: ignore[call-overload]
            for entry in archive:
                name = entry.name
                for renaming in renamings:
                    name = renamed(name, renaming)
                    if entry.islnk():
                        entry.linkname = renamed(entry.linkname, renaming)
                _write(root, directory, archive, entry, _inside(directory, name))
                if entry.isdir():
                    times.append((_inside(directory, name), entry.mtime))
                archive.members.clear()
        for name, mtime in reversed(times):
            parent, last = _parent(root, name)
            try:
                os.utime(last or ".", (mtime, mtime), dir_fd=parent, follow_symlinks=False)
            finally:
                os.close(parent)
    except tarfile.TarError as error:
        raise Exit(FAILED, f"Error processing tar file: {error}") from error
    finally:
        os.close(root)


def _inside(directory: str, name: str) -> str:
    """The name relative to the directory; Exit if it leads out."""
    relative = clean(name.lstrip("/") or ".")
    if relative == ".." or relative.startswith("../"):
        raise Exit(FAILED, f'"{name}" is outside of "{directory}"')
    return "" if relative == "." else relative


def _parent(root: int, name: str) -> tuple[int, str]:
    """Descriptor of the directory that ``name`` lies in, made if missing, and its last part."""
    *above, last = name.split("/")
    here = os.dup(root)
    for part in above:
        try:
            try:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            except FileNotFoundError:
                os.mkdir(part, 0o777, dir_fd=here)
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
        finally:
            os.close(here)
        here = below
    return here, last


def _write(root: int, directory: str, archive: tarfile.TarFile, entry: tarfile.TarInfo, name: str) -> None:
    parent, last = _parent(root, name)
    try:
        if not last or not _make_room(parent, last, f"{directory.rstrip('/')}/{name}", directory, entry):
            return
        mode = entry.mode & 0o7777
        if entry.isdir():
            os.mkdir(last, 0o700, dir_fd=parent)
            _set_mode(parent, last, os.O_DIRECTORY, mode)
        elif entry.issym():
            os.symlink(entry.linkname, last, dir_fd=parent)
        elif entry.islnk():
            source, other = _parent(root, _inside(directory, entry.linkname))
            try:
                os.link(other, last, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
            finally:
                os.close(source)
            return
        elif entry.isreg():
            _file(archive, entry, parent, last, mode)
        else:
            kind = stat.S_IFIFO if entry.isfifo() else stat.S_IFCHR if entry.ischr() else stat.S_IFBLK
            os.mknod(last, kind | mode, os.makedev(entry.devmajor, entry.devminor), dir_fd=parent)
        if not entry.isdir():
            os.utime(last, (entry.mtime, entry.mtime), dir_fd=parent, follow_symlinks=False)
    finally:
        os.close(parent)


def _make_room(parent: int, last: str, path: str, directory: str, entry: tarfile.TarInfo) -> bool:
    """Whether there is something to make: a directory that is there already only gets its mode."""
    try:
        there = stat.S_ISDIR(os.stat(last, dir_fd=parent, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return True
    if there != entry.isdir():
        kinds = ("directory", "non-directory") if there else ("non-directory", "directory")
        raise Exit(FAILED, f'cannot overwrite {kinds[0]} "{path}" with {kinds[1]} "{directory}"')
    if there:
        _set_mode(parent, last, os.O_DIRECTORY, entry.mode & 0o7777)
        return False
    os.unlink(last, dir_fd=parent)
    return True


def _set_mode(parent: int, last: str, kind: int, mode: int) -> None:
    descriptor = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | kind, dir_fd=parent)
    try:
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _file(archive: tarfile.TarFile, entry: tarfile.TarInfo, parent: int, last: str, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    content = archive.extractfile(entry)
    assert content is not None
    with os.fdopen(os.open(last, flags, 0o600, dir_fd=parent), "wb") as file:
        shutil.copyfileobj(content, file, _CHUNK)
        os.fchmod(file.fileno(), mode)
