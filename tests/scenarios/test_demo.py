"""``make demo``: it succeeds, and nothing of it is left, however it ends."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.root
ROOT = Path(__file__).parents[2]
PATIENCE = 60.0


@contextlib.contextmanager
def started(directory: Path) -> "Iterator[subprocess.Popen[str]]":
    with subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / "demo.py")],
        env=os.environ | {"TMPDIR": str(directory), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def read_until(process: "subprocess.Popen[str]", text: str) -> str:
    assert process.stdout
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"{text!r} never came:\n{seen}")


def remaining(directory: Path) -> list[str]:
    """Processes and mounts that name the demonstration's directory."""
    marker = str(directory).encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes() + (entry / "mountinfo").read_bytes()
            except OSError:  # ended meanwhile
                continue
            if marker in words:
                found.append(f"process {entry.name}: {words.partition(b'/')[0]!r}")
    return found


def gone(directory: Path) -> bool:
    deadline = time.monotonic() + PATIENCE
    while remaining(directory) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not remaining(directory)


def test_it_succeeds_and_leaves_nothing(tmp_path: Path) -> None:
    links = os.listdir("/sys/class/net")
    with started(tmp_path) as process:
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "100% packet loss" in output
    assert re.search(r"PING app_container\.app \(172\.\d+\.0\.2\)", output)
    assert re.search(r"web_container ─+●─ \S+ ─+●─ ", output)
    assert os.listdir(tmp_path) == []
    assert remaining(tmp_path) == []
    assert {"docker0", *re.findall(r"\bbr-[0-9a-f]{12}\b", output)} & set(
        os.listdir("/sys/class/net")
    ) <= set(links)
    containers = re.findall(r"^  ([0-9a-f]{64})$", output, re.MULTILINE)
    assert len(containers) == 4  # two networks, two containers
    assert not [p for c in containers for p in Path("/sys/fs/cgroup").glob(f"*/*/{c}")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_takes_everything_down(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path) as process:
        read_until(process, "$ fairway network connect")
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert os.listdir(tmp_path) == []
    assert remaining(tmp_path) == []


def test_killed_it_takes_its_processes_and_namespaces_along(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        seen = read_until(process, "$ fairway network connect")
        process.kill()
    assert gone(tmp_path), remaining(tmp_path)
    for container in re.findall(r"^  ([0-9a-f]{64})$", seen, re.MULTILINE):
        for directory in Path("/sys/fs/cgroup").glob(f"*/*/{container}"):
            directory.rmdir()  # empty: the kernel ended what was in it
