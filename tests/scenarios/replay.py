"""Replays a transcript on a host: types its commands, compares what is printed with what is expected.

A step has ``run`` (a command of the host, or with ``node: outside`` of the neighbour on its uplink) or ``in``
(a container) plus ``run``, and ``expect``: ``re:`` must be found, ``not:`` must not (Python regular
expressions, over lines), ``rc=N``, ``rc!=N``. ``capture`` keeps a group for later steps as ``${NAME}``;
``retry`` polls for that many seconds; ``tty: keep`` leaves the command running on a terminal of its own;
``manual`` steps need a machine that this is not.

The transcripts read Docker's rules with ``iptables``. Fairway's are in a table of nftables that the program
does not see, so ``iptables …`` is typed as ``fairway rules --as iptables …``, which tells the same facts of
what that table holds, and ``iptables-save …`` as ``fairway rules --as iptables-save …``.
"""

import contextlib
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from daemon_host import NODE_IP, NODE_NAME, OUTSIDE_IP, Host

_DAEMON_JSON = "/etc/docker/daemon.json"
_IPTABLES = re.compile(r"^(ip6?tables(?:-save)?)(?=\s|$)")


@contextlib.contextmanager
def configured(host: Host, scenario: dict[str, Any]) -> Iterator[None]:
    """The daemon that a scenario asks for, on a host that is prepared for it; afterwards the usual one.

    ``daemon`` are its options, ``daemon_json`` the content of its configuration file, ``pre`` commands typed
    before it starts. Forwarding is off at its start.
    """
    if not {"daemon", "daemon_json", "pre"} & scenario.keys():
        yield
        return
    host.stop_daemon()
    before = host.configuration.read_text()
    host.configuration.write_text(json.dumps(scenario.get("daemon_json", {})))
    for command in ("sysctl -qw net.ipv4.ip_forward=0", *scenario.get("pre", ())):
        host.ok(command)
    try:
        host.start_daemon(*shlex.split(scenario.get("daemon", "")))
        yield
        host.ok("docker ps -aq | xargs -r docker rm -f")
    finally:
        host.stop_daemon()
        host.configuration.write_text(before)
        host.start_daemon()


class Replay:
    def __init__(self, host: Host, client: str) -> None:
        """``client`` is the program to type instead of ``docker``."""
        self._host = host
        self._client = client
        self._variables = {"OUTSIDE_IP": OUTSIDE_IP, "NODE_IP": NODE_IP, "NODE_NAME": NODE_NAME}
        self._terminals: list[tuple[subprocess.Popen[bytes], int]] = []

    def scenario(self, scenario: dict[str, Any]) -> None:
        """All steps, then the clean-up, whatever happened."""
        try:
            for number, step in enumerate(scenario["steps"], 1):
                if not step.get("manual"):
                    self._step(f"{scenario['id']} step {number}", step)
        finally:
            self._close_terminals()
            for command in () if scenario.get("keep") else scenario.get("cleanup", ()):
                self._host.run(self._mine(self._filled(command)))

    def _step(self, name: str, step: dict[str, Any]) -> None:
        command = self._command(step)
        if step.get("tty") == "keep":
            self._open_terminal(command)
            return
        deadline = time.monotonic() + step.get("retry", 0)
        while True:
            done = self._host.run(command, outside=step.get("node") == "outside")
            output = done.stdout.replace("\r", "")
            problem = self._problem(step.get("expect", ()), done.returncode, output)
            if problem is None or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        assert problem is None, f"{name}: {problem}\n$ {command}\nexit {done.returncode}\n{output}"
        for variable, pattern in step.get("capture", {}).items():
            found = re.search(self._expected(pattern), output, re.MULTILINE)
            assert found, f"{name}: cannot capture {variable} by {pattern}\n{output}"
            self._variables[variable] = found[1]

    def _command(self, step: dict[str, Any]) -> str:
        command = re.sub(r"\bsudo ", "", self._filled(step["run"]))
        command = command.replace(_DAEMON_JSON, str(self._host.configuration))
        if "in" in step:
            return f"{self._client} exec {step['in']} sh -c {shlex.quote(command)}"
        return self._mine(_IPTABLES.sub(r"fairway rules --as \1", command))

    def _mine(self, command: str) -> str:
        return re.sub(r"\bdocker(?= )", self._client, command)

    def _filled(self, text: str) -> str:
        return re.sub(r"\$\{(\w+)\}", lambda m: self._variables.get(m[1], m[0]), text)

    def _expected(self, pattern: str) -> str:
        filled = re.sub(
            r"\$\{(\w+)\}",
            lambda m: re.escape(self._variables[m[1]]) if m[1] in self._variables else m[0],
            pattern,
        )
        return re.sub(r"\bdocker (?=network)", f"{self._client} ", filled)

    def _problem(self, expectations: list[str], code: int, output: str) -> str | None:
        for expectation in expectations:
            kind, _, rest = expectation.partition(":")
            if kind == "re" and not re.search(self._expected(rest), output, re.MULTILINE):
                return f"not found: {self._expected(rest)}"
            if kind == "not" and re.search(self._expected(rest), output, re.MULTILINE):
                return f"found, but must not be: {self._expected(rest)}"
            if expectation.startswith("rc=") and code != int(expectation[3:]):
                return f"expected exit {expectation[3:]}"
            if expectation.startswith("rc!=") and code == int(expectation[4:]):
                return f"expected another exit than {expectation[4:]}"
        return None

    def _open_terminal(self, command: str) -> None:
        master, slave = pty.openpty()
        process = subprocess.Popen(
            [*self._host.enter(), "bash", "-c", f"exec {command}"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=self._host.environment() | {"TERM": "xterm"},
            start_new_session=True,
        )
        os.close(slave)
        self._terminals.append((process, master))
        if named := re.search(r"--name (\S+)", command):  # as a person waits for the prompt
            running = f"docker inspect -f '{{{{.State.Running}}}}' {named[1]} | grep -q true"
            deadline = time.monotonic() + 10
            while self._host.run(running).returncode and time.monotonic() < deadline:
                time.sleep(0.05)

    def _close_terminals(self) -> None:
        for process, master in self._terminals:
            with contextlib.suppress(OSError):
                os.write(master, b"exit\r")
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            os.close(master)
        self._terminals.clear()
