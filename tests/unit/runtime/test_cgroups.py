"""Whose processes they are, whatever these call themselves."""

import subprocess
import sys

import pytest

from fairway.runtime import cgroups


@pytest.mark.parametrize("name", [rb"\xff", rb") Z 1"])
def test_a_process_may_call_itself_as_it_likes(name: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "of_process", lambda _: {"pids": "/docker/c1"})
    program = f"open('/proc/self/comm', 'wb').write(b'{name.decode()}'); print(flush=True); input()"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        assert cgroups.holds(process.pid, "c1")
        assert not cgroups.holds(process.pid, "c2")
        process.stdin.close()
