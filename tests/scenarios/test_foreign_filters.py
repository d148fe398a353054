"""Beside other programs' packet filters: what stops our networks is told, and the remedy works as printed.

The rulesets of ufw and firewalld are recorded (``tests/netns/firewalls``), before and after the commands that
Fairway names; all others are made here. Every statement is checked with connections in both directions.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon_host import NODE_IP, OUTSIDE_IP, Host, running_host

pytestmark = pytest.mark.root
RECORDED = Path(__file__).parents[1] / "netns" / "firewalls"
NODE_IPV6, OUTSIDE_IPV6 = "2001:db8::1", "2001:db8::9"
SERVER = "echo hello >/www/index.html; exec httpd -f -p 80 -h /www"
NFT = """
table inet strict {
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state vmap { established : accept, related : accept, invalid : drop }
        ip protocol icmp accept
        tcp dport 25 accept
    }
}
"""
REJECTING = """
table inet strict {
    chain allowed {
        iifname "br-lan" accept
        return
    }
    chain forward {
        type filter hook forward priority 10; policy accept;
        ct state established,related accept
        jump allowed
        reject
    }
}
"""
UNCONCERNED = """
table inet other {
    set blocked { type ipv4_addr; elements = { 203.0.113.9 }; }
    chain forward {
        type filter hook forward priority filter; policy drop;
        iifname "eth7" drop
        ip saddr @blocked drop
        tcp dport 25 reject
        ip saddr 10.99.0.0/16 drop
        ct state invalid drop
        accept
    }
}
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A published server and a client on the default network, and a server outside; IPv4 and IPv6."""
    for tool in ("iptables", "iptables-legacy"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed (Debian: apt-get install iptables)")
    directory = tmp_path_factory.mktemp("filters")
    with running_host(directory, "--ipv6") as running:
        running.ok(f"ip addr add {NODE_IPV6}/64 dev eth0 nodad")
        for command in (f"ip addr add {OUTSIDE_IPV6}/64 dev peer nodad", "ip link set peer up"):
            subprocess.run([*running.outside(), "bash", "-c", command], check=True)
        running.ok(f"ip route add default via {OUTSIDE_IPV6}")
        running.ok("docker network create apart && docker network create --internal inner")
        running.ok(f"docker run -d --name web -p 8080:80 busybox sh -c 'mkdir /www; {SERVER}'")
        running.ok("docker run -d --name client busybox sleep 3600")
        (directory / "index.html").write_text("hello\n")
        server = subprocess.Popen([*running.outside(), "busybox", "httpd", "-f", "-p", "80", "-h", directory])
        try:
            yield running
        finally:
            server.kill()
            server.wait()


@pytest.fixture(autouse=True)
def alone(host: Host) -> Iterator[None]:
    """No filter of others before and after."""
    assert passing(host) == {"out4", "out6", "in4", "in6"}
    assert warnings(host) == []
    yield
    for variant in ("iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy"):
        host.ok(f"{variant} -P FORWARD ACCEPT && {variant} -F && {variant} -X")
    host.ok(
        "for t in inet\\ strict inet\\ other inet\\ firewalld; do nft delete table $t; done 2>/dev/null; true"
    )


def passing(host: Host) -> set[str]:
    """Which connections come about: out of a container and in to a published port, by address family."""
    found = set()
    for kind, there, here in ((4, OUTSIDE_IP, NODE_IP), (6, f"[{OUTSIDE_IPV6}]", f"[{NODE_IPV6}]")):
        if "hello" in host.run(f"docker exec client timeout 1 wget -qO- http://{there}/").stdout:
            found.add(f"out{kind}")
        words = ["curl", "-s", "-m", "1", f"http://{here}:8080/"]
        if "hello" in subprocess.run([*host.outside(), *words], capture_output=True, text=True).stdout:
            found.add(f"in{kind}")
    return found


def warnings(host: Host, network: str = "bridge") -> list[str]:
    found: list[str] = json.loads(host.ok(f"docker network inspect {network}"))[0].get("Warnings", [])
    return found


def informed(host: Host) -> list[str]:
    found: list[str] = json.loads(host.ok("docker info -f '{{json .Warnings}}'")) or []
    return [text for text in found if "stops" in text]


def remedied(host: Host) -> None:
    """Type what the warnings say, literally."""
    for text in warnings(host):
        host.ok(text.partition("To let it pass: ")[2])


@pytest.mark.parametrize(
    ("filters", "program", "families"),
    [
        ("iptables -P FORWARD DROP", "iptables", (4,)),
        ("ip6tables -P FORWARD DROP", "ip6tables", (6,)),
        ("iptables-legacy -P FORWARD DROP", "iptables-legacy", (4,)),
        ("ip6tables-legacy -P FORWARD DROP", "ip6tables-legacy", (6,)),
        ("iptables -A FORWARD ! -i eth9 -j REJECT", "iptables", (4,)),
        (
            "for i in '-N apart' '-A FORWARD -j apart' '-A apart -j DROP'; do iptables-legacy $i; done",
            "iptables-legacy",
            (4,),
        ),
        (f"nft -f - <<'E'{NFT}E", "nft", (4, 6)),
        (f"nft -f - <<'E'{REJECTING}E", "nft", (4, 6)),
    ],
    ids=lambda value: value.split("\n")[0] if isinstance(value, str) else None,
)
def test_the_remedy_works_as_printed(
    host: Host, filters: str, program: str, families: tuple[int, ...]
) -> None:
    host.ok(filters)
    assert passing(host) == {f"{way}{kind}" for kind in {4, 6} - set(families) for way in ("in", "out")}
    found = warnings(host)
    assert [text.partition(":")[0] for text in found] == [f"IPv{kind}" for kind in families]
    assert all(f"({program})" in text and "what leaves and what comes for" in text for text in found)
    assert len(informed(host)) == len(families)
    assert all(
        text.startswith(("WARNING: apart, bridge: IPv", "WARNING: bridge: IPv6")) for text in informed(host)
    )
    assert f"({program}) stops" in host.log()
    assert warnings(host, "inner") == []
    remedied(host)
    assert passing(host) == {"out4", "out6", "in4", "in6"}
    assert warnings(host) == []


@pytest.mark.parametrize("variant", ["iptables", "iptables-legacy"])
def test_beside_ufw(host: Host, variant: str) -> None:
    def load(name: str) -> None:
        for version, command in (("v4", variant), ("v6", variant.replace("ip", "ip6", 1))):
            host.ok(f"{command}-restore <{RECORDED}/{name}.{version}.rules")

    load("ufw")
    assert passing(host) == set()
    found = warnings(host)
    assert [text.partition(":")[0] for text in found] == ["IPv4", "IPv6"]
    commands = {text.partition("To let it pass: ")[2] for text in found}
    assert commands == {"ufw route allow in on docker0; ufw route allow out on docker0"}
    load("ufw-allowed")
    assert passing(host) == {"out4", "out6", "in4", "in6"}
    assert warnings(host) == []


def test_beside_firewalld(host: Host) -> None:
    host.ok(f"nft -f {RECORDED}/firewalld.nft")
    assert passing(host) == {"in4", "in6"}
    found = warnings(host)
    assert [text.partition(" stops ")[2].partition(". ")[0] for text in found] == ["what leaves"] * 2
    assert {text.partition("To let it pass: ")[2] for text in found} == {
        "firewall-cmd --permanent --zone=trusted --change-interface=docker0; firewall-cmd --reload"
    }
    host.ok(f"nft delete table inet firewalld; nft -f {RECORDED}/firewalld-trusted.nft")
    assert passing(host) == {"out4", "out6", "in4", "in6"}
    assert warnings(host) == []


def test_what_does_not_concern_us_is_not_reported(host: Host) -> None:
    host.ok(f"nft -f - <<'E'{UNCONCERNED}E")
    host.ok("iptables -A FORWARD -p tcp --dport 25 -j DROP; iptables-legacy -A FORWARD -i eth7 -j DROP")
    assert passing(host) == {"out4", "out6", "in4", "in6"}
    assert warnings(host) == []
    assert informed(host) == []


def test_an_administrators_own_way_of_letting_through(host: Host) -> None:
    host.ok(
        "iptables -P FORWARD DROP; iptables -A FORWARD -i docker0 -o eth0 -j ACCEPT;"
        "iptables -A FORWARD -d 172.17.0.0/16 -j ACCEPT"
    )
    assert passing(host) == {"out4", "out6", "in4", "in6"}
    assert warnings(host) == []
    assert len(warnings(host, "apart")) == 1


def test_a_new_network_is_told_at_once(host: Host) -> None:
    host.ok("iptables -P FORWARD DROP")
    created = host.ok(
        f"curl -s --unix-socket {host.socket} -H 'Content-Type: application/json' "
        '-d \'{"Name": "later"}\' http://x/networks/create'
    )
    assert "To let it pass: iptables -I FORWARD -i br-" in json.loads(created)["Warning"]
    host.ok("docker network rm later")


@pytest.mark.parametrize("command", ["nft flush table inet other", "nft delete table inet other"])
def test_flushing_another_table_changes_nothing(host: Host, command: str) -> None:
    host.ok(f"nft -f - <<'E'{UNCONCERNED.replace('policy drop', 'policy accept')}E")
    host.ok(f"{command}; iptables -F; ip6tables -F; iptables -t nat -F; iptables-legacy -F")
    assert passing(host) == {"out4", "out6", "in4", "in6"}
