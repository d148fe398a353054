"""Image archives whose documents are not what they should be, whatever carries them."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from fairway.model.errors import Fault, InvalidParameter
from fairway.runtime.images import compression, configuration
from fairway.runtime.images.bundle import Bundle
from fuzz.archives import archives, packed, tar
from fuzz.documents import ANYTHING
from fuzz.running import fuzz

NAMES = st.sampled_from(
    ("c.json", "l.tar", "manifest.json", "../c.json", "/c.json", "", ".", "blobs", "nosuch")
)
DIGESTS = st.sampled_from(("sha256:a", "sha256:" + "a" * 64, "sha256:../../x", "md5:x", "", "a"))
CONFIGURATIONS = st.fixed_dictionaries(
    {"rootfs": st.one_of(st.fixed_dictionaries({"diff_ids": st.lists(DIGESTS, max_size=2)}), ANYTHING)},
    optional={"config": ANYTHING, "history": ANYTHING, "created": ANYTHING, "os": ANYTHING},
)
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "Config": NAMES,
        "Layers": st.lists(NAMES, max_size=2),
        "RepoTags": st.lists(NAMES, max_size=2),
    },
)
DESCRIPTORS = st.fixed_dictionaries(
    {}, optional={"digest": DIGESTS, "platform": ANYTHING, "annotations": ANYTHING, "mediaType": ANYTHING}
)
INDEXES = st.fixed_dictionaries(
    {"manifests": st.one_of(st.lists(st.one_of(DESCRIPTORS, ANYTHING), max_size=2), ANYTHING)},
    optional={
        "config": st.one_of(DESCRIPTORS, ANYTHING),
        "layers": st.one_of(st.lists(DESCRIPTORS, max_size=2), ANYTHING),
    },
)
DEEP = st.sampled_from((b"[" * 100_000, b'{"rootfs":' * 50_000, b"", b"\xff", b"{"))


def _bytes(documents: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    return st.one_of(documents.map(lambda value: json.dumps(value).encode()), DEEP)


def _bundle(members: dict[str, bytes]) -> bytes:
    """With an index's blobs under the names that lead to them."""
    blob = members.get("c.json", b"")
    return tar(
        *members.items(), (f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}", blob), ("blobs/sha256/a", blob)
    )


BUNDLES = st.fixed_dictionaries(
    {},
    optional={
        "manifest.json": _bytes(st.one_of(st.lists(ENTRIES, max_size=2), ANYTHING)),
        "index.json": _bytes(st.one_of(INDEXES, ANYTHING)),
        "c.json": _bytes(st.one_of(CONFIGURATIONS, INDEXES, ANYTHING)),
        "l.tar": st.just(b"layer"),
    },
).map(_bundle)


def test_a_bundle_is_read_or_refused(tmp_path: Path) -> None:
    file, out = tmp_path / "bundle", tmp_path / "out"

    def check(data: bytes) -> None:
        file.write_bytes(data)
        with suppress(InvalidParameter):
            bundle = Bundle(file, "amd64")
            try:
                for candidate in bundle.candidates():
                    document = configuration.parse(candidate.config)
                    configuration.created(document)
                    for _, member in candidate.layers:
                        bundle.extract(member, out)
            finally:
                bundle.close()

    fuzz(check, st.one_of(BUNDLES, archives()), 100)


def test_an_image_of_any_configuration_is_listed(tmp_path: Path) -> None:
    """What was accepted is shown to everybody: nothing in it may break that."""
    from fairway.api.shapes import image_inspect, image_summary
    from fairway.runtime.images.index import Index
    from fairway.runtime.images.layers import LayerStore

    root = tmp_path / "images"
    (root / "tmp").mkdir(parents=True)
    index = Index(root, LayerStore(root, root / "tmp"))

    def check(data: bytes) -> None:
        with suppress(Fault):
            image = index.add(data, (), 0)
            image_summary(image, (1, 51), tags=image.tags)
            image_inspect(image, (1, 51), driver="overlay2")

    fuzz(check, _bytes(CONFIGURATIONS), 100)


def test_damaged_compression_is_told(tmp_path: Path) -> None:
    file = tmp_path / "archive"

    def check(case: tuple[str, bytes, int, int]) -> None:
        how, data, at, bit = case
        compressed = bytearray(packed(data, how))
        if compressed and bit < 8:
            compressed[at % len(compressed)] ^= 1 << bit
        else:
            del compressed[at % (len(compressed) + 1) :]
        file.write_bytes(compressed)
        with suppress(InvalidParameter), compression.plain(file) as stream:
            while stream.read(1 << 16):
                pass

    kinds = st.sampled_from(("gzip", "bzip2", "xz", "zstd"))
    fuzz(check, st.tuples(kinds, st.binary(max_size=2000), st.integers(0, 5000), st.integers(0, 9)), 150)
