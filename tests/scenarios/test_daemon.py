"""The daemon's own life: stopped, killed, started again; what runs meanwhile does not notice."""

import json
import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from daemon_host import BIN, Host, running_host

pytestmark = pytest.mark.root
ENDS = pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=lambda s: s.name)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with running_host(tmp_path) as running:
        yield running


def eventually(holds: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.05)


def pair(host: Host) -> None:
    """``web`` and ``db`` on a network of their own, ``db`` on a second one, too, and a published port."""
    host.ok("docker network create front && docker network create --internal back")
    host.ok("docker run -d --name web --network front -p 8080:80 busybox sleep 3600")
    host.ok("docker run -d --name db --network front --network-alias store busybox sleep 3600")
    host.ok("docker network connect back db")


def meet(host: Host) -> None:
    host.ok("docker exec web ping -c 1 -W 3 db && docker exec web ping -c 1 -W 3 store")
    host.ok("docker exec db ping -c 1 -W 3 web")


def inspected(host: Host) -> str:
    table = "{{.ID}} {{.Names}} {{.State}} {{.Ports}} {{.Command}}"
    return host.ok(
        "docker inspect web db; docker network inspect front back bridge; docker network ls;"
        f"docker ps -a --format '{table}'"
    )


def held(host: Host) -> str:
    """What the kernel holds for the host and both containers, but for what it sees to itself over time."""
    inside = "; ".join(f"docker exec {name} ip addr; docker exec {name} ip route" for name in ("web", "db"))
    out = host.ok(
        f"ip -o link | sed 's/ qlen.*//'; ip -o addr; ip route; nft -s list table inet fairway; {inside}"
    )
    return "\n".join(sorted(line for line in out.splitlines() if "inet6 fe80" not in line))


@ENDS
def test_containers_do_not_notice(host: Host, how: int) -> None:
    pair(host)
    meet(host)
    before, kernel = inspected(host), held(host)
    sandbox = host.ok("docker inspect -f '{{.NetworkSettings.SandboxKey}}' web").strip()
    address = host.ok("docker inspect -f '{{.NetworkSettings.Networks.front.IPAddress}}' db").strip()
    host.ok("docker exec -d db nc -l -p 9000 -e cat")
    # One connection from before to after: a line each second, and the answers counted.
    talk = "for i in 1 2 3 4 5 6; do echo $i; sleep 1; done"
    host.ok(f"docker exec -d web sh -c '({talk}) | nc db 9000 > /tmp/answers; echo end >> /tmp/answers'")
    eventually(lambda: "1" in host.run("docker exec web cat /tmp/answers").stdout)
    host.stop_daemon(how)
    assert host.run(f"nsenter --net={sandbox} ping -c 1 -W 3 {address}").returncode == 0
    host.start_daemon()
    assert inspected(host) == before
    assert held(host) == kernel
    meet(host)
    eventually(lambda: "end" in host.ok("docker exec web cat /tmp/answers"))
    assert host.ok("docker exec web cat /tmp/answers").split() == ["1", "2", "3", "4", "5", "6", "end"]
    host.ok("docker run --rm --network front busybox ping -c 1 -W 3 web")
    host.ok("docker rm -f web db && docker network rm front back")


