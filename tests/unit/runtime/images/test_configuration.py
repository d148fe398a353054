"""Configurations of strangers' images: one that cannot be shown must not be taken in."""

import json
from typing import Any

import pytest

from fairway.model.errors import InvalidParameter
from fairway.runtime.images import configuration, manifest


@pytest.mark.parametrize(
    "document",
    [
        {"config": True},
        {"config": {"Labels": "x"}},
        {"config": {"Cmd": "sh"}},
        {"history": [None]},
        {"history": {"a": 1}},
        {"rootfs": []},
        {"rootfs": {"diff_ids": [1]}},
        {"author": 1},
        {"architecture": []},
    ],
)
def test_wrong_types(document: dict[str, Any]) -> None:
    whole = {"rootfs": {"diff_ids": ["sha256:a"]}} | document
    with pytest.raises(InvalidParameter, match="invalid image"):
        configuration.parse(json.dumps(whole).encode())


def test_what_old_releases_wrote() -> None:
    document = {
        "rootfs": {"type": "layers", "diff_ids": None},
        "config": {"Cmd": None, "Labels": None, "Unknown": 1, "ExposedPorts": {"80/tcp": {}}},
        "history": [{"created_by": "sh", "empty_layer": True}],
        "container_config": {"Cmd": ["x"]},
    }
    assert configuration.parse(json.dumps(document).encode()) == document


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"rootfs":' * 100_000, b"{", b"1"])
def test_no_documents(data: bytes) -> None:
    with pytest.raises(InvalidParameter, match="invalid image configuration"):
        configuration.parse(data)


@pytest.mark.parametrize(
    "data", [b'{"manifests": [null]}', b'{"layers": {}}', b'{"config": 1}', b'{"a":' + b"[" * 100_000]
)
def test_manifests_of_the_wrong_shape(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|Expected"):
        manifest.decode(data)
