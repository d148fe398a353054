"""``fairway rules`` on a host with traffic: what it says is what packets met."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from daemon_host import NODE_IP, Host, running_host

pytestmark = pytest.mark.root
PORT = 8080


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A web server that publishes a port; a closed network and an internal one, each with a container."""
    with running_host(tmp_path_factory.mktemp("rules")) as host:
        host.ok("fairway network create -o com.docker.network.bridge.enable_icc=false shut")
        host.ok("fairway network create --internal back")
        host.ok(f"fairway run -d --name web -p {PORT}:80 busybox httpd -f -h /etc")
        for name, network in (("one", "shut"), ("two", "shut"), ("away", "back"), ("near", "bridge")):
            host.ok(f"fairway run -d --name {name} --network {network} busybox sleep 600")
        yield host


def address(host: Host, container: str) -> str:
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return host.ok(f"fairway inspect -f '{form}' {container}").strip()


def rules(host: Host, name: str = "") -> list[dict[str, Any]]:
    return [json.loads(line) for line in host.ok(f"fairway rules --format json {name}").splitlines()]


def count(host: Host, name: str, rule: str, kind: str = "") -> int:
    """Packets that the one such rule has counted."""
    (packets,) = {r["Packets"] for r in rules(host, name) if r["Rule"] == rule and kind in r["Kind"]}
    return int(packets)


def test_a_published_port_counts_its_connections(host: Host) -> None:
    published = f"0.0.0.0:{PORT}/tcp"

    def connections() -> int:
        (rule,) = (r for r in rules(host, "web") if r["Rule"] == "published" and r["From"] == published)
        assert (rule["To"], rule["Verdict"]) == (f"{address(host, 'web')}:80", "dnat")
        return int(rule["Packets"])

    before = connections()
    host.ok(f"fairway exec near wget -qO- http://{NODE_IP}:{PORT}/hostname")
    host.ok(f"curl -sS http://127.0.0.1:{PORT}/hostname")
    assert connections() == before + 2
    assert {r["Rule"] for r in rules(host, "web")} >= {"published", "held", "hairpin"}


def test_what_is_dropped_is_counted_by_network(host: Host) -> None:
    two, web = address(host, "two"), address(host, "web")
    for container, target, name, rule, kind in (
        ("one", two, "shut", "within", "network"),
        ("away", "198.51.100.75", "back", "internal", "network"),
        ("one", web, "", "between", "host"),
    ):
        if container == "away":  # without a default route nothing would even leave
            host.ok("ip route add 198.51.100.75 dev eth0 2>/dev/null || true")
            pid = host.ok("fairway inspect -f '{{.State.Pid}}' away").strip()
            gateway = host.ok("fairway network inspect -f '{{(index .IPAM.Config 0).Gateway}}' back").strip()
            host.ok(f"nsenter -t {pid} -n ip route replace default via {gateway}")
        before = count(host, name, rule, kind)
        assert host.run(f"fairway exec {container} ping -c 1 -W 1 {target}").returncode != 0
        assert count(host, name, rule, kind) > before


def test_masquerading_counts_connections(host: Host) -> None:
    before = count(host, "bridge", "outward")
    host.ok("fairway exec near ping -c 1 -W 2 198.51.100.75")
    assert count(host, "bridge", "outward") == before + 1


def test_only_what_is_asked_for(host: Host) -> None:
    assert {r["Name"] for r in rules(host, "shut")} == {"shut"}
    assert {r["Name"] for r in rules(host, "web")} == {"web"}
    assert {r["Kind"] for r in rules(host)} >= {"network", "container", "host"}
    refused = host.run("fairway rules nosuch")
    assert refused.returncode == 1
    assert "No such container or network: nosuch" in refused.stdout


def test_as_nft(host: Host) -> None:
    def uncounted(text: str) -> str:
        return re.sub(r"counter packets \d+ bytes \d+", "counter", text)

    shown = host.ok("fairway rules --as nft")
    tables = "nft list table inet fairway; nft list table bridge fairway"
    assert uncounted(shown) == uncounted(host.ok(tables))


@pytest.mark.parametrize("table", ["raw", "nat", "filter"])
@pytest.mark.parametrize("program", ["iptables", "ip6tables"])
def test_iptables_itself_reads_the_notation(host: Host, program: str, table: str) -> None:
    """Loaded by the real program into an empty namespace, it says the same."""
    if not shutil.which(f"{program}-restore"):
        pytest.skip("the iptables command is not installed (Debian: apt-get install iptables)")
    saved = host.ok(f"fairway rules --as {program}-save")

    def theirs(options: str) -> list[str]:
        script = f"{program}-restore && {program} -t {table} {options}"
        words = ["unshare", "--net", "sh", "-c", script]
        done = subprocess.run(words, input=saved, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    def ours(options: str) -> list[str]:
        return host.ok(f"fairway rules --as {program} -t {table} {options}").splitlines()

    assert by_chain(ours("-S")) == by_chain(theirs("-S"))
    assert set(ours("-nL")) == {named(line) for line in theirs("-nL")}


def by_chain(lines: list[str]) -> dict[str, list[str]]:
    """The order of chains of one's own means nothing, that of rules in a chain does."""
    found: dict[str, list[str]] = {}
    for line in lines:
        found.setdefault(line.split()[1], []).append(line)
    return found


def named(line: str) -> str:
    """A listed rule with the protocol's name, which ``-n`` of some versions prints as a number."""
    names = {"0": "all", "6": "tcp", "17": "udp", "58": "ipv6-icmp"}
    return re.sub(r"^(\S* +)(\d+) +--", lambda m: f"{m[1]}{names[m[2]]:<4} --", line)