@ENDS
def test_what_ended_meanwhile(host: Host, how: int) -> None:
    host.ok("docker network create net1")
    host.ok("docker run -d --name short --network net1 busybox sh -c 'sleep 2; exit 7'")
    host.ok("docker run -d --name gone --rm --network net1 busybox sh -c 'sleep 2'")
    host.ok("docker run -d --name again --restart always --network net1 busybox sh -c 'sleep 2; exit 3'")
    host.ok("docker run -d --name stays --network net1 busybox sleep 3600")
    host.stop_daemon(how)
    time.sleep(3)
    host.start_daemon()
    eventually(lambda: host.ok("docker ps -aq -f name=gone") == "")
    state = json.loads(host.ok("docker inspect short"))[0]["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 7)
    assert host.ok("docker wait short").strip() == "7"
    eventually(lambda: json.loads(host.ok("docker inspect again"))[0]["RestartCount"] > 0)
    assert host.run("docker network rm net1").returncode == 1
    host.ok("docker exec stays ping -c 1 -W 3 stays")
    host.ok("docker rm -f short again stays && docker network rm net1")
    assert not [m for m in host.mounts() if "rootfs/" in m or "netns/" in m]


def test_killed_in_the_midst_of_starts(host: Host) -> None:
    """Some of them were started, some were not; none is in between, and nothing is left of those that end."""
    links, mounts = host.links(), host.mounts()
    host.ok("docker network create net1")
    for delay in (0.1, 0.25, 0.4):
        names = [f"cc{i}" for i in range(8)]
        starting = [
            subprocess.Popen(
                [
                    *host.enter(),
                    "docker",
                    "run",
                    "-d",
                    "--name",
                    name,
                    "--network",
                    "net1",
                    "busybox",
                    "sleep",
                    "3600",
                ],
                env=host.environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for name in names
        ]
        time.sleep(delay)
        host.stop_daemon(signal.SIGKILL)
        for process in starting:
            process.wait()
        host.start_daemon()
        listed = host.ok("docker ps -a --format '{{.Names}} {{.State}}'").splitlines()
        assert {line.split()[1] for line in listed} <= {"created", "running"}
        for line in listed:
            name, state = line.split()
            if state == "created":
                host.ok(f"docker start {name}")
            host.ok(f"docker exec {name} ping -c 1 -W 3 {name}")
        host.ok("docker ps -aq | xargs -r docker rm -f")
    host.ok("docker network rm net1")
    host.settle()
    assert host.links() == links
    assert [m for m in host.mounts() if m not in mounts] == []


def test_two_daemons_do_not_disturb_each_other(host: Host, tmp_path: Path) -> None:
    pair(host)
    kernel = held(host)
    (tmp_path / "second").mkdir()
    with running_host(tmp_path / "second") as second:
        pair(second)
        meet(second)
        meet(host)
        second.stop_daemon(signal.SIGKILL)
        second.start_daemon()
        meet(second)
        second.ok("docker rm -f web db && docker network rm front back")
    assert held(host) == kernel
    meet(host)


@pytest.mark.parametrize("what", ["--data-root", "--exec-root"])
def test_directories_belong_to_one_daemon(host: Host, what: str) -> None:
    taken = {"--data-root": f"{host.directory}/data", "--exec-root": "/run/fairway"}
    own = {"--data-root": f"{host.directory}/data2", "--exec-root": "/run/second"} | {what: taken[what]}
    options = " ".join(f"{option}={value}" for option, value in own.items())
    done = host.run(f"fairwayd -H unix:///run/second.sock --pidfile /run/second.pid {options}")
    assert done.returncode == 1
    assert f"{taken[what]} is in use by another fairwayd" in done.stdout
    host.ok("docker ps")


@pytest.mark.parametrize(
    ("options", "more"), [((), ()), (("--shutdown-timeout=2",), ("stop -t 60 cc",))], ids=["streams", "stop"]
)
def test_stops_in_spite_of_open_streams(host: Host, options: Sequence[str], more: Sequence[str]) -> None:
    host.stop_daemon()
    host.start_daemon(*options)
    host.ok("docker run -d --name cc -i busybox sh -c 'while :; do echo tick; sleep 1; done'")
    commands = ["attach cc", "logs -f cc", "events", "exec cc sleep 3600", "wait cc", *more]
    streams = [
        subprocess.Popen(
            [*host.enter(), "docker", *command.split()],
            env=host.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command in commands
    ]
    time.sleep(1)
    assert all(stream.poll() is None for stream in streams)
    began = time.monotonic()
    assert host.stop_daemon() == 0
    assert time.monotonic() - began < 20, "what systemd, and a person, would wait"
    for stream in streams:
        stream.wait(10)
        assert stream.stdin
        stream.stdin.close()
    host.start_daemon()
    assert host.ok("docker ps --format '{{.Names}}'").split() == ["cc"]


def test_another_path_is_no_matter(tmp_path: Path) -> None:
    """The daemon looks for its programs where the system has them, whatever it was started from."""
    host = Host(tmp_path)
    try:
        start = f"PATH=/nosuch {BIN}/fairwayd --data-root {tmp_path}/data -H {host.url} & daemon=$!"
        wait = f"while kill -0 $daemon && ! curl -s --unix-socket {host.socket} x/_ping; do sleep 0.1; done"
        host.ok(f"{start}; {wait}; kill $daemon; wait $daemon")
    finally:
        host.close()


def test_paths_longer_than_a_sockets_name(tmp_path: Path) -> None:
    """Sockets have names of at most 107 bytes (unix(7)); the daemon's directories need not care."""
    deep = tmp_path / ("deep" * 30)
    deep.mkdir()
    with running_host(tmp_path, f"--exec-root={deep}/exec") as host:
        pair(host)
        meet(host)
        assert host.ok("echo in | docker run -i --rm busybox cat") == "in\n"
        host.ok("docker rm -f web db && docker network rm front back")


def test_nothing_runs_after_the_last_one(host: Host) -> None:
    host.ok("docker network create net1")
    host.ok("docker run --rm --network net1 busybox nslookup -type=a nosuch.invalid || true")
    assert any("fairway.dns" in p for p in host.processes())
    assert host.stop_daemon() == 0
    eventually(lambda: host.processes() == [], 5)
    assert host.mounts() == []
    assert host.run(f"test -e {host.socket}").returncode == 1
    host.start_daemon()
    host.ok("docker network rm net1")


def test_socket_permissions(host: Host) -> None:
    mode = int(host.ok(f"stat -c %f {host.socket}"), 16)
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o660
    assert host.run(
        f"setpriv --reuid 65534 --regid 65534 --clear-groups curl -sS --unix-socket {host.socket} http://x/_ping"
    ).returncode


def test_a_killed_resolver_comes_back(host: Host) -> None:
    pair(host)
    meet(host)
    (process,) = [
        p
        for p in host.ok("pgrep -f fairway.dns.server").split()
        if Path(f"/proc/{p}/root/run/fairway").exists()
        and os.readlink(f"/proc/{p}/ns/net") == host.ok("readlink /proc/self/ns/net").strip()
    ]
    os.kill(int(process), signal.SIGKILL)
    eventually(lambda: host.run("docker exec web ping -c 1 -W 1 db").returncode == 0)
    meet(host)
    host.ok("docker run --rm --network front busybox ping -c 1 -W 3 store")


def test_a_resolver_killed_with_the_daemon(host: Host) -> None:
    pair(host)
    host.stop_daemon(signal.SIGKILL)
    for process in host.ok("pgrep -f fairway.dns.server").split():
        if os.readlink(f"/proc/{process}/ns/net") == host.ok("readlink /proc/self/ns/net").strip():
            os.kill(int(process), signal.SIGKILL)
    host.start_daemon()
    meet(host)


@pytest.mark.parametrize(
    "harm",
    [
        "nft flush ruleset",
        "ip link del $(docker network inspect -f 'br-{{slice .Id 0 12}}' front)",
        "ip addr flush dev docker0; ip link set docker0 down",
        "for l in $(ip -br link | grep -o '^veth[0-9a-f]*'); do ip link del $l; done",
    ],
)
def test_what_others_took_away_is_back_after_a_restart(host: Host, harm: str) -> None:
    pair(host)
    before = held(host)
    host.ok(harm)
    host.stop_daemon()
    host.start_daemon()
    assert _without_numbers(held(host)) == _without_numbers(before)
    meet(host)
    assert host.run("docker exec web ping -c 1 -W 3 192.168.56.1").returncode == 0


def _without_numbers(text: str) -> list[str]:
    """Interface indices are new when interfaces are."""
    kept = []
    for line in text.splitlines():
        words = [w.partition("@")[0].rstrip(":") for w in line.split() if not w.rstrip(":").isdigit()]
        kept.append(" ".join(w for w in words if not w.startswith("link-netns")))
    return sorted(k for k in kept if "inet6 fe80" not in k and "valid_lft" not in k)


@pytest.mark.parametrize(
    ("options", "configuration", "text"),
    [
        ("--nosuch", "{}", "unknown flag: --nosuch"),
        ("", "{", "unable to configure the Docker daemon"),
        ("", '{"nosuch": 1}', "nosuch"),
        ("--debug", '{"debug": true}', "debug"),
        ("-H tcp://0.0.0.0:2375", "{}", "tcp://0.0.0.0:2375"),
        ("--data-root /proc/nosuch", "{}", "/proc/nosuch"),
        ("--exec-root /proc/nosuch", "{}", "/proc/nosuch"),
        ("--group nosuch", "{}", "group nosuch not found"),
    ],
)
def test_a_wrong_configuration(tmp_path: Path, options: str, configuration: str, text: str) -> None:
    host = Host(tmp_path)
    try:
        (tmp_path / "daemon.json").write_text(configuration)
        default = "" if "--data-root" in options else f"--data-root {tmp_path}/data"
        done = host.run(f"fairwayd --config-file {tmp_path}/daemon.json {default} {options}", 30)
        assert done.returncode == 1, done.stdout
        assert text in done.stdout.splitlines()[-1]
        assert "Traceback" not in done.stdout
        assert host.processes() == []
    finally:
        host.close()


@pytest.mark.parametrize("missing", ["conmon", "crun runc"])
def test_a_missing_program(tmp_path: Path, missing: str) -> None:
    host = Host(tmp_path)
    try:
        for program in missing.split():
            host.ok(f"mount --bind /dev/null $(command -v {program})")
        done = host.run(f"fairwayd --data-root {tmp_path}/data", 30)
        assert done.returncode == 1, done.stdout
        assert "failed to start daemon: " in done.stdout
        for program in missing.split():
            assert f"the program {program} is not installed; install it: apt install {program}" in done.stdout
        assert "Traceback" not in done.stdout
        assert host.processes() == []
        assert host.mounts() == []
    finally:
        host.close()


def test_reloading(host: Host) -> None:
    """SIGHUP takes over what can change; a configuration that is wrong changes nothing."""
    configuration = host.directory / "daemon.json"
    before = configuration.read_text()
    assert host._daemon
    try:
        configuration.write_text('{"labels": ["rack=7"], "debug": true}')
        host._daemon.send_signal(signal.SIGHUP)
        eventually(lambda: "[rack=7] true" in host.ok("docker info -f '{{.Labels}} {{.Debug}}'"))
        configuration.write_text('{"labels": [')
        host._daemon.send_signal(signal.SIGHUP)
        eventually(lambda: "configuration not reloaded" in host.log())
        assert "[rack=7] true" in host.ok("docker info -f '{{.Labels}} {{.Debug}}'")
    finally:
        configuration.write_text(before)
        host._daemon.send_signal(signal.SIGHUP)
    eventually(lambda: "[] false" in host.ok("docker info -f '{{.Labels}} {{.Debug}}'"))
