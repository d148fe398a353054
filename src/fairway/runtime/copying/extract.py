"""Writes an archive's entries into a directory of a container's file system.

Unlike a layer, the archive meets what is there already: a directory is merged, anything else replaced. Names
that lead out of the directory are refused as in Docker, although there is no outside to reach (``view``).
Links in the container's own file system are followed, as its processes would.
"""

# ruff: noqa: PTH108, PTH120
# Names here are whatever an archive or a container made them; os takes them as they are, one call each.

import os
import stat
import tarfile

from fairway.runtime import trees
from fairway.runtime.copying import names
from fairway.runtime.images.strict_tar import BadArchive
from fairway.runtime.images.unpack import Unpacker


class Refused(Exception):
    """The archive is sound, but is not written here; ``kind`` is one of ``model.errors``."""

    def __init__(self, message: str, kind: str = "InvalidParameter") -> None:
        super().__init__(message)
        self.kind = kind


class Extractor(Unpacker):
    """``keep_kinds``: no directory is replaced by something else, or the other way round.

    ``owner``: uid and gid of everything written; None takes those of the archive.
    """

    def __init__(self, destination: str, *, keep_kinds: bool, owner: tuple[int, int] | None) -> None:
        super().__init__()
        self._destination, self._keep_kinds, self._owner = destination, keep_kinds, owner

    def _entry(self, archive: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        path = names.inside(self._destination, entry.name)
        if path is None:
            raise BadArchive(f'"{entry.name}" is outside of "{self._destination}"')
        if path == self._destination and entry.isdir():
            return  # "./", the directory itself
        trees.make_directories(os.path.dirname(path))
        self._make_room(path, entry.isdir())
        self._create(archive, entry, path)
        if entry.islnk():
            return
        if self._owner is not None:
            entry.uid, entry.gid = self._owner
        self._attributes(entry, path)

    def _make_room(self, path: str, is_directory: bool) -> None:
        try:
            there = stat.S_ISDIR(os.lstat(path).st_mode)
        except FileNotFoundError:
            return
        if self._keep_kinds and there != is_directory:
            kinds = ("directory", "non-directory") if there else ("non-directory", "directory")
            raise Refused(f'cannot overwrite {kinds[0]} "{path}" with {kinds[1]} "{self._destination}"')
        if there and is_directory:
            return
        if there:
            trees.remove(path)
            self._forget(path)
        else:
            os.unlink(path)

    def _linked(self, entry: tarfile.TarInfo) -> str:
        target = names.inside(self._destination, entry.linkname)
        if target is None:
            raise BadArchive(f'invalid hardlink "{entry.name}" -> "{entry.linkname}"')
        return target
