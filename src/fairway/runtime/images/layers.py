"""Layers on disk, each unpacked once, whichever images use it.

``layers/<hex of diff id>/`` holds ``diff/`` (a lower directory of overlayfs), ``blob`` (the archive,
compressed) and ``layer.json``; ``l/<name>`` is a short link to ``diff``, because all lower directories of a
mount must fit into one page of options. A layer is built in ``tmp/`` and renamed into place, so it is there
whole or not.

Layers are unpacked one by one rather than flattened into one tree per image (what umoci does): flattening
would give up sharing and make commit cost as much as the image. The archive is kept because a diff id is the
digest of exact bytes that the tree alone cannot give back; compressed as it came, or with gzip's fastest
level. Docker's tar-split saves that space by storing all headers and rebuilding the archive; it was rejected
as a second reading of every format quirk for a third of the disk.

A layer is kept while an image or a container refers to it, or an operation in progress has pinned it.
"""

import gzip
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from fairway.model.errors import InvalidParameter, NotFound, System
from fairway.runtime import trees
from fairway.runtime.images import compression

CHUNK = 1 << 20
EMPTY = "sha256:" + hashlib.sha256(bytes(1024)).hexdigest()
"""Diff id of an archive without entries; such a layer is left out of a committed image."""


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """What ``layer.json`` says; sizes in bytes."""

    diff_id: str
    size: int
    """Sum of the regular files."""
    archive: int
    """Length of the uncompressed archive."""


