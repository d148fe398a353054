"""Archives of strangers: layers that are unpacked, and what is copied into a container."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import strategies as st

from fairway.runtime.copying import __main__ as copying
from fairway.runtime.images import unpack
from fuzz.archives import archives
from fuzz.running import fuzz

pytestmark = pytest.mark.root
PATIENCE = 20
"""Seconds that no small archive needs."""


def in_child(work: Callable[[], int], stdin: bytes, directory: Path) -> tuple[int, str]:
    """Exit status and standard error of work that leaves its root; the test's own process stays where it is."""
    source, errors = directory / "stdin", directory / "stderr"
    source.write_bytes(stdin)
    child = os.fork()
    if not child:
        code = 99
        try:
            signal.alarm(PATIENCE)
            os.dup2(os.open(source, os.O_RDONLY), 0)
            os.dup2(os.open(errors, os.O_RDWR | os.O_CREAT | os.O_TRUNC), 1)
            os.dup2(1, 2)
            sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
            sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
            code = work()
        except BaseException:  # noqa: BLE001  the child tells it, and ends here
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), errors.read_text(errors="replace")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").write_text("kept")
    return tmp_path


def untouched(place: Path) -> bool:
    outside = place / "outside"
    return [each.name for each in outside.iterdir()] == ["kept"] and (outside / "kept").read_text() == "kept"


def test_a_layer_is_unpacked_or_refused(place: Path) -> None:
    def check(archive: bytes) -> None:
        target = place / "target"
        target.mkdir()
        sys.argv[1:] = [str(target)]
        status, told = in_child(unpack.main, archive, place)
        assert status in (0, 1, 2), (status, told)
        assert len(told.strip().splitlines()) == 1, told
        assert "Traceback" not in told
        assert untouched(place)
        _remove(target)

    words = list(sys.argv)
    try:
        fuzz(check, archives(), 80)
    finally:
        sys.argv[:] = words


def _remove(target: Path) -> None:
    assert os.system(f"rm -rf {target}") == 0


def test_an_archive_is_copied_or_refused(place: Path) -> None:
    def check(case: tuple[bytes, bool, bool]) -> None:
        archive, keep, owned = case
        target = place / "target"
        (target / "d").mkdir(parents=True)
        request = {
            "verb": "write", "root": str(target), "mounts": [], "read_only": False, "path": "/d",
            "keep_kinds": keep, "owner": [1, 1] if owned else None,
        }  # fmt: skip
        status, told = in_child(lambda: copying.main(request), archive, place)
        assert status in (0, 1), (status, told)
        assert len(told.strip().splitlines()) == 1 and told.startswith("{"), told
        assert "Traceback" not in told
        assert untouched(place)
        assert [each.name for each in target.iterdir()] == ["d"], "an entry left the directory"
        _remove(target)

    fuzz(check, st.tuples(archives(), st.booleans(), st.booleans()), 80)
