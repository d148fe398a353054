"""Writing an archive into a directory: what names the directory itself."""

import io
import tarfile
from pathlib import Path

import pytest

from fairway.runtime.copying.extract import Extractor, Refused


def archive(kind: bytes) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as opened:
        entry = tarfile.TarInfo(".")
        entry.type, entry.linkname = kind, "elsewhere"
        opened.addfile(entry)
    out.seek(0)
    return out


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE])
def test_nothing_replaces_the_destination(tmp_path: Path, kind: bytes) -> None:
    (tmp_path / "kept").write_text("kept")
    Extractor(str(tmp_path), keep_kinds=False, owner=None).run(archive(kind))
    assert (tmp_path / "kept").read_text() == "kept"


def test_a_kind_that_is_to_be_kept_is_told(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot overwrite directory"):
        Extractor(str(tmp_path), keep_kinds=True, owner=None).run(archive(tarfile.REGTYPE))
