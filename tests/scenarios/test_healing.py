"""What somebody else breaks while the daemon runs is whole again by itself, and nothing else is touched."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon_host import Host, running_host

pytestmark = pytest.mark.root

FRONT = "br-$(docker network inspect -f '{{slice .Id 0 12}}' front)"
WEB = "$(docker inspect -f '{{.NetworkSettings.SandboxKey}}' web)"
PORTS = f"ip -br link show master {FRONT} | cut -d@ -f1"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running_host(tmp_path_factory.mktemp("host")) as running:
        running.ok("docker network create --ipv6 front && docker network create --internal back")
        running.ok(
            "docker run -d --name web --network front -p 8080:80 busybox "
            "sh -c 'echo here >/www/index.html; httpd -f -p 80 -h /www'"
        )
        running.ok("docker run -d --name db --network front busybox sleep 3600")
        running.ok("docker network connect back db")
        eventually(lambda: answers(running))
        yield running


def eventually(holds: Callable[[], object], seconds: float = 20) -> float:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, "it does not come true"
        time.sleep(0.02)
    return time.monotonic() - began


def kernel(host: Host) -> list[str]:
    """What the kernel holds, but for numbers that are new when an interface is."""
    inside = "; ".join(f"docker exec {name} ip addr; docker exec {name} ip route" for name in ("web", "db"))
    listed = host.ok(
        "ip -o link; ip -o addr; ip route; ip -6 route; nft -s list table inet fairway; "
        f"sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding; {inside}"
    )
    lines = set()
    for line in listed.splitlines():
        words = [w.partition("@")[0].rstrip(":") for w in line.split() if not w.rstrip(":").isdigit()]
        kept = " ".join(w for w in words if not w.startswith("link-netns"))
        if "inet6 fe80" not in kept and "valid_lft" not in kept and "gone-" not in kept:
            lines.add(kept)
    return sorted(lines)


def answers(host: Host) -> bool:
    """By the published port, from outside and from the host, and by name."""
    fetch = "curl -fsS -m 1 http://{}:8080/index.html"
    return (
        host.run(fetch.format("192.168.56.101"), outside=True).stdout == "here\n"
        and host.run(fetch.format("127.0.0.1")).stdout == "here\n"
        and host.run("docker exec db ping -c 1 -W 1 web").returncode == 0
    )


HARMS = {
    "ruleset flushed": "nft flush ruleset",
    "table deleted": "nft delete table inet fairway",
    "element deleted": "nft delete element inet fairway publish '{ tcp . 8080 }'",
    "element led elsewhere": "nft delete element inet fairway publish '{ tcp . 8080 }'; "
    "nft add element inet fairway publish '{ tcp . 8080 : 203.0.113.9 . 1 }'",
    "bridge missing in a set": f"nft delete element inet fairway bridges '{{ '{FRONT}' }}'",
    "rules of a chain flushed": "nft flush chain inet fairway forward",
    "rule added": "nft insert rule inet fairway forward drop",
    "bridge set down": f"ip link set {FRONT} down",
    "bridge deleted": f"ip link del {FRONT}",
    "veths deleted": f"for l in $({PORTS}); do ip link del $l; done",
    "veth set down": f"ip link set $({PORTS} | head -1) down",
    "veth off its bridge": f"ip link set $({PORTS} | head -1) nomaster",
    "MTU changed": f"ip link set {FRONT} mtu 1400",
    "address of the bridge removed": f"ip addr flush dev {FRONT}",
    "address inside removed": f"nsenter --net={WEB} ip addr flush dev eth0",
    "route inside removed": f"nsenter --net={WEB} ip route del default",
    "interface inside set down": f"nsenter --net={WEB} ip link set eth0 down",
    "forwarding turned off": "sysctl -qw net.ipv4.ip_forward=0",
    "namespace file unmounted": f"umount {WEB}",
    "namespace file removed": f"f={WEB}; umount $f; rm $f",
    "everything at once": f"nft flush ruleset; ip link del {FRONT}; sysctl -qw net.ipv4.ip_forward=0",
}


@pytest.mark.parametrize("harm", HARMS)
def test_whole_again(host: Host, harm: str) -> None:
    assert answers(host)
    before, processes = (
        kernel(host),
        host.ok("docker inspect -f '{{.State.Pid}} {{.State.StartedAt}}' web db"),
    )
    host.ok(HARMS[harm])
    took = eventually(lambda: host.run("fairway doctor").returncode == 0)
    print(f"{harm}: {took:.2f} s")
    assert answers(host)
    eventually(lambda: kernel(host) == before, 5)
    assert host.ok("docker inspect -f '{{.State.Pid}} {{.State.StartedAt}}' web db") == processes


def test_what_is_not_ours_stays(host: Host) -> None:
    """Tables, interfaces, addresses of others, rules in the administrator's chains."""
    host.ok(
        "ip link add mine type bridge; ip addr add 10.99.0.1/24 dev mine; nft add table inet mine; "
        "nft add chain inet mine c; nft add rule inet fairway user_forward counter; "
        f"nsenter --net={WEB} ip addr add 10.97.0.1/24 dev eth0"
    )
    host.ok(f"ip link set {FRONT} down")
    eventually(lambda: host.run("fairway doctor").returncode == 0)
    assert "10.99.0.1/24" in host.ok("ip addr show dev mine")
    assert "counter" in host.ok("nft list chain inet fairway user_forward; nft list table inet mine")
    assert "10.97.0.1/24" in host.ok("docker exec web ip addr")
    host.ok(
        "ip link del mine; nft delete table inet mine; nft flush chain inet fairway user_forward; "
        f"nsenter --net={WEB} ip addr del 10.97.0.1/24 dev eth0"
    )


