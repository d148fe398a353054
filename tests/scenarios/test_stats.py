"""What containers use, told by the real kernel, and their streams over a websocket."""

import json
import re
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from daemon_host import Host, running_host

pytestmark = pytest.mark.root
ROW = re.compile(
    r"(?P<id>[0-9a-f]{12}) +(?P<name>\S+) +(?P<cpu>[\d.]+)% +(?P<used>\S+) / (?P<limit>\S+)"
    r" +(?P<share>[\d.]+)% +(?P<received>\S+) / (?P<sent>\S+) +(?P<read>\S+) / (?P<written>\S+)"
    r" +(?P<pids>\d+)"
)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running_host(tmp_path_factory.mktemp("host")) as made:
        yield made


def sample(host: Host, name: str) -> dict[str, Any]:
    url = f"http://x/containers/{name}/stats?stream=0"
    found: dict[str, Any] = json.loads(host.ok(f"curl -sS --unix-socket {host.socket} '{url}'"))
    return found


@pytest.mark.parametrize("program", ["docker", "fairway"])
def test_the_table(host: Host, program: str) -> None:
    host.ok("docker run -d --name busy -m 64m busybox sh -c 'while :; do :; done'")
    host.ok("docker run -d --name idle busybox sleep 600")
    host.ok("docker create --name never busybox")
    try:
        lines = host.ok(f"{program} stats --no-stream").splitlines()
        assert lines[0].split("  ")[0] == "CONTAINER ID"
        rows = {m["name"]: m for line in lines[1:] if (m := ROW.fullmatch(line.strip()))}
        assert set(rows) == {"busy", "idle"}, lines
        assert float(rows["busy"]["cpu"]) > float(rows["idle"]["cpu"])
        assert (rows["busy"]["limit"], rows["busy"]["pids"]) == ("64MiB", "1")
        assert host.ok(f"{program} stats --no-stream --format '{{{{.Name}}}}' never busy").split() == [
            "never",
            "busy",
        ]
        refused = host.run(f"{program} stats --no-stream nosuch")
        assert (refused.returncode, refused.stdout) == (
            1,
            "Error response from daemon: No such container: nosuch\n",
        )
    finally:
        host.ok("docker rm -f busy idle never")


def test_traffic_is_counted_by_interface(host: Host) -> None:
    host.ok("docker network create web && docker run -d --name one --net web busybox sleep 600")
    host.ok(
        "docker network connect bridge one && docker run -d --name peer --net container:one busybox sleep 600"
    )
    host.ok(
        "docker run -d --name alone --net none busybox sleep 600"
        " && docker run -d --name shares --net host busybox sleep 600"
    )
    try:
        before = sample(host, "one")
        assert sorted(before["networks"]) == ["eth0", "eth1"]
        host.ok(
            "docker exec one ping -c 3 -i 0.1 -s 1000 $(docker network inspect -f "
            "'{{(index .IPAM.Config 0).Gateway}}' web)"
        )
        after = sample(host, "peer")["networks"]
        assert after["eth0"]["tx_bytes"] - before["networks"]["eth0"]["tx_bytes"] >= 3000
        assert after["eth0"]["rx_packets"] - before["networks"]["eth0"]["rx_packets"] >= 3
        assert "networks" not in sample(host, "alone")
        assert "networks" not in sample(host, "shares")
    finally:
        host.ok("docker rm -f one peer alone shares; docker network rm web")


def test_counters_grow_and_limits_show(host: Host) -> None:
    host.ok("docker run -d --name box -m 64m --pids-limit 20 busybox sh -c 'yes >/dev/null & sleep 600'")
    try:
        shown = sample(host, "box")
        cpu, before = shown["cpu_stats"], shown["precpu_stats"]
        assert cpu["cpu_usage"]["total_usage"] > before["cpu_usage"]["total_usage"] > 0
        assert cpu["system_cpu_usage"] > before["system_cpu_usage"] > 0
        assert shown["memory_stats"]["limit"] == 64 << 20
        assert 0 < shown["memory_stats"]["usage"] < 64 << 20
        assert shown["pids_stats"] == {"current": 3, "limit": 20} or shown["pids_stats"]["current"] >= 2
        host.ok("docker pause box")
        assert sample(host, "box")["pids_stats"]["limit"] == 20
        host.ok("docker unpause box && docker kill box && docker wait box")
        assert sample(host, "box")["read"] == "0001-01-01T00:00:00Z"
    finally:
        host.ok("docker rm -f box")


async def test_streams_end_with_their_container(host: Host) -> None:
    """And with nobody else: a client that stays gets samples of a stopped container, too."""
    host.ok("docker run -d --name box busybox sleep 600")
    connector = aiohttp.UnixConnector(host.reachable_socket)
    async with (
        aiohttp.ClientSession("http://x", connector=connector) as session,
        session.get("/containers/box/stats") as response,
    ):
        first = json.loads(await response.content.readline())
        host.ok("docker rm -f box")
        rest = [json.loads(line) async for line in response.content]
    assert first["pids_stats"]["current"] == 1
    assert all(each["read"] == "0001-01-01T00:00:00Z" for each in rest[1:])


async def test_attach_over_a_websocket(host: Host) -> None:
    host.ok(
        "docker run -d -i --name box busybox sh -c 'echo before; read word; echo got $word; echo bad >&2'"
    )
    connector = aiohttp.UnixConnector(host.reachable_socket)
    async with aiohttp.ClientSession("http://x", connector=connector) as session:
        query = "logs=1&stream=1&stdin=1&stdout=1"
        async with session.ws_connect(f"/containers/box/attach/ws?{query}") as socket:
            assert await socket.receive_bytes(timeout=10) == b"before\n"
            await socket.send_str("hello\n")
            assert await socket.receive_bytes(timeout=10) == b"got hello\n"
            assert (await socket.receive(timeout=10)).type is aiohttp.WSMsgType.CLOSE
    assert host.ok("docker wait box; docker logs box 2>&1 | sort").split("\n") == [
        "0",
        "bad",
        "before",
        "got hello",
        "",
    ]
    host.ok("docker rm box")


async def test_a_websocket_that_leaves_lets_the_container_run(host: Host) -> None:
    host.ok("docker run -d -i --name box busybox sh -c 'while read word; do echo $word; done'")
    connector = aiohttp.UnixConnector(host.reachable_socket)
    async with aiohttp.ClientSession("http://x", connector=connector) as session:
        for word in ("one", "two"):
            async with session.ws_connect("/containers/box/attach/ws?stream=1&stdin=1&stdout=1") as socket:
                await socket.send_bytes(f"{word}\n".encode())
                assert await socket.receive_bytes(timeout=10) == f"{word}\n".encode()
        async with session.ws_connect("/containers/box/attach/ws?stream=1&stdout=1") as socket:
            await socket.send_str("ignored\n")
    assert host.ok("docker inspect -f '{{.State.Status}}' box").strip() == "running"
    assert host.ok("docker logs box").split() == ["one", "two"]
    host.ok("docker rm -f box")
