"""Tar archives that mean no good: their names, kinds, sizes and attributes, and the bytes in between."""

import bz2
import gzip
import io
import lzma
import shutil
import subprocess
import tarfile

from hypothesis import strategies as st

NAMES = st.sampled_from((
    "a", "b", "d", "d/a", "d/e/f", "./a", "/a", "//a", "..", "../a", "../../../outside/x", "/../outside/x", "d/../../outside/y", "a/b",
    ".", "", "/", "l", "l/x", "l/../x", ".wh.a", "d/.wh.a", ".wh..wh..opq", "d/.wh..wh..opq", ".wh.", ".wh..", ".wh...", ".wh..wh.x", "x" * 255,
    "x" * 256, "y/" * 40 + "z", "\udcff", "ü", "new\nline", "\x7f", "etc/passwd", "dev/null", "proc/self", "a" * 99 + "/" + "b" * 150,
))  # fmt: skip
TARGETS = st.sampled_from(
    (
        "a",
        "d",
        "/",
        "..",
        "../../outside",
        "/outside",
        "/etc/passwd",
        "l",
        "nosuch",
        ".",
        "",
        "x" * 4096,
        "d/a",
        "\udcff",
    )
)
KINDS = st.sampled_from(tuple(b"0" * 16 + b"5" * 12 + b"2" * 6 + b"1111333346677\0\0gLKxSVZ"))
NUMBERS = st.sampled_from((0,) * 20 + (1, 1000, 2**31, 2**32 - 1, 2**40, -1, 2**63))
TIMES = st.sampled_from((0,) * 12 + (1_600_000_000, -1, 2**33, 2**40, 2**62, -(2**40), 1.5))
ATTRIBUTES = st.sampled_from(("SCHILY.xattr.user.a", "SCHILY.xattr.security.capability", "SCHILY.xattr.trusted.overlay.opaque", "SCHILY.xattr.", "SCHILY.xattr.system.posix_acl_access", "SCHILY.xattr.nosuch.x", "path", "linkpath", "size", "uid", "gid", "mtime", "hdrcharset", "GNU.sparse.major", "GNU.sparse.minor", "GNU.sparse.realsize", "GNU.sparse.size", "GNU.sparse.map", "GNU.sparse.name", "GNU.sparse.numblocks", "comment"))  # fmt: skip
VALUES = st.sampled_from(
    (
        "",
        "1",
        "0",
        "-1",
        "-1024",
        "99999999999999999999",
        "1e999",
        "nan",
        "inf",
        "x",
        "../../outside/z",
        "BINARY",
        "utf-99",
        "0,1,2",
        "1,2,x",
        "\udcff",
        "a" * 300,
        "9" * 5000,
    )
)


@st.composite
def entries(draw: st.DrawFn) -> bytes:
    """One entry, its header right or nearly so."""
    entry = tarfile.TarInfo(draw(NAMES))
    entry.type = bytes((draw(KINDS),))
    entry.linkname = draw(TARGETS)
    entry.mode = draw(st.sampled_from((0o644, 0o755, 0, 0o7777, 0o177777)))
    entry.uid, entry.gid = draw(NUMBERS), draw(NUMBERS)
    entry.mtime = draw(TIMES)
    entry.devmajor, entry.devminor = draw(NUMBERS) & 0xFFFF, draw(NUMBERS) & 0xFFFF
    data = draw(
        st.one_of(
            st.binary(max_size=30),
            st.sampled_from(
                (b"x" * 1000, b"9" * 3000, b"11 path=abc\n", b"0 a=b\n", b"99999 a=b\n", b"3\n1\n")
            ),
        )
    )
    if entry.type in b"123456" and draw(st.integers(0, 9)):
        data = b""  # what has no content
    entry.size = draw(st.sampled_from((len(data),) * 60 + (0, 1, 2**20, 2**40, 2**62, -512, -1)))
    if draw(st.integers(0, 3)) == 0:
        entry.pax_headers = draw(st.dictionaries(ATTRIBUTES, VALUES, max_size=3))
    form = draw(st.integers(0, 2))  # USTAR, GNU, pax
    try:
        head = entry.tobuf(form, "utf-8", "surrogateescape")  # type: ignore[arg-type]
    except (ValueError, UnicodeError):
        head = tarfile.TarInfo("plain").tobuf()
    return head + data + bytes(-len(data) % 512)


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """Entries; now and then damaged, cut, or compressed."""
    data = bytearray(
        b"".join(draw(st.lists(entries(), max_size=6))) + bytes(draw(st.sampled_from((1024,) * 6 + (512, 0))))
    )
    if data and draw(st.integers(0, 7)) == 0:
        for at, value in draw(
            st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=4)
        ):
            data[at] = value
    if draw(st.integers(0, 15)) == 0:
        del data[draw(st.integers(0, len(data))) :]
    archive = bytearray(
        packed(bytes(data), draw(st.sampled_from(("",) * 8 + ("gzip", "bzip2", "xz", "zstd"))))
    )
    if archive and draw(st.integers(0, 15)) == 0:
        archive[draw(st.integers(0, len(archive) - 1))] ^= 1 << draw(st.integers(0, 7))
    return bytes(archive)


def packed(data: bytes, how: str) -> bytes:
    match how:
        case "gzip":
            return gzip.compress(data, 1, mtime=0)
        case "bzip2":
            return bz2.compress(data, 1)
        case "xz":
            return lzma.compress(data, preset=0)
        case "zstd" if shutil.which("zstd"):
            return subprocess.run(["zstd", "-q", "-1"], input=data, capture_output=True, check=True).stdout
    return data


def tar(*members: tuple[str, bytes]) -> bytes:
    """A sound archive of files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()