def test_leftovers_go(host: Host) -> None:
    """Interfaces with our mark, namespaces, elements that nobody wants."""
    alias = host.ok(f"ip link show {FRONT}").partition("alias ")[2].split()[0]
    before = kernel(host)
    host.ok(
        f"ip link add br-stale type bridge; ip link set br-stale alias {alias}; "
        "nft add element inet fairway bridges '{ br-stale }'; "
        "touch /run/fairway/netns/stale; unshare --net=/run/fairway/netns/stale true"
    )
    eventually(lambda: "br-stale" not in host.ok("ip link; nft list table inet fairway"))
    eventually(lambda: "stale" not in host.ok("ls /run/fairway/netns"))
    eventually(lambda: kernel(host) == before, 5)


def test_a_container_that_may_administer_its_network_is_left_alone(host: Host) -> None:
    """It changes its routes itself, as a VPN client does. Only who asks for it gets them mended."""
    host.ok("docker run -d --name vpn --cap-add NET_ADMIN --network front busybox sleep 3600")
    host.ok("docker exec vpn ip route del default")
    host.ok(f"ip link set {FRONT} down")
    eventually(lambda: "state UP" in host.ok(f"ip link show {FRONT}"))
    told = host.run("fairway doctor")
    assert told.returncode == 1
    assert "container vpn: route 0.0.0.0/0 via" in told.stdout
    assert "default" not in host.ok("docker exec vpn ip route")
    assert "mended: container vpn: route" in host.ok("fairway doctor --fix")
    assert "default" in host.ok("docker exec vpn ip route")
    host.ok("docker rm -f vpn")


@pytest.mark.parametrize("companion", ["fairway.dns.server", "fairway.ports.holder"])
def test_a_companion_killed(host: Host, companion: str) -> None:
    own = host.ok("readlink /proc/self/ns/net").strip()
    (process,) = [
        int(found)
        for found in host.ok(f"pgrep -f {companion}").split()
        if os.readlink(f"/proc/{found}/ns/net") == own
    ]
    os.kill(process, signal.SIGKILL)
    eventually(lambda: str(process) not in host.run(f"pgrep -f {companion}").stdout.split())
    took = eventually(lambda: host.run("fairway doctor").returncode == 0 and answers(host))
    print(f"{companion}: {took:.2f} s")
    assert "8080" in host.ok("ss -Hltn sport = :8080")


def test_forwarding_is_the_administrators_where_it_was_asked_for(tmp_path: Path) -> None:
    with running_host(tmp_path, "--ip-forward=false", image=False) as host:
        host.ok("sysctl -qw net.ipv4.ip_forward=1; docker network create front")
        host.ok("sysctl -qw net.ipv4.ip_forward=0")
        host.ok("ip link set docker0 down")
        eventually(lambda: ",UP" in host.ok("ip link show docker0"))
        assert host.ok("cat /proc/sys/net/ipv4/ip_forward").strip() == "0"
        assert "forwarding is disabled" in host.ok("fairway doctor")
