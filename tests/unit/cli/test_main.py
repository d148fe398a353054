"""The program as a whole, where it cannot do what it was told."""

import subprocess
import sys
from pathlib import Path


def test_output_that_cannot_be_written() -> None:
    command = [sys.executable, "-c", "from fairway.cli.main import main; raise SystemExit(main(['--help']))"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "fairway: [Errno 28] No space left on device\n")
