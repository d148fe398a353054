"""A conmon is killed: its container is, too, and is reported and restarted as Docker does it."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from daemon_host import Host, running_host

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running_host(tmp_path_factory.mktemp("monitor")) as made:
        yield made


def monitor(host: Host, name: str) -> int:
    """The pid of a container's conmon."""
    container = host.ok(f"fairway inspect -f '{{{{.Id}}}}' {name}").strip()
    return int(host.ok(f"cat /run/fairway/bundles/{container}/conmon.pid"))


def shown(host: Host, name: str) -> str:
    what = "{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}} {{.RestartCount}}"
    return host.ok(f"fairway inspect -f '{what}' {name}").strip()


def becomes(host: Host, name: str, expected: str) -> None:
    deadline = time.monotonic() + 20
    while (found := shown(host, name)) != expected:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def client(host: Host, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*host.enter(), "fairway", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=host.environment(),
        text=True,
    )


def test_everybody_learns_it(host: Host) -> None:
    command = ("sh", "-c", "echo ready; sleep 600")
    with client(host, "run", "--name", "one", "busybox", *command) as attached:
        assert attached.stdout
        assert attached.stdout.readline() == "ready\n"
        with client(host, "wait", "one") as waiting, client(host, "logs", "-f", "one") as logs:
            assert logs.stdout
            assert logs.stdout.readline() == "ready\n"
            pid = host.ok("fairway inspect -f '{{.State.Pid}}' one").strip()
            os.kill(monitor(host, "one"), signal.SIGKILL)
            ends = [process.communicate(timeout=20)[0] for process in (attached, waiting, logs)]
    assert ends == ["", "137\n", ""]
    assert attached.returncode == 137
    assert shown(host, "one") == "exited 137 false 0"
    assert host.run(f"grep -aq sleep /proc/{pid}/cmdline").returncode != 0
    host.ok("fairway start one && fairway rm -f one")


def test_the_restart_policy_acts(host: Host) -> None:
    host.ok("fairway run -d --name two --restart always -p 80 busybox sleep 600")
    ports = host.ok("fairway port two")
    os.kill(monitor(host, "two"), signal.SIGKILL)
    becomes(host, "two", "running 0 false 1")
    assert host.ok("fairway port two") == ports
    host.ok("fairway rm -f two")


def test_while_the_daemon_is_away(host: Host) -> None:
    host.ok("fairway run -d --name three busybox sleep 600")
    host.ok("fairway run -d --name four --restart always busybox sleep 600")
    host.ok("fairway run -d --name five --rm busybox sleep 600")
    host.ok("fairway run -d --name six busybox sh -c 'sleep 2; exit 6'")
    monitors = [monitor(host, name) for name in ("three", "four", "five")]
    exits = f"/run/fairway/exits/{host.ok('fairway inspect -f {{.Id}} six').strip()}"
    host.stop_daemon(signal.SIGKILL)
    for pid in monitors:
        os.kill(pid, signal.SIGKILL)
    host.ok(f"until [ -e {exits} ]; do sleep 0.05; done")
    host.start_daemon()
    becomes(host, "three", "exited 137 false 0")
    becomes(host, "four", "running 0 false 1")
    assert shown(host, "six") == "exited 6 false 0"
    while host.ok("fairway ps -aq -f name=five"):
        time.sleep(0.05)
    host.ok("fairway rm -f three four six")
