"""``fairway run``, ``attach`` and ``exec`` at work: input, terminals, signals and exit codes."""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.canned_answers import CONTAINER, ID, ROUTES, frame
from contract.canned_engine import CannedEngine, Error, Raw, Request, Upgrade
from terminal import Terminal

FAIRWAY = str(Path(sys.executable).parent / "fairway")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[CannedEngine]:
    with CannedEngine(tmp_path / "s", dict(ROUTES)) as running:
        yield running


def fairway(engine: CannedEngine, *words: str, given: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    command = [FAIRWAY, "-H", engine.host, *words]
    return subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)


def wait_for(condition: Callable[[], Any]) -> None:
    """Until ``condition`` holds; the test's own time limit ends a wait in vain."""
    ticking = threading.Event()
    while not condition():
        ticking.wait(0.005)


def echo(connection: socket.socket) -> None:
    """A container that answers what it read, once its input has ended."""
    read = b""
    while more := connection.recv(4096):
        read += more
    connection.sendall(frame(1, b"read " + read))


def test_input_is_sent_and_its_end_told(engine: CannedEngine) -> None:
    engine.routes["POST", "/containers/*/attach"] = Upgrade(talk=echo)
    done = fairway(engine, "run", "-i", "busybox", "cat", given=b"hello")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"read hello", b"")


def test_streams_stay_apart_and_the_status_is_the_containers(engine: CannedEngine) -> None:
    done = fairway(engine, "run", "busybox")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
    assert fairway(engine, "exec", "web", "ls").returncode == 7


def test_attach_and_wait_come_before_start(engine: CannedEngine) -> None:
    fairway(engine, "run", "--rm", "busybox")
    steps = [(r.method, r.path.rpartition("/")[2]) for r in engine.requests]
    assert steps == [("POST", "create"), ("POST", "attach"), ("POST", "wait"), ("POST", "start")]
    assert engine.sent("POST", f"/containers/{ID}/wait")[0].query == {"condition": ["removed"]}


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        ('exec: "nope": executable file not found in $PATH', 127),
        ("exec /x: no such file or directory", 127),
        ('exec: "/etc": permission denied', 126),
        ('exec: "/etc": is a directory', 126),
        ("driver failed programming external connectivity: port is already allocated", 125),
    ],
)
def test_a_container_that_cannot_start(engine: CannedEngine, problem: str, code: int) -> None:
    engine.routes["POST", "/containers/*/start"] = Error(400, problem)
    done = fairway(engine, "run", "busybox", "nope")
    advice = "\n\nRun 'fairway run --help' for more information\n"
    assert done.returncode == code
    assert done.stderr.decode() == f"fairway: Error response from daemon: {problem}{advice}"


def test_a_missing_image_is_pulled_once(engine: CannedEngine) -> None:
    pulled: list[Request] = []

    def create(_: Request) -> Any:
        return {"Id": ID} if pulled else Error(404, "No such image: busybox:latest")

    def pull(request: Request) -> Any:
        pulled.append(request)
        return Raw(b'{"status":"Pulling from library/busybox","id":"latest"}\n', "application/json")

    engine.routes["POST", "/containers/create"] = create
    engine.routes["POST", "/images/create"] = pull
    done = fairway(engine, "run", "-d", "busybox")
    assert done.stdout.decode() == f"{ID}\n"
    assert done.stderr.decode().splitlines() == [
        "Unable to find image 'busybox:latest' locally",
        "latest: Pulling from library/busybox",
    ]
    assert len(pulled) == 1


def test_a_failing_pull_ends_the_run(engine: CannedEngine) -> None:
    engine.routes["POST", "/containers/create"] = Error(404, "No such image: x:latest")
    engine.routes["POST", "/images/create"] = Error(404, "pull access denied for x")
    done = fairway(engine, "run", "-d", "x")
    assert done.returncode == 125
    assert b"fairway: Error response from daemon: pull access denied for x\n\nRun 'fairway run" in done.stderr


def test_a_terminal_is_demanded_for_an_interactive_tty(engine: CannedEngine) -> None:
    done = fairway(engine, "run", "-it", "busybox")
    assert (done.returncode, done.stderr) == (1, b"the input device is not a TTY\n")
    assert engine.requests == []


def test_signals_go_to_the_container(engine: CannedEngine) -> None:
    ending = threading.Event()

    def kill(_: Request) -> None:
        ending.set()

    engine.routes["POST", "/containers/*/attach"] = Upgrade(talk=lambda _: _until(ending))
    engine.routes["POST", "/containers/*/kill"] = kill
    with subprocess.Popen([FAIRWAY, "-H", engine.host, "run", "busybox"]) as running:
        wait_for(lambda: engine.sent("POST", f"/containers/{ID}/start"))
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 3
    assert engine.sent("POST", f"/containers/{ID}/kill")[0].query == {"signal": ["SIGTERM"]}


