"""Terminals, attached streams, signals and exit codes, each with the stock docker CLI and with fairway.

What is typed and expected is what a person at a Docker host types and sees.
"""

import contextlib
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest

from daemon_host import Host, docker_version, running_host
from terminal import Terminal

pytestmark = pytest.mark.root

PROMPT = r"/ # (\x1b\[(6n|J))?$"
"""The shell's, behind which it asks for the cursor's place or clears the rest of the line."""
DETACH = b"\x10\x11"
CTRL_C, CTRL_D, CTRL_Z = b"\x03", b"\x04", b"\x1a"
LOYAL = "trap 'echo got INT; exit 7' INT; trap 'echo got HUP' HUP; echo ready; while :; do sleep 0.05; done"
"""A shell program that tells the signals it gets."""


class Client:
    """One of the two clients, on a host."""

    def __init__(self, host: Host, program: str) -> None:
        self.host, self.program = host, program

    def words(self, command: str) -> list[str]:
        return [*self.host.enter(), self.program, *shlex.split(command)]

    def terminal(self, command: str) -> Terminal:
        return Terminal(self.words(command), self.host.environment() | {"TERM": "xterm"})

    def pipes(self, command: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        """Run with standard streams that are no terminals; ``given`` and its end are the input."""
        return subprocess.run(
            self.words(command),
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            env=self.host.environment(),
            check=False,
        )

    @contextlib.contextmanager
    def running(self, command: str) -> "Iterator[subprocess.Popen[str]]":
        """The command in the background, its input and output piped."""
        with subprocess.Popen(
            self.words(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.host.environment(),
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def state(self, container: str) -> str:
        return self.host.ok(
            f"docker inspect -f '{{{{.State.Status}}}} {{{{.State.ExitCode}}}}' {container}"
        ).strip()

    def needs_docker(self, major: int) -> None:
        """Skip where the docker command is too old to behave like this."""
        if self.program == "docker" and docker_version() < major:
            pytest.skip(f"needs the docker command {major} or newer, this is {docker_version()}")


@pytest.fixture(scope="module", params=["docker", "fairway"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    if request.param == "docker" and not shutil.which("docker"):
        pytest.skip("the docker CLI is not installed (Debian: apt-get install docker.io or docker-cli)")
    with running_host(tmp_path_factory.mktemp(f"terminal-{request.param}")) as host:
        yield Client(host, str(request.param))


@pytest.fixture(autouse=True)
def clean(client: Client) -> Iterator[None]:
    """Nothing is left for the next test."""
    yield
    client.host.ok("docker ps -aq | xargs -r docker rm -f")
    assert not [line for line in client.host.processes() if "conmon" in line]


def container_terminal(session: Terminal) -> None:
    """The shell is there, and its terminal is a real one."""
    session.shows(PROMPT)
    session.type("tty\r")
    session.shows(r"/dev/(pts/\d+|console)\r\n")
    session.shows(PROMPT)


# A shell on a terminal.


def job_control(session: Terminal) -> None:
    """Suspend, list, resume and interrupt a job. It says when it runs: before, the shell has the keys."""
    session.type("sh -c 'echo r''uns; read x; echo go''es; exec sleep 1000'\r")
    session.shows("runs\r\n")
    session.type(CTRL_Z)
    session.shows(r"\[1\]\+\s+Stopped")
    session.shows(PROMPT)
    session.type("jobs\r")
    session.shows(r"\[1\]\+\s+Stopped\s+sh -c")
    session.shows(PROMPT)
    session.type("fg\r")
    session.shows("sh -c .*\r\n")
    session.type("\r")
    session.shows("goes\r\n")
    session.type(CTRL_C)
    session.shows(PROMPT)
    session.type("echo code=$?\r")
    session.shows("code=130\r\n")
    session.shows(PROMPT)


def follows_the_window(session: Terminal) -> None:
    def is_sized(rows: int, columns: int) -> None:
        session.type(f"while [ \"$(stty size)\" != '{rows} {columns}' ]; do :; done; echo is $(stty size)\r")
        session.shows(rf"is {rows} {columns}\r\n")
        session.shows(PROMPT)

    is_sized(40, 100)
    session.resize(50, 132)
    is_sized(50, 132)
    session.resize(24, 80)
    is_sized(24, 80)


def test_run_gives_a_shell(client: Client) -> None:
    with client.terminal("run -it --rm busybox sh") as session:
        container_terminal(session)
        job_control(session)
        follows_the_window(session)
        session.type("exit 42\r")
        assert session.ends() == 42
        assert session.attributes() == session.before


def test_exec_gives_a_shell(client: Client) -> None:
    client.host.ok("docker run -d --name box busybox sleep 1000")
    with client.terminal("exec -it box sh") as session:
        container_terminal(session)
        job_control(session)
        follows_the_window(session)
        session.type("exit 43\r")
        assert session.ends() == 43
        assert session.attributes() == session.before


def test_end_of_file_ends_the_shell(client: Client) -> None:
    with client.terminal("run -it --rm busybox sh") as session:
        session.shows(PROMPT)
        session.type("(exit 5)\r")
        session.shows(PROMPT)
        session.type(CTRL_D)
        assert session.ends() == 5


def test_keys_and_bytes_pass_unchanged(client: Client) -> None:
    with client.terminal("run -it --rm busybox sh") as session:
        session.shows(PROMPT)
        session.type("stty raw -echo; echo go; dd bs=1 count=6 2>/dev/null | od -An -tx1; stty sane\r")
        session.shows("go\r?\n")
        session.type(b"\x10\x03\x1c\xc3\xa4\xff")
        session.shows("10 03 1c c3 a4 ff")
        session.shows(PROMPT)
        session.type("exit\r")
        assert session.ends() == 0


def test_much_output_arrives_whole(client: Client) -> None:
    with client.terminal("run -t --rm busybox seq 1 20000") as session:
        assert session.ends() == 0
        assert session.seen.split() == [b"%d" % n for n in range(1, 20001)]


# Detaching.


def test_detach_and_attach_again(client: Client) -> None:
    with client.terminal("run -it --name box busybox sh") as session:
        session.shows(PROMPT)
        session.type("kept=here\r")
        session.shows(PROMPT)
        session.type(DETACH)
        assert session.ends() == 0
        assert session.attributes() == session.before
    assert client.state("box") == "running 0"
    with client.terminal("attach box") as session:
        session.type("echo is $kept\r")
        session.shows("is here\r\n")
        session.resize(30, 90)
        follows = "while [ \"$(stty size)\" != '30 90' ]; do :; done; echo now $(stty size)\r"
        session.type(follows)
        session.shows("now 30 90\r\n")
        session.type(DETACH)
        assert session.ends() == 1
        assert session.seen.endswith(b"read escape sequence\r\n")
    with client.terminal("attach box") as session:
        session.type("exit 9\r")
        assert session.ends() == 9
    assert client.state("box") == "exited 9"


@pytest.mark.parametrize("keys", ["ctrl-x,y", "q"])
def test_other_detach_keys(client: Client, keys: str) -> None:
    typed = {"ctrl-x,y": b"\x18y", "q": b"q"}[keys]
    with client.terminal(f"run -it --name box --detach-keys {keys} busybox sh") as session:
        session.shows(PROMPT)
        session.type(b"echo a\x10\x11b\r")
        session.shows(PROMPT)
        session.type(typed)
        assert session.ends() == 0
    with client.terminal(f"attach --detach-keys {keys} box") as session:
        session.type(typed)
        assert session.ends() == 1
        assert session.seen.endswith(b"read escape sequence\r\n")
    assert client.state("box") == "running 0"


def test_detach_from_exec(client: Client) -> None:
    client.host.ok("docker run -d --name box busybox sleep 1000")
    with client.terminal("exec -it box sh -c 'echo here; exec sleep 500'") as session:
        session.shows("here")
        session.type(DETACH)
        assert session.ends() == 1
        assert session.seen.endswith(b"read escape sequence\r\n")
    assert "sleep 500" in client.host.ok("docker top box")


def test_wrong_detach_keys(client: Client) -> None:
    client.host.ok("docker run -dit --name box busybox sh")
    for command in ("attach --detach-keys ctrl-xx box", "exec -it --detach-keys ctrl-xx box sh"):
        with client.terminal(command) as session:
            assert session.ends() == 1
            assert re.search(b"Invalid detach keys .ctrl-xx. provided|received 400", session.seen)


def test_start_attached_and_interactive(client: Client) -> None:
    client.host.ok("docker create -it --name box busybox sh")
    with client.terminal("start -ai box") as session:
        session.shows(PROMPT)
        session.type("exit 3\r")
        assert session.ends() == 3
    with client.terminal("start -ai box") as session:
        session.shows(PROMPT)
        session.type(DETACH)
        assert session.ends() == 0
    assert client.state("box") == "running 0"


def test_two_terminals_on_one_container(client: Client) -> None:
    with client.terminal("run -it --name box busybox sh") as first:
        first.shows(PROMPT)
        with client.terminal("attach box") as second:
            second.type("echo $((6 * 7))\r")
            second.shows("42\r\n")
            first.shows("42\r\n")
            first.type("exit 8\r")
            assert (first.ends(), second.ends()) == (8, 8)


# Without a terminal in the container.


def test_interrupt_goes_to_the_process(client: Client) -> None:
    with client.terminal(f"run --name box busybox sh -c {shlex.quote(LOYAL)}") as session:
        session.shows("ready")
        session.type(CTRL_C)
        session.shows("got INT")
        assert session.ends() == 7


def test_interrupt_with_a_terminal_but_no_input(client: Client) -> None:
    with client.terminal(f"run -t --name box busybox sh -c {shlex.quote(LOYAL)}") as session:
        session.shows("ready")
        session.type(CTRL_C)
        session.shows("got INT")
        assert session.ends() == 7


def test_attach_forwards_signals(client: Client) -> None:
    client.host.ok(f"docker run -d --name box busybox sh -c {shlex.quote(LOYAL)}")
    until(lambda: client.host.ok("docker logs box") == "ready\n")
    before = attaches(client)
    with client.running("attach box") as attached:
        until(lambda: attaches(client) > before)
        attached.send_signal(signal.SIGHUP)
        assert attached.stdout
        assert attached.stdout.readline() == "got HUP\n"
        attached.send_signal(signal.SIGINT)
        assert attached.wait(30) == 7
    assert client.state("box") == "exited 7"


def test_attach_without_forwarding_dies_alone(client: Client) -> None:
    client.host.ok(f"docker run -d --name box busybox sh -c {shlex.quote(LOYAL)}")
    until(lambda: client.host.ok("docker logs box") == "ready\n")
    before = attaches(client)
    with client.terminal("attach --sig-proxy=false box") as session:
        until(lambda: attaches(client) > before)
        while session.process.poll() is None:  # docker has to be told three times
            session.type(CTRL_C)
            session.receive(0.1)
        assert session.ends() != 7
    assert client.state("box") == "running 0"


def attaches(client: Client) -> int:
    """How many clients have attached to containers called ``box`` so far."""
    return client.host.ok(
        "docker events --since 1 --until $(date +%s.%N) -f event=attach -f container=box"
    ).count("\n")


def until(condition: Callable[[], bool]) -> None:
    """Poll; the test's own time limit ends a wait in vain."""
    while not condition():
        pass


def test_input_and_its_end(client: Client) -> None:
    done = client.pipes("run -i --rm busybox sh -c 'cat; echo end >&2; exit 4'", "one\ntwo")
    assert (done.returncode, done.stdout, done.stderr) == (4, "one\ntwo", "end\n")
    many = "".join(f"line {number}\n" for number in range(200_000))
    done = client.pipes("run -i --rm busybox cat", many)
    assert (done.returncode, done.stdout == many, done.stderr) == (0, True, "")
    client.host.ok("docker run -d --name box busybox sleep 1000")
    done = client.pipes("exec -i box cat", many)
    assert (done.returncode, done.stdout == many, done.stderr) == (0, True, "")


def test_without_interactive_no_input_is_read(client: Client) -> None:
    done = client.pipes("run --rm busybox sh -c 'cat; echo done'", "unread")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_attaching_to_one_stream(client: Client) -> None:
    client.needs_docker(25)
    program = "sh -c 'echo out; echo err >&2'"
    for option, expected in (
        ("-a stdout", ("out\n", "")),
        ("-a stderr", ("", "err\n")),
        ("-a stdout -a stderr", ("out\n", "err\n")),
    ):
        done = client.pipes(f"run --rm {option} busybox {program}")
        assert (done.returncode, done.stdout, done.stderr) == (0, *expected)
    done = client.pipes("run -i -a stdin --name box busybox sh -c 'cat; exit 4'", "typed")
    assert (done.returncode, done.stdout, done.stderr) == (4, "", "")
    assert client.host.ok("docker logs box") == "typed"


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("busybox true", 0, ""),
        ("busybox sh -c 'exit 3'", 3, ""),
        ("--foo busybox true", 125, "unknown flag: --foo"),
        ("--network none-such busybox true", 125, "network none-such not found"),
        ("busybox /etc", 126, "permission denied|is a directory"),
        ("busybox none-such", 127, 'exec: "none-such": executable file not found in \\$PATH'),
    ],
)
def test_exit_codes_of_run(client: Client, command: str, code: int, said: str) -> None:
    done = client.pipes(f"run --rm {command}")
    assert done.returncode == code, done.stderr
    assert re.search(said, done.stderr) if said else not done.stderr
    assert client.host.ok("docker ps -aq") == ""


def test_killed_by_a_signal(client: Client) -> None:
    with client.running("run --name box busybox sh -c 'echo ready; exec sleep 1000'") as running:
        assert running.stdout
        assert running.stdout.readline() == "ready\n"
        client.host.ok("docker kill box")
        assert running.wait(30) == 137


@pytest.mark.parametrize(
    ("command", "code"),
    [("true", 0), ("sh -c 'exit 3'", 3), ("/etc", 126), ("none-such", 127), ("sh -c 'kill -9 $$'", 137)],
)
def test_exit_codes_of_exec(client: Client, command: str, code: int) -> None:
    client.host.ok("docker run -d --name box busybox sleep 1000")
    assert client.pipes(f"exec box {command}").returncode == code
    with client.terminal(f"exec -it box {command}") as session:
        assert session.ends() == code


def test_start_attached(client: Client) -> None:
    client.host.ok("docker create -i --name box busybox sh -c 'cat; echo err >&2; exit 6'")
    done = client.pipes("start -ai box", "typed\n")
    assert (done.returncode, done.stdout, done.stderr) == (6, "typed\n", "err\n")
    client.host.ok("docker rm box; docker create --name box busybox sh -c 'echo out; exit 2'")
    for _ in range(2):
        done = client.pipes("start -a box")
        assert (done.returncode, done.stdout, done.stderr) == (2, "out\n", "")


def test_logs_follow_to_the_end(client: Client) -> None:
    program = "echo one; read x; echo got $x >&2; echo last"
    client.host.ok(f"docker run -di --name box busybox sh -c {shlex.quote(program)}")
    with client.running("logs -f box") as following:
        assert following.stdout and following.stderr
        assert following.stdout.readline() == "one\n"
        client.pipes("attach box", "this\n")
        assert following.wait(30) == 0
        assert (following.stdout.read(), following.stderr.read()) == ("last\n", "got this\n")


def test_interrupted_logs(client: Client) -> None:
    client.needs_docker(25)
    client.host.ok("docker run -d --name box busybox sh -c 'echo one; sleep 1000'")
    with client.terminal("logs -f box") as session:
        session.shows("one")
        session.type(CTRL_C)
        assert session.ends() == 130
    assert client.state("box") == "running 0"
