"""A daemon that starts again where nothing has changed has nothing to do, whatever runs there; where nothing
is left but its data, after a reboot of the host, it makes everything as it was.
"""

import contextlib
import os
import signal
import time
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


BEFORE_THE_REBOOT = """
set -e
fairway network create --ipv6 --subnet 10.7.0.0/24 --subnet fd07::/64 six
fairway network create --internal inside
run() { name=$1; shift; fairway run -d --name $name "$@"; }
run web --restart always --network six -p 80 -p 8080:81 -p 53:53/udp busybox httpd -f -p 81 -h /etc
run side --restart always --network container:web busybox sleep 600
run idle --restart always --network container:web busybox sleep 600
run db --restart unless-stopped --network six --network-alias store busybox sleep 600
run both --restart unless-stopped -p 80 --mac-address 02:42:ac:11:00:99 busybox sleep 600
fairway network connect six both
fairway network connect inside both
run shut --restart unless-stopped --network six busybox sleep 600
run tried --restart on-failure --network inside busybox sleep 600
run plain --network six -p 8081:80 busybox sleep 600
run gone --rm --network none busybox sleep 600
fairway stop -t 0 idle shut
"""
STATES = """web running 0
side running 0
idle running 0
db running 0
both running 0
shut exited 137
tried running 0
plain exited 255
"""
NETWORKS = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}} {{.MacAddress}} {{end}}"
HAD = f"""
set -e
fairway inspect -f '{{{{.Name}}}} {{{{.NetworkSettings.Ports}}}} {NETWORKS}' web side idle db both tried plain
for name in web both; do fairway exec $name ip -o link | sed 's/@.*mtu/ mtu/'; done
ip -br link | grep -E '^(br-|docker0|veth)' | sed 's/@.*//' | sort
fairway network ls
"""
"""What belongs to those that run in the end."""


def rebooted(host: Host) -> Host:
    """The same host after a power failure: new namespaces, an empty /run, no processes, no cgroups."""
    running = host.ok("fairway ps -q --no-trunc").split()
    pids = host.ok(f"fairway inspect -f '{{{{.State.Pid}}}}' {' '.join(running)}").split()
    host.stop_daemon(signal.SIGKILL)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    host.close()
    for container in running:
        for directory in Path("/sys/fs/cgroup").glob(f"*/fairway/{container}"):
            directory.rmdir()
    return Host(host.directory)


def test_a_reboot(tmp_path: Path) -> None:
    host = Host(tmp_path)
    try:
        host.start_daemon()
        host.load_busybox()
        host.ok(BEFORE_THE_REBOOT, timeout=120)
        before = host.ok(HAD)
        host = rebooted(host)
        host.start_daemon()
        states = "fairway inspect -f '{{slice .Name 1}} {{.State.Status}} {{.State.ExitCode}}'"
        names = " ".join(line.split()[0] for line in STATES.splitlines())
        deadline = time.monotonic() + 30
        while (found := host.ok(f"{states} {names}")) != STATES:
            assert time.monotonic() < deadline, f"{found}\n{host.log()}"
            time.sleep(0.1)
        assert host.run("fairway inspect gone").returncode == 1
        host.ok("fairway start plain")
        assert host.ok(HAD) == before
        host.ok("fairway exec web ping -c 1 -W 3 store && fairway exec db ping -c 1 -W 3 both")
        host.ok("fairway exec side wget -q -O /dev/null http://127.0.0.1:81/passwd")
        assert "root:" in host.ok("curl -fsS -m 5 http://127.0.0.1:8080/passwd")
        host.ok("fairway rm -f $(fairway ps -aq) && fairway network rm six inside")
        host.settle()
        assert not [link for link in host.links() if link.startswith(("veth", "br-"))]
        assert not [m for m in host.mounts() if "rootfs/" in m or "netns/" in m]
    finally:
        host.close()
