"""Compressed archives: what they are by their first bytes, and their plain content.

gzip, bzip2 and xz come with Python; zstd needs the ``zstd`` program, as no module for it is in the standard
library of this version. Reading is streaming throughout.
"""

import bz2
import gzip
import lzma
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, cast

from fairway.model.errors import InvalidParameter, System

Kind = Literal["plain", "gzip", "bzip2", "xz", "zstd"]

_MAGIC: dict[bytes, Kind] = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}


def kind(path: Path) -> Kind:
    """What a file is compressed with; an unknown beginning counts as plain."""
    with path.open("rb") as file:
        head = file.read(6)
    return next((found for magic, found in _MAGIC.items() if head.startswith(magic)), "plain")


@contextmanager
def plain(path: Path) -> Iterator[BinaryIO]:
    """The file's uncompressed content as a stream.

    Raises InvalidParameter when the content is damaged, System when ``zstd`` is needed and missing.
    """
    try:
        match kind(path):
            case "plain":
                with path.open("rb") as file:
                    yield file
            case "gzip":
                with gzip.open(path) as unzipped:
                    yield cast(BinaryIO, unzipped)
            case "bzip2":
                with bz2.open(path) as unzipped2:
                    yield cast(BinaryIO, unzipped2)
            case "xz":
                with lzma.open(path) as unzipped3:
                    yield cast(BinaryIO, unzipped3)
            case "zstd":
                with _zstd(path) as pipe:
                    yield pipe
    except EOFError:
        raise InvalidParameter("unexpected EOF") from None
    except (zlib.error, lzma.LZMAError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's; those of gzip and bzip2 about the content have no number
        raise InvalidParameter(f"invalid compressed data: {error}") from None


@contextmanager
def _zstd(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as source:
        try:
            process = subprocess.Popen(
                ["zstd", "-dcq"], stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except FileNotFoundError:
            raise System(
                "the archive is compressed with zstd, and the program zstd is not installed"
            ) from None
    with process:
        assert process.stdout and process.stderr
        try:
            yield cast(BinaryIO, process.stdout)
        except BaseException:
            process.kill()
            raise
        left = process.stdout.read(1)
        process.stdout.close()
        message = process.stderr.read().decode(errors="replace").strip()
        if process.wait() and not left:
            raise InvalidParameter(f"invalid compressed data: {message}")
