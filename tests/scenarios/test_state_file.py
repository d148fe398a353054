"""A daemon whose state file is damaged: it says so, harms nothing, and comes back as it tells."""

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from daemon_host import Host, running_host

pytestmark = pytest.mark.root


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(8192))


def nonsense(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE objects SET data = '{' WHERE kind = 'container'")


def refused(host: Host) -> str:
    done = host.run(
        f"fairwayd --host={host.url} --data-root={host.directory}/data --config-file={host.configuration}"
    )
    assert done.returncode == 1, done.stdout
    return done.stdout[done.stdout.index("failed to start daemon: ") :]


def test_it_comes_back_from_the_backup(tmp_path: Path) -> None:
    state = tmp_path / "data/fairway.db"
    with running_host(tmp_path) as host:
        host.ok("fairway network create front")
        host.ok("fairway run -d --name db --network front busybox sleep 600")
        host.ok("fairway run -d --name web --network front -p 8080:80 busybox nc -ll -p 80 -e echo hello")
        shown = (
            "fairway ps --format '{{.ID}} {{.Names}} {{.Ports}}'; fairway inspect -f '{{.State.Pid}}' db web"
        )
        before = host.ok(shown)
        harms: dict[str, Callable[[Path], None]] = {"file is not a database": garbage, "container ": nonsense}
        for text, harm in harms.items():
            host.stop_daemon()
            harm(state)
            damaged = state.read_bytes()
            message = refused(host)
            assert message.startswith(f"failed to start daemon: the state file {state} is damaged: {text}")
            assert "Traceback" not in message
            assert state.read_bytes() == damaged
            assert host.ok("busybox nc -w 3 127.0.0.1 8080 </dev/null") == "hello\n"
            host.ok(f"nsenter -t {before.split()[-1]} -n busybox nslookup db. 127.0.0.11")
            host.ok("set -e\n" + "\n".join(line for line in message.splitlines() if line.startswith("    ")))
            host.start_daemon()
            assert host.ok(shown) == before
            host.ok("fairway exec web ping -c 1 -W 3 db")
        backup = Path(f"{state}.backup")
        assert stat.S_IMODE(backup.stat().st_mode) == stat.S_IMODE(state.stat().st_mode) == 0o600
