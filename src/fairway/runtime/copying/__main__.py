"""The helper process: ``python -m fairway.runtime.copying REQUEST``, REQUEST as JSON (see ``transfer``).

``stat`` and ``read`` print one line of JSON about the path, ``read`` then the archive. ``write`` reads an
archive, plain, gzip, bzip2 or xz, from standard input and prints a line when all is written. A failure before
that line is told in its place, as ``{"fault": kind, "message": text}``, with a kind of ``model.errors``; one
that comes later, in mid-archive, on standard error with exit status 1.
"""

# ruff: noqa: PTH112
# Names here are whatever a container made them; os takes them as they are, one call each.

import bz2
import errno
import gzip
import json
import lzma
import os
import stat
import sys
import tarfile
import zlib
from functools import partial
from typing import Any, BinaryIO, cast

from fairway.runtime.copying import names, view
from fairway.runtime.copying.extract import Extractor, Refused
from fairway.runtime.images.pack import CHUNK, Packer
from fairway.runtime.images.strict_tar import BadArchive

_COMPRESSED = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)
_DAMAGED = (BadArchive, tarfile.TarError, ValueError, OverflowError, EOFError, zlib.error, lzma.LZMAError)


def main(request: dict[str, Any]) -> int:
    """Confine the process, then do what is asked. Exit status 1 when it could not be done."""
    told = False
    try:
        view.enter(request["root"], request["mounts"])
        os.umask(0o022)
        path = names.absolute(request["path"])
        if request["verb"] == "write":
            _write(request, path)
            _tell({})
            return 0
        _tell(_described(path))
        told = True
        if request["verb"] == "read":
            Packer(sys.stdout.buffer, layer=False).resource(path, partial(names.entry, names.base(path)))
    except BrokenPipeError:
        os.dup2(os.open("/", os.O_RDONLY), sys.stdout.fileno())  # nobody reads: nothing more to flush or say
        return 1
    except OSError as error:
        return _failed(_kind(error), _text(error), told)
    except Refused as refused:
        return _failed(refused.kind, str(refused), told)
    except _DAMAGED as error:
        text = "unexpected EOF" if "unexpected end of data" in str(error) else str(error)
        return _failed("InvalidParameter", f"Error processing tar file: {text}", told)
    return 0


def _tell(line: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(line).encode() + b"\n")
    sys.stdout.buffer.flush()


def _failed(kind: str, message: str, told: bool) -> int:
    if told:
        print(message, file=sys.stderr)
    else:
        _tell({"fault": kind, "message": message})
    return 1


def _kind(error: OSError) -> str:
    match error.errno:
        case errno.ENOENT:
            return "NotFound"
        case errno.ENOTDIR | errno.ELOOP | errno.ENAMETOOLONG | errno.EISDIR:
            return "InvalidParameter"
        case errno.EROFS:
            return "Forbidden"
        case _:
            return "System"


def _text(error: OSError) -> str:
    reason = (error.strerror or str(error)).lower()
    return f"{error.filename}: {reason}" if error.filename else reason


def _described(path: str) -> dict[str, Any]:
    """The fields of ``PathStat``. A trailing ``/`` or ``/.`` follows a link, as lstat(2) does."""
    status = os.lstat(path)
    if path.endswith(("/", "/.")) and not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "not a directory", path)
    link = stat.S_ISLNK(status.st_mode)
    return {
        "name": names.base(path),
        "size": status.st_size,
        "mode": status.st_mode,
        "modified": status.st_mtime_ns,
        "target": os.path.realpath(path) if link else "",
    }


def _write(request: dict[str, Any], path: str) -> None:
    destination = os.path.realpath(path, strict=True)
    if not os.path.isdir(destination):
        raise Refused("extraction point is not a directory: not a directory")
    _check_writable(request, destination)
    owner = tuple(request["owner"]) if request["owner"] else None
    extractor = Extractor(destination, keep_kinds=request["keep_kinds"], owner=owner)
    stream = cast(Any, sys.stdin.buffer)
    if not stream.peek(1):
        return  # no archive at all is one without entries, as in Docker
    with _plain(stream) as archive:
        extractor.run(archive)
        while archive.read(CHUNK):
            """What follows the archive's end is read, lest the writer sees a broken pipe."""


def _check_writable(request: dict[str, Any], destination: str) -> None:
    """Docker's rule: in a volume that volume decides, elsewhere whether the root may be written."""
    for _, mount, read_only in reversed(request["mounts"]):
        if destination == mount or destination.startswith(f"{mount}/"):
            if read_only:
                raise Refused("mounted volume is marked read-only", "Forbidden")
            return
    if request["read_only"]:
        raise Refused("container rootfs is marked read-only", "Forbidden")


def _plain(stream: Any) -> BinaryIO:
    """The archive, uncompressed; ``stream`` can be peeked into."""
    head = stream.peek(6)
    opened = next((opened for magic, opened in _COMPRESSED if head.startswith(magic)), None)
    return cast(BinaryIO, opened(stream) if opened else stream)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