class LayerStore:
    """All layers of one store. Methods block and may be called from any thread."""

    def __init__(self, root: Path, temporary: Path) -> None:
        """Adopt what is there; ``temporary`` lies on the same filesystem."""
        self._root, self._links, self._temporary = root / "layers", root / "l", temporary
        self._root.mkdir(parents=True, exist_ok=True)
        self._links.mkdir(exist_ok=True)
        self._lock = threading.Lock()
        self._pins: Counter[str] = Counter()
        self._layers = {
            layer.diff_id: layer
            for path in self._root.glob("*/layer.json")
            for layer in (msgspec.json.decode(path.read_bytes(), type=Layer),)
        }
        self._names: dict[str, str] = {}
        self._adopt_links()

    def get(self, diff_id: str) -> Layer | None:
        return self._layers.get(diff_id)

    def lower(self, diff_ids: Sequence[str]) -> tuple[str, ...]:
        """The lower directories of a mount, topmost first, from diff ids lowest first. Raises NotFound.

        A layer that occurs twice counts where it is highest: overlayfs refuses to see a directory twice, and
        below itself it changes nothing that the upper occurrence does not decide.
        """
        try:
            return tuple(
                dict.fromkeys(str(self._links / self._names[diff_id]) for diff_id in reversed(diff_ids))
            )
        except KeyError as missing:
            raise NotFound(f"layer {missing.args[0]} does not exist") from None

    @contextmanager
    def archive(self, diff_id: str) -> Iterator[BinaryIO]:
        """The layer's uncompressed archive as a stream, ``Layer.archive`` bytes long."""
        with compression.plain(self._path(diff_id) / "blob") as stream:
            yield stream

    @contextmanager
    def pinned(self, diff_ids: Iterable[str]) -> Iterator[None]:
        """Keep these layers, present already or about to be registered, from being collected."""
        pins = Counter(diff_ids)
        with self._lock:
            self._pins += pins
        try:
            yield
        finally:
            with self._lock:
                self._pins -= pins

    def register(self, archive: Path, expected: str = "") -> Layer:
        """Unpack an archive, plain or compressed, unless its layer is there already.

        Raises InvalidParameter when the archive is damaged or its digest is not ``expected``, System when the
        disk or the unpacking process fails. Nothing is left then.
        """
        staging = Path(tempfile.mkdtemp(dir=self._temporary, prefix="layer-"))
        try:
            layer = self._unpack(archive, staging)
            if expected and layer.diff_id != expected:
                raise InvalidParameter(f'invalid diffID: expected "{expected}", got "{layer.diff_id}"')
            (staging / "layer.json").write_bytes(msgspec.json.encode(layer))
            return self._adopt(staging, layer)
        except OSError as error:
            raise System(f"unpacking a layer: {error}") from error
        finally:
            if staging.exists():
                trees.remove(str(staging))

    def collect(self, referenced: Callable[[], set[str]]) -> None:
        """Delete the layers that nobody needs; ``referenced`` is asked while no layer can be pinned."""
        with self._lock:
            keep = referenced() | set(self._pins)
            doomed = []
            for diff_id in self._layers.keys() - keep:
                target = Path(tempfile.mkdtemp(dir=self._temporary, prefix="gone-"))
                self._path(diff_id).rename(target)
                (self._links / self._names.pop(diff_id)).unlink()
                del self._layers[diff_id]
                doomed.append(target)
        for path in doomed:
            trees.remove(str(path))

    def _path(self, diff_id: str) -> Path:
        return self._root / diff_id.removeprefix("sha256:")

    def _unpack(self, archive: Path, staging: Path) -> Layer:
        diff = staging / "diff"
        diff.mkdir(mode=0o755)
        with compression.plain(archive) as source, _keeper(archive, staging / "blob") as keep:
            command = [sys.executable, "-I", "-X", "utf8", "-m", "fairway.runtime.images.unpack", str(diff)]
            with subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            ) as child:
                try:
                    digest, length = _pump(source, child, keep)
                except BaseException:
                    child.kill()
                    raise
                assert child.stdout and child.stderr
                size, message = child.stdout.read(), child.stderr.read().decode(errors="replace").strip()
        match child.returncode:
            case 0:
                return Layer(diff_id=f"sha256:{digest}", size=int(size), archive=length)
            case 1:
                raise InvalidParameter(f"Error processing tar file(exit status 1): {message}")
            case status:
                raise System(f"Error processing tar file(exit status {status}): {message}")

    def _adopt(self, staging: Path, layer: Layer) -> Layer:
        with self._lock:
            present = self._layers.get(layer.diff_id)
            if present is not None:
                return present
            staging.chmod(0o700)
            staging.rename(self._path(layer.diff_id))
            self._layers[layer.diff_id] = layer
            self._link(layer.diff_id)
        return layer

    def _adopt_links(self) -> None:
        for link in self._links.iterdir():
            diff_id = "sha256:" + link.readlink().parent.name
            if diff_id in self._layers:
                self._names[diff_id] = link.name
            else:
                link.unlink()
        for diff_id in self._layers.keys() - self._names.keys():
            self._link(diff_id)

    def _link(self, diff_id: str) -> None:
        """Name a layer by the shortest free prefix of its digest, four digits or more."""
        digits = diff_id.removeprefix("sha256:")
        taken = set(self._names.values())
        name = next(digits[:n] for n in range(4, 65) if digits[:n] not in taken)
        (self._links / name).symlink_to(f"../layers/{digits}/diff")
        self._names[diff_id] = name


def _pump(source: BinaryIO, child: subprocess.Popen[bytes], keep: BinaryIO | None) -> tuple[str, int]:
    """Feed the child; digest and length of what went by. Stops early when the child has given up."""
    digest, length = hashlib.sha256(), 0
    assert child.stdin
    try:
        with child.stdin as sink:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                length += len(chunk)
                if keep is not None:
                    keep.write(chunk)
                sink.write(chunk)
    except BrokenPipeError:
        return "", 0  # its exit status and message tell why
    return digest.hexdigest(), length


@contextmanager
def _keeper(archive: Path, blob: Path) -> Iterator[BinaryIO | None]:
    """Where a plain archive is to be compressed to; one that is compressed is kept by a hard link instead."""
    if compression.kind(archive) != "plain":
        os.link(archive, blob)
        yield None
        return
    with blob.open("wb") as raw, gzip.GzipFile("", "wb", 1, raw, mtime=0) as zipped:
        yield zipped  # type: ignore[misc]
