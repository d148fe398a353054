"""Image archives of every age: links between layers, indexes of several platforms, damage."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairway.model.errors import InvalidParameter
from fairway.runtime.images.bundle import Bundle, choose
from fairway.runtime.images.compression import plain

CONFIG = json.dumps({"rootfs": {"diff_ids": ["sha256:1", "sha256:2"]}}).encode()


def write(path: Path, members: dict[str, bytes | str]) -> Path:
    """Bytes become files, text the target of a symbolic link."""
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return path


def blob(value: Any) -> tuple[str, bytes, dict[str, Any]]:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    digest = hashlib.sha256(data).hexdigest()
    return f"blobs/sha256/{digest}", data, {"digest": f"sha256:{digest}", "size": len(data)}


def test_layers_shared_by_links_as_old_releases_do(tmp_path: Path) -> None:
    manifest = [{"Config": "c.json", "RepoTags": ["a"], "Layers": ["1/layer.tar", "2/layer.tar"]}]
    members: dict[str, bytes | str] = {
        "c.json": CONFIG,
        "1/layer.tar": b"content",
        "2/layer.tar": "../1/layer.tar",
        "manifest.json": json.dumps(manifest).encode(),
    }
    bundle = Bundle(write(tmp_path / "a.tar", members), "amd64")
    (found,) = bundle.candidates()
    assert found.layers == (("sha256:1", "1/layer.tar"), ("sha256:2", "2/layer.tar"))
    assert [name.familiar for name in found.names] == ["a:latest"]
    bundle.extract("2/layer.tar", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"content"
    bundle.close()


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    members: dict[str, bytes | str] = {"a": "b", "b": "a", "c": "../../etc/passwd", "x": b""}
    bundle = Bundle(write(tmp_path / "a.tar", members), "amd64")
    for name in ("a", "c", "nosuch"):
        with pytest.raises(InvalidParameter, match=f"invalid archive: {name} does not exist"):
            bundle.extract(name, tmp_path / "out")
    bundle.close()


@pytest.mark.parametrize(
    ("name", "tags"),
    [("docker.io/library/a:1", ["a:1"]), ("latest", []), ("reg/x", ["reg/x:latest"])],
)
def test_an_oci_layout_is_followed_to_this_architecture(tmp_path: Path, name: str, tags: list[str]) -> None:
    config_path, config, config_ref = blob(CONFIG)
    layer_path, layer, layer_ref = blob(b"layer")
    manifest_path, manifest, manifest_ref = blob({"config": config_ref, "layers": [layer_ref, layer_ref]})
    platform = {"platform": {"os": "linux", "architecture": "arm64"}}
    index_path, index, index_ref = blob({"manifests": [manifest_ref | platform]})
    top = {"manifests": [index_ref | {"annotations": {"org.opencontainers.image.ref.name": name}}]}
    members: dict[str, bytes | str] = {
        config_path: config,
        layer_path: layer,
        manifest_path: manifest,
        index_path: index,
        "index.json": json.dumps(top).encode(),
    }
    bundle = Bundle(write(tmp_path / "a.tar", members), "arm64")
    (found,) = bundle.candidates()
    assert found.config == CONFIG and [member for _, member in found.layers] == [layer_path] * 2
    assert [reference.familiar for reference in found.names] == tags
    bundle.close()
    other = Bundle(tmp_path / "a.tar", "amd64")
    with pytest.raises(InvalidParameter, match="no matching manifest for linux/amd64"):
        other.candidates()
    other.close()


def test_layer_count_must_match(tmp_path: Path) -> None:
    manifest = [{"Config": "c.json", "Layers": ["l"]}]
    members: dict[str, bytes | str] = {"c.json": CONFIG, "manifest.json": json.dumps(manifest).encode()}
    bundle = Bundle(write(tmp_path / "a.tar", members), "amd64")
    with pytest.raises(InvalidParameter, match="layers length mismatch: expected 2, got 1"):
        bundle.candidates()
    bundle.close()


def test_a_lone_manifest_without_platform_is_taken() -> None:
    assert choose([{"digest": "x"}], "amd64") == {"digest": "x"}


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz"])
def test_damaged_compression_is_the_archive_s_fault(kind: str, tmp_path: Path) -> None:
    packed: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "bzip2": bz2.compress,
        "xz": lzma.compress,
    }
    damaged = bytearray(packed[kind](b"content" * 100))
    damaged[len(damaged) // 2] ^= 0xFF
    path = tmp_path / "archive"
    path.write_bytes(damaged)
    with (
        pytest.raises(InvalidParameter, match=r"invalid compressed data|unexpected EOF"),
        plain(path) as stream,
    ):
        stream.read()


def test_a_bundle_that_is_none_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(write(tmp_path / "b.tar", {"x": b"y"}).read_bytes()[:600] + b"no header" * 60)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(InvalidParameter, match="Error processing tar file"):
        Bundle(path, "amd64")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
