"""A daemon that starts again where nothing has changed has nothing to do, whatever runs there."""

import signal
from pathlib import Path

import pytest

from daemon_host import Host

pytestmark = pytest.mark.root

POPULATION = """
set -e
fairway network create --ipv6 --subnet 10.7.0.0/24 --subnet fd07::/64 six
fairway network create -o com.docker.network.bridge.enable_icc=false closed
fairway network create --internal inside
fairway network create -o com.docker.network.bridge.host_binding_ipv4=127.0.0.1 bound
fairway run -d --name db --expose 5432 busybox sleep 600
fairway run -d --name web --link db:store -p 8080:80 -p 127.0.0.1:8081:81 -p 53:53/udp -P busybox sleep 600
fairway run -d --name both --network six -p 8090:80 -p [::1]:8091:80 -p 8092:81/sctp busybox sleep 600
fairway network connect closed both
fairway run -d --name shut --network closed --expose 90 -P --sysctl net.ipv4.ip_default_ttl=9 busybox sleep 60
fairway run -d --name within --network inside --mac-address 02:42:ac:11:00:99 busybox sleep 600
fairway run -d --name bound --network bound -p 8093:80 busybox sleep 600
fairway run -d --name none --network none busybox sleep 600
fairway run -d --name host --network host busybox sleep 600
fairway run -d --name owner --network six -p 8094:80 --link db busybox sleep 600
fairway run -d --name peer --network container:owner busybox sleep 600
fairway run -d --name peer2 --network container:peer busybox sleep 600
fairway stop -t 0 owner
fairway run -d --name gone --network closed -p 8095:80 busybox sleep 600
fairway run -d --name heir --network container:gone busybox sleep 600
fairway rm -f gone
fairway port add shut 8096:80/udp
fairway port rm web 8081:81
"""


def restarted(host: Host, *options: str, how: int) -> str:
    """What the next daemon logs while it starts."""
    before = len(host.log())
    host.stop_daemon(how)
    host.start_daemon(*options)
    return host.log()[before:]


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--icc=false", "--ipv6", "--fixed-cidr-v6=fd08::/64"),
        ("--iptables=false", "--ip6tables=false"),
        ("--bridge=mine", "--icc=false"),
    ],
    ids=" ".join,
)
def test_nothing_to_do(tmp_path: Path, options: tuple[str, ...]) -> None:
    host = Host(tmp_path)
    try:
        host.ok("ip link add mine type bridge && ip addr add 10.9.0.1/24 dev mine && ip link set mine up")
        host.start_daemon(*options)
        host.load_busybox()
        host.ok(POPULATION, timeout=120)
        addresses = host.ok("ip -br address")
        for how in (signal.SIGTERM, signal.SIGKILL):
            log = restarted(host, *options, how=how)
            assert "in line with the state" not in log, log
            assert "warning" not in log.lower(), log
        assert host.ok("ip -br address") == addresses
    finally:
        host.close()
