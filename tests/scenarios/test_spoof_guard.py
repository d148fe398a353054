"""The guard against spoofing on a whole host, with stock clients: its option, what it tells, what goes on."""

import json
import re
import time
from collections.abc import Iterator

import pytest

from daemon_host import Host, running_host

pytestmark = pytest.mark.root
POSE = "ip address add {ip}/16 dev eth0; ping -c 1 -W {patience} -I {ip} {target}"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """``one`` and ``two`` on the guarded network ``shop``, ``rogue`` on it and on ``free``, which is not."""
    with running_host(tmp_path_factory.mktemp("guard")) as host:
        host.ok("docker network create --subnet 10.1.0.0/16 shop")
        host.ok("docker network create --subnet 10.2.0.0/16 -o fairway.spoof_guard=false free")
        for name, network in (("one", "shop"), ("two", "shop"), ("three", "free"), ("four", "free")):
            host.ok(f"docker run -d --name {name} --network {network} --cap-add NET_ADMIN busybox sleep 600")
        yield host


def address(host: Host, name: str) -> str:
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return host.ok(f"docker inspect -f '{form}' {name}").strip()


def poses(host: Host, rogue: str, ip: str, target: str, patience: int = 5) -> bool:
    """Whether a container that gives itself the address gets an answer to it."""
    command = POSE.format(ip=ip, target=target, patience=patience)
    return host.run(f"docker exec {rogue} sh -c '{command}'").returncode == 0


def dropped(host: Host, network: str) -> int:
    rows = map(json.loads, host.ok(f"fairway rules --format json {network}").splitlines())
    (packets,) = [int(row["Packets"]) for row in rows if row["Rule"] == "spoofed"]
    return packets


def test_the_gateways_address_is_nobody_elses(host: Host) -> None:
    """A container that takes it is not heard on a guarded network; on another one it is."""
    assert dropped(host, "shop") == 0
    assert not poses(host, "one", "10.1.0.1", address(host, "two"), patience=1)
    assert dropped(host, "shop") > 0
    assert poses(host, "three", "10.2.0.1", address(host, "four"))
    told = host.ok("fairway rules --format '{{.Rule}} {{.To}} {{.Packets}}'")
    assert re.search(r"^spoofed addresses of others in ARP [1-9]", told, re.MULTILINE)


def test_a_virtual_address_moves(host: Host) -> None:
    """As keepalived moves it: the one that announces it has it."""
    vip, target = "10.1.9.9", address(host, "two")
    for name in ("first", "second"):
        host.ok(f"docker run -d --name {name} --network shop --cap-add NET_ADMIN busybox sleep 600")
        assert poses(host, name, vip, target)
        host.ok(f"docker exec {name} arping -U -c 1 -I eth0 {vip}")
        mac = host.ok(f"docker exec {name} cat /sys/class/net/eth0/address").strip()
        assert f"{vip} " in host.ok("docker exec two ip neigh")
        assert mac in host.ok(f"docker exec two ip neigh show {vip}")
        host.ok(f"docker exec {name} ip address del {vip}/16 dev eth0")


def test_a_container_routes_between_networks(host: Host) -> None:
    host.ok("docker network create --subnet 10.3.0.0/16 back")
    host.ok("docker run -d --name far --network back --cap-add NET_ADMIN busybox sleep 600")
    host.ok("docker run -d --name router --network shop --sysctl net.ipv4.ip_forward=1 busybox sleep 600")
    host.ok("docker network connect --ip 10.3.7.7 back router")
    near = host.ok("docker inspect -f '{{.NetworkSettings.Networks.shop.IPAddress}}' router").strip()
    host.ok(f"docker exec two ip route add 10.3.0.0/16 via {near}")
    host.ok("docker exec far ip route add 10.1.0.0/16 via 10.3.7.7")
    host.ok(f"docker exec two ping -c 1 -W 5 {address(host, 'far')}")


def test_the_option(host: Host) -> None:
    shown = host.ok("docker network inspect -f '{{json .Options}}' free shop").splitlines()
    assert [json.loads(line).get("fairway.spoof_guard") for line in shown] == ["false", None]
    refused = host.run("docker network create -o fairway.spoof_guard=off bad")
    assert refused.returncode == 1
    assert "invalid value 'off' for fairway.spoof_guard: use true or false" in refused.stdout


@pytest.mark.parametrize("harm", ["delete table bridge fairway", "flush chain bridge fairway guard"])
def test_a_guard_that_somebody_takes_away_comes_back(host: Host, harm: str) -> None:
    def table() -> str:
        return re.sub(r" packets \d+ bytes \d+", "", host.run("nft list table bridge fairway").stdout)

    def parts() -> list[str]:
        return sorted(word for word in re.split(r"[\s,]+", table()) if word)

    before = parts()
    host.ok(f"nft {harm}")
    deadline = time.monotonic() + 20
    while parts() != before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert parts() == before


def test_the_default_network_follows_the_daemon(host: Host) -> None:
    """After a restart; and no guard outlives the option of the family that it is for."""
    assert dropped(host, "bridge") == 0
    host.ok("docker ps -aq | xargs docker rm -f")
    host.stop_daemon()
    host.start_daemon("--default-network-opt=bridge=fairway.spoof_guard=false", "--ip6tables=false")
    assert "spoofed" not in host.ok("fairway rules bridge")
    options = json.loads(host.ok("docker network inspect -f '{{json .Options}}' bridge"))
    assert options["fairway.spoof_guard"] == "false"
    guarding = host.ok("nft list chain bridge fairway guard")
    assert "ip_sender" in guarding and "ip6_sender" not in guarding
