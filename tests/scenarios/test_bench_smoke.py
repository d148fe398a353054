"""The benchmark measures everything that it announces and reports it; how fast anything is, is not asked."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.root
BENCH = Path(__file__).parents[2] / "bench" / "bench.py"
MEASURES = "networks,endpoints,containers,exec,inspect,names,cli,ports-0,ports-100,connections,throughput"
"""Not the large ones, which differ in numbers only."""
WAYS = ("from another host", "from 127.0.0.1", "container to container")
QUANTITIES = {
    "ms": [
        *("network create", "network remove", "network remove, until it is gone", "connect", "disconnect"),
        *("container create", "container start", "container create + start", "container remove (force)"),
        *("exec (true)", "container inspect", "network list", "CLI network ls, wall", "CLI network ls, CPU"),
        *("start with no ports", "start with 100 ports", "stop with 100 ports"),
    ],
    "MB": ["memory added by 100 ports", "memory of all processes, 100 ports"],
    "1/s": ["DNS queries (hit)", *(f"connections {way}" for way in WAYS)],
    "µs": [f"latency {way}" for way in WAYS],
    "Gbit/s": [f"throughput {way}" for way in WAYS],
}


def test_smoke(tmp_path: Path) -> None:
    options = ["--quick", "--engines", "fairway", "--measures", MEASURES, "--output", str(tmp_path)]
    done = subprocess.run([sys.executable, BENCH, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    data = json.loads(next(tmp_path.glob("*.json")).read_text())
    assert list(data["engines"]) == ["fairway"]
    for unit, quantities in QUANTITIES.items():
        assert {row["quantity"] for row in data["rows"] if row["unit"] == unit} == set(quantities)
    for row in data["rows"]:
        assert len(row["samples"]["fairway"]) == 2
        assert min(row["samples"]["fairway"]) > 0
    table = next(tmp_path.glob("*.md")).read_text()
    assert all(f"| {quantity}, ms " in table for quantity in QUANTITIES["ms"])
    assert table in done.stdout