def _until(ending: threading.Event) -> None:
    ending.wait(30)


def greet(connection: socket.socket) -> None:
    """A terminal program: a prompt, then everything typed comes back; Ctrl-D ends it."""
    connection.sendall(b"prompt> ")
    while typed := connection.recv(4096):
        connection.sendall(b"<" + typed + b">")
        if b"\x04" in typed:
            return


def test_a_terminal_is_raw_sized_and_restored(engine: CannedEngine) -> None:
    engine.routes["POST", "/containers/*/attach"] = Upgrade(talk=greet)
    engine.routes["POST", "/containers/*/resize"] = None
    with Terminal([FAIRWAY, "-H", engine.host, "run", "-it", "busybox"]) as terminal:
        terminal.shows("prompt> ")
        resized = f"/containers/{ID}/resize"
        wait_for(lambda: engine.sent("POST", resized))
        assert engine.sent("POST", resized)[0].query == {"h": ["40"], "w": ["100"]}
        terminal.type(b"\x03")
        terminal.shows("<\x03>")
        terminal.resize(50, 120)
        wait_for(lambda: engine.sent("POST", resized)[-1].query == {"h": ["50"], "w": ["120"]})
        terminal.type(b"\x04")
        assert terminal.ends() == 3
        assert terminal.attributes() == terminal.before


@pytest.mark.parametrize(
    ("options", "keys", "typed"),
    [([], b"\x10\x11", b"a\x10"), (["--detach-keys", "ctrl-x,y"], b"\x18y", b"a\x18")],
)
def test_detaching_leaves_the_container(
    engine: CannedEngine, options: list[str], keys: bytes, typed: bytes
) -> None:
    engine.routes["POST", "/containers/*/attach"] = Upgrade(talk=greet)
    engine.routes["POST", "/containers/*/resize"] = None
    with Terminal([FAIRWAY, "-H", engine.host, "run", "-it", *options, "busybox"]) as terminal:
        terminal.shows("prompt> ")
        terminal.type(typed + b"b")
        terminal.shows(typed.decode() + "b")
        terminal.type(keys)
        assert terminal.ends() == 0


def test_attach_says_that_it_was_detached(engine: CannedEngine) -> None:
    config = CONTAINER["Config"] | {"Tty": True, "OpenStdin": True}
    engine.routes["GET", "/containers/web/json"] = CONTAINER | {"Config": config}
    engine.routes["POST", "/containers/*/attach"] = Upgrade(talk=greet)
    engine.routes["POST", "/containers/*/resize"] = None
    with Terminal([FAIRWAY, "-H", engine.host, "attach", "web"]) as terminal:
        terminal.shows("prompt> ")
        terminal.type(b"\x10\x11")
        terminal.shows("read escape sequence")
        assert terminal.ends() == 1


def test_output_into_a_closed_pipe_ends_quietly(engine: CannedEngine) -> None:
    line = f"{FAIRWAY} -H {engine.host} network inspect web10 | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() in ("0", "141")


def test_completion_offers_commands_options_and_names(engine: CannedEngine) -> None:
    def offered(*words: str) -> list[str]:
        lines = fairway(engine, "__complete", "--", *words).stdout.decode().splitlines()
        return [line.partition("\t")[0] for line in lines]

    assert offered("net") == ["network"]
    assert offered("network", "c") == ["connect", "create"]
    assert offered("network", "create", "--ip") == [
        "--ip-range",
        "--ipam-driver",
        "--ipam-opt",
        "--ipv4",
        "--ipv6",
    ]
    assert offered("network", "rm", "web") == ["web10", "web2"]
    assert offered("network", "connect", "web10", "") == ["web", "db", "web/db"]
    assert offered("stop", "d") == ["db"]
    assert offered("run", "--name", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_call_back(engine: CannedEngine, shell: str) -> None:
    script = fairway(engine, "completion", shell).stdout
    assert b"fairway __complete --" in script
    if shell == "bash":
        check = 'COMP_WORDS=(fairway network rm web1) COMP_CWORD=3; _fairway; echo "${COMPREPLY[@]}"'
        text = script.decode() + check
        environment = {"PATH": f"{Path(FAIRWAY).parent}:/usr/bin:/bin", "DOCKER_HOST": engine.host}
        done = subprocess.run(
            ["bash", "-c", text], env=environment, capture_output=True, text=True, check=False
        )
        assert done.stdout == "web10\n"
