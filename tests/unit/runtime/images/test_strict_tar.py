"""Headers that cost more than they are worth, and those that tarfile would let pass."""

import io
import tarfile

import pytest

from fairway.runtime.images.strict_tar import LIMIT, BadArchive, StrictTarInfo

END = bytes(1024)
NEWEST = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}


def header(name: str, size: int = 0, records: dict[str, str] | None = None) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = size
    entry.pax_headers = records or {}
    return entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def extension(kind: bytes, data: bytes, size: int | None = None) -> bytes:
    entry = tarfile.TarInfo("extension")
    entry.type, entry.size = kind, len(data) if size is None else size
    return entry.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512)


def read(archive: bytes, mode: str = "r|") -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode=mode, tarinfo=StrictTarInfo) as opened:  # type: ignore[call-overload]
        return list(opened)


@pytest.mark.parametrize("mode", ["r|", "r:"])
@pytest.mark.parametrize(
    "head",
    [
        extension(b"x", b"1" * 200_000),  # hours in tarfile's expression
        extension(b"x", b"5 a=b\n"),
        extension(b"x", b"6 a=bc\n"),
        extension(b"x", b"7 abcd\n"),
        extension(b"x", b"0 a=b\n"),
        extension(b"x", b"999999999999999999999 a=b\n"),
        extension(b"x", b"x" * (LIMIT + 1)),
        extension(b"L", b"name", 1 << 33),
        extension(b"L", b"name\0") * 3_000,
        extension(b"x", b"6 a=b\n") * 3_000,
        header("sparse", records={"GNU.sparse.map": "0,x", "GNU.sparse.size": "1"}),
        header("sparse", records=NEWEST | {"GNU.sparse.realsize": "x"}),
        extension(b"x", b"14 size=-1024\n") + header("backwards"),
    ],
)
def test_bad_headers(head: bytes, mode: str) -> None:
    with pytest.raises((BadArchive, tarfile.StreamError)):
        read(header("first") + head + header("last") + END, mode)


def test_a_negative_size_leads_nowhere() -> None:
    entry = bytearray(header("back"))
    entry[124:136] = tarfile.itn(-512, 12, tarfile.GNU_FORMAT)  # type: ignore[attr-defined]
    entry[148:156] = b" " * 8
    entry[148:155] = b"%06o\0" % sum(entry[:512])
    with pytest.raises(BadArchive):
        read(header("first") + bytes(entry) + END, "r:")


def test_records_are_read_as_before() -> None:
    name, digits = "ü" * 200, "1" * 200_000
    entry = tarfile.TarInfo(name)
    entry.size = 3
    entry.pax_headers = {"SCHILY.xattr.user.a": "x=y\nz", "comment": digits, "mtime": "1.5"}
    shared = extension(b"g", b"20 SCHILY.xattr.g=x\n")
    data = shared + entry.tobuf(tarfile.PAX_FORMAT) + b"abc" + bytes(509) + header("next") + END
    found, following = read(data)
    assert (found.name, found.size, found.mtime) == (name, 3, 1.5)
    assert found.pax_headers["SCHILY.xattr.user.a"] == "x=y\nz"
    assert found.pax_headers["comment"] == digits
    assert following.name == "next"
    assert following.pax_headers == {"SCHILY.xattr.g": "x"}


@pytest.mark.parametrize(
    ("records", "content"),
    [
        ({"GNU.sparse.map": "1,2", "GNU.sparse.size": "5"}, b"ab"),
        (
            {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "5"},
            b"1\n1\n2\n".ljust(512, b"\0") + b"ab",
        ),
    ],
)
def test_sparse_files(records: dict[str, str], content: bytes) -> None:
    entry = header("sparse", len(content), records) + content + bytes(-len(content) % 512)
    with tarfile.open(fileobj=io.BytesIO(entry + header("next") + END), tarinfo=StrictTarInfo) as opened:
        found = opened.next()
        assert found is not None and found.issparse()
        file = opened.extractfile(found)
        assert file is not None and file.read() == b"\0ab\0\0"
        following = opened.next()
        assert following is not None and following.name == "next"
