"""The benchmark measures everything that it announces and reports it; how fast anything is, is not asked."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.root
BENCH = Path(__file__).parents[2] / "bench" / "bench.py"
MILLISECONDS = [
    *("network create", "network remove", "network remove, until it is gone", "connect", "disconnect"),
    *("container create", "container start", "container create + start", "container remove (force)"),
    *("exec (true)", "container inspect", "network list", "CLI network ls, wall", "CLI network ls, CPU"),
]


def test_smoke(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, BENCH, "--quick", "--engines", "fairway", "--output", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    data = json.loads(next(tmp_path.glob("*.json")).read_text())
    assert list(data["engines"]) == ["fairway"]
    assert {row["quantity"] for row in data["rows"] if row["unit"] == "ms"} == set(MILLISECONDS)
    assert [row["quantity"] for row in data["rows"] if row["unit"] == "1/s"] == ["DNS queries (hit)"]
    for row in data["rows"]:
        assert len(row["samples"]["fairway"]) == 2
        assert min(row["samples"]["fairway"]) > 0
    table = next(tmp_path.glob("*.md")).read_text()
    assert all(f"| {quantity}, ms " in table for quantity in MILLISECONDS)
    assert table in done.stdout
