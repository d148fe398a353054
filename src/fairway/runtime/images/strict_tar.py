"""Reading tar without tolerance: a damaged header is an error, never the end of the archive.

``tarfile`` stops silently at a header in mid-archive that it cannot read, so half an image would pass for a
whole one. It asks its TarInfo class for each header; this one turns the tolerated cases into ``BadArchive``,
which ``tarfile`` does not catch. Texts are those of Go's archive/tar, which Docker's users see.

A stranger's header must also cost no more than it is worth. ``tarfile`` reads a long name of 8 GB into
memory, follows a chain of extensions until the stack ends and a negative size for ever, and takes hours for
a pax record of a megabyte of digits (CVE-2024-6232, in 3.11 until 3.11.10). So what belongs to one header is
limited (Go: ``maxSpecialFileSize``), and pax records are read here.
"""

import tarfile
from collections.abc import Iterator
from typing import Any, Self

LIMIT = 1 << 20
"""Bytes of one entry's headers: long names, pax records, maps of sparse files."""


class BadArchive(Exception):
    """The archive is damaged or not a tar archive."""


class _Header:
    """The archive's file while one entry's headers are read from it."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.tell = file.tell
        self._left = LIMIT

    def read(self, size: int) -> bytes:
        self._left -= size
        if size < 0 or self._left < 0:
            raise BadArchive("invalid tar header")
        data: bytes = self.file.read(size)
        return data


class StrictTarInfo(tarfile.TarInfo):
    """For ``tarfile.open(tarinfo=…)``."""

    @classmethod
    def fromtarfile(cls, tarfile: Any) -> Self:
        """The next header. Raises BadArchive; the end of the archive as ``tarfile`` expects it."""
        if isinstance(tarfile.fileobj, _Header):
            return super().fromtarfile(tarfile)  # the header after an extension's
        file, tarfile.fileobj = tarfile.fileobj, _Header(tarfile.fileobj)
        try:
            found = super().fromtarfile(tarfile)
        except _TRUNCATED:
            raise BadArchive("unexpected EOF") from None
        except (*_INVALID, ValueError, RecursionError):
            raise BadArchive("invalid tar header") from None
        finally:
            tarfile.fileobj = file
        if found.size < 0:
            raise BadArchive("invalid tar header")
        return found

    def _proc_pax(self, archive: Any) -> Self:
        """The entry that pax records speak of, or that follows those which speak of all."""
        data = archive.fileobj.read(self._block(self.size))[: self.size]  # type: ignore[attr-defined]
        records = list(_records(data))
        headers = archive.pax_headers if self.type == tarfile.XGLTYPE else dict(archive.pax_headers)
        headers.update(records)
        found: Any = self.fromtarfile(archive)
        if "GNU.sparse.map" in headers:
            self._proc_gnusparse_01(found, headers)  # type: ignore[attr-defined]
        elif headers.get("GNU.sparse.major") == "1":
            self._proc_gnusparse_10(found, headers, archive)  # type: ignore[attr-defined]
        elif "GNU.sparse.size" in headers:
            found.sparse = _pairs(records)
        if self.type != tarfile.XGLTYPE:
            found._apply_pax_info(headers, archive.encoding, archive.errors)
            found.offset = self.offset
            if "size" in headers:
                content = found.isreg() or found.type not in tarfile.SUPPORTED_TYPES
                archive.offset = found.offset_data + (found._block(found.size) if content else 0)
        return found  # type: ignore[no-any-return]


def _records(data: bytes) -> Iterator[tuple[str, str]]:
    """``LENGTH KEY=VALUE\\n``, the length in decimal and of all of it (POSIX.1, pax Extended Header)."""
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 9)
        digits = data[at : max(space, at)]
        end = at + int(digits) if digits.isdigit() else at
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not at < space < end <= len(data) or not equals or data[end - 1] != 10:
            raise BadArchive("invalid tar header")
        yield key.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape")
        at = end


def _pairs(records: list[tuple[str, str]]) -> list[tuple[int, int]]:
    """The map of a sparse file in GNU's first form: each offset and length a record of its own."""
    offsets = [int(value) for key, value in records if key == "GNU.sparse.offset"]
    lengths = [int(value) for key, value in records if key == "GNU.sparse.numbytes"]
    return list(zip(offsets, lengths, strict=False))


_TRUNCATED = (tarfile.TruncatedHeaderError,)  # type: ignore[attr-defined]
_INVALID = (tarfile.InvalidHeaderError, tarfile.SubsequentHeaderError)  # type: ignore[attr-defined]
