"""Directories that the engine keeps for containers and volumes."""

import os
from pathlib import Path

import pytest

from fairway.runtime.files import HostFiles


def test_a_file_deleted_while_a_volume_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = HostFiles(tmp_path)
    data = Path(files.create_volume("data"))
    (data / "stays").write_text("1234")
    monkeypatch.setattr(os, "walk", lambda top: [(str(top), [], ["gone", "stays"])])
    assert files.volume_size("data") == 4
