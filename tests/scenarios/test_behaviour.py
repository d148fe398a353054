"""What a user of the docker CLI expects beyond the transcripts, on a host with a running daemon."""

import json
import shutil
import time
from collections.abc import Iterator

import pytest

from daemon_host import Host, running_host

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not shutil.which("docker"), reason="needs the docker CLI: apt-get install docker-cli"),
]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running_host(tmp_path_factory.mktemp("behaviour")) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_is_left(host: Host) -> Iterator[None]:
    links = host.links()
    yield
    host.ok("docker ps -aq | xargs -r docker rm -fv >/dev/null; docker network prune -f")
    deadline = time.monotonic() + 20  # what nobody waits for is removed in the background
    while host.links() != links and time.monotonic() < deadline:
        time.sleep(0.05)
    assert host.links() == links


def test_inspect_shows_the_defaults(host: Host) -> None:
    host.ok("docker create --name cc -m 64m busybox true")
    found = json.loads(host.ok("docker inspect cc"))[0]
    settings = found["HostConfig"]
    assert found["Config"]["Hostname"] == found["Id"][:12]
    assert (settings["IpcMode"], settings["ShmSize"], settings["MemorySwap"]) == (
        "private",
        64 << 20,
        128 << 20,
    )
    assert settings["CgroupnsMode"] in ("host", "private")
    assert settings["Runtime"] == host.ok("docker info -f '{{.DefaultRuntime}}'").strip()
    assert "/proc/kcore" in settings["MaskedPaths"]
    assert "/proc/sys" in settings["ReadonlyPaths"]
    assert (settings["PidsLimit"], settings["MemorySwappiness"]) == (None, None)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("--runtime nope", "unknown or invalid runtime name: nope"),
        ("--volumes-from nosuch", "No such container: nosuch"),
        ("--volume-driver nope -v data:/x", 'plugin "nope" not found'),
        ("--cpus 1000", "range of CPUs is from 0.01 to"),
        ("--cap-add NOPE", "unknown capability"),
        ("--tmpfs /x:bogus", "Invalid tmpfs option"),
        ("--log-driver nope", "logger: no log driver named 'nope' is registered"),
    ],
)
def test_a_refused_run_leaves_nothing_and_pulls_nothing(host: Host, options: str, complaint: str) -> None:
    done = host.run(f"docker run --rm {options} busybox true")
    assert done.returncode == 125
    assert complaint in done.stdout
    assert "Unable to find image" not in done.stdout
    assert host.ok("docker ps -aq; docker volume ls -q") == ""


def test_a_paused_container_can_be_killed(host: Host) -> None:
    host.ok("docker run -d --name cc busybox sleep 1000; docker pause cc")
    assert host.ok("docker kill cc", timeout=20) == "cc\n"
    assert host.ok("docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' cc") == "exited 137\n"


def test_committing_a_container_while_it_ends(host: Host) -> None:
    host.ok("for i in 1 2 3 4; do docker run -d --name c$i busybox true && docker commit c$i made:$i; done")
    host.ok("docker rmi made:1 made:2 made:3 made:4")


def test_no_output_of_short_commands_on_terminals_is_lost(host: Host) -> None:
    host.ok("docker run -d --name cc busybox sleep 1000")
    told = host.ok("for i in $(seq 60); do docker exec -t cc printf 'yay\\n' & done; wait")
    assert told.split() == ["yay"] * 60


def test_a_broken_archive_is_told_of_as_docker_does(host: Host) -> None:
    done = host.run("echo garbage | docker load")
    assert done.returncode == 1
    assert done.stdout.startswith("Error processing tar file")


def test_restart_policies_over_a_daemon_that_was_killed(host: Host) -> None:
    for name, options in (
        ("always", "--restart always"),
        ("stopped", "--restart always"),
        ("unless", "--restart unless-stopped"),
        ("stayed", "--restart unless-stopped"),
        ("plain", ""),
        ("gone", "--rm"),
    ):
        host.ok(f"docker run -d --name {name} {options} busybox sleep 1000")
    host.ok("docker stop -t 0 stopped stayed")
    pids = host.ok("docker inspect -f '{{.State.Pid}}' always unless gone").split()
    before = host.ok("docker inspect -f '{{.State.Pid}}' plain")
    host.stop_daemon(9)
    host.ok("kill -9 " + " ".join(pids))
    host.start_daemon()
    host.ok("for i in $(seq 100); do [ $(docker ps -q | wc -l) = 4 ] && exit; sleep 0.1; done; exit 1")
    running = host.ok("docker ps --format '{{.Names}}'").split()
    assert sorted(running) == ["always", "plain", "stopped", "unless"]
    assert "gone" not in host.ok("docker ps -a --format '{{.Names}}'").split()
    assert host.ok("docker inspect -f '{{.State.Pid}}' plain") == before


def test_isolation_of_networks_with_real_packets(host: Host) -> None:
    ping = "ping -c1 -W1 -q"
    host.ok("docker network create --ipv6 six; docker network create --internal inside")
    host.ok("docker network create -o com.docker.network.bridge.enable_icc=false apart")
    for name, network in (("s1", "six"), ("s2", "six"), ("i1", "inside"), ("i2", "inside")):
        host.ok(f"docker run -d --name {name} --network {network} busybox sleep 1000")
    for name in ("a1", "a2"):
        host.ok(f"docker run -d --name {name} --network apart busybox sleep 1000")
    host.ok(f"docker exec s1 {ping} -6 s2; docker exec s1 {ping} -4 s2; docker exec i1 {ping} i2")
    assert host.run(f"docker exec a1 {ping} a2").returncode
    outside = "198.51.100.75"
    assert host.run(f"docker exec i1 {ping} {outside}").returncode
    host.ok(f"docker exec a1 {ping} {outside}")
    assert host.run("docker exec s1 ping -c1 -W1 i1").returncode


@pytest.mark.parametrize("subnet", ["127.0.9.0/24", "224.1.0.0/24"])
def test_a_subnet_that_cannot_work_is_refused(host: Host, subnet: str) -> None:
    done = host.run(f"docker network create --subnet {subnet} bad")
    assert done.returncode == 1
    assert f"invalid subnet {subnet}" in done.stdout
