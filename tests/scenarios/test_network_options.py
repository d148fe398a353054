"""The daemon's options about networks, on a real host, in one daemon after the other."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon_host import NODE_IP, OUTSIDE_IP, Host, running_host

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host with an image and an own bridge, whose daemon each test starts with its options."""
    with running_host(tmp_path_factory.mktemp("options")) as host:
        host.ok(
            "ip link add mine address 02:00:00:00:00:09 type bridge;"
            "ip addr add 192.168.5.1/24 dev mine; ip link set mine up"
        )
        host.stop_daemon()
        yield host


@pytest.fixture
def host(stopped: Host) -> Iterator[Host]:
    yield stopped
    stopped.ok("docker ps -aq | xargs -r docker rm -f; docker network prune -f")
    stopped.stop_daemon()


def described(host: Host, link: str) -> tuple[object, ...]:
    """What one sets of a bridge, not what follows from its ports."""
    shown = json.loads(host.ok(f"ip -j -d addr show {link}"))[0]
    addresses = tuple(a["local"] for a in shown["addr_info"] if a["scope"] != "link")
    settings = shown["linkinfo"]["info_data"]
    own = (settings[name] for name in ("stp_state", "nf_call_iptables", "nf_call_ip6tables"))
    return shown["address"], shown["mtu"], shown.get("ifalias"), shown["group"], addresses, *own


def reaches(host: Host, source: str, target: str) -> bool:
    return host.run(f"docker exec {source} ping -c 1 -W 1 {target}").returncode == 0


def address(host: Host, name: str) -> str:
    return host.ok(f"docker inspect -f '{{{{.NetworkSettings.IPAddress}}}}' {name}").strip()


def test_an_own_bridge_is_used_and_left_as_it_is(host: Host) -> None:
    before = described(host, "mine")
    host.start_daemon("--bridge=mine")
    assert "docker0" not in host.links()
    for name in ("aa", "bb"):
        host.ok(f"docker run -d --name {name} busybox sleep 3600")
    assert (address(host, "aa"), reaches(host, "aa", address(host, "bb"))) == ("192.168.5.2", True)
    assert reaches(host, "aa", OUTSIDE_IP)
    host.ok("docker rm -f aa bb")
    host.settle()
    assert described(host, "mine") == before
    host.stop_daemon()
    host.start_daemon()
    assert "docker0" in host.links()
    assert described(host, "mine") == before


def test_an_own_bridge_with_icc_off(host: Host) -> None:
    if not Path("/proc/sys/net/bridge/bridge-nf-call-iptables").exists():
        pytest.skip("bridged frames are not filtered here: modprobe br_netfilter")
    host.start_daemon("--bridge=mine", "--icc=false")
    for name in ("aa", "bb"):
        host.ok(f"docker run -d --name {name} busybox sleep 3600")
    assert not reaches(host, "aa", address(host, "bb"))
    assert reaches(host, "aa", "192.168.5.1")
    assert reaches(host, "aa", OUTSIDE_IP)
    host.ok("sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0")


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--bridge=nosuch", "bridge device with non default name nosuch must be created manually"),
        ("--bridge=eth0", "interface eth0 is not a bridge"),
    ],
)
def test_a_bridge_must_be_there(host: Host, option: str, text: str) -> None:
    with pytest.raises(AssertionError, match=text) as caught:
        host.start_daemon(option)
    assert (
        "failed to start daemon: Error initializing network controller: error creating default "
        '"bridge" network: '
    ) in str(caught.value)
    host.start_daemon()


def test_without_a_default_network(host: Host) -> None:
    host.start_daemon("--bridge=none")
    assert "docker0" not in host.links()
    assert host.ok("docker network ls --format '{{.Name}}'").split() == ["host", "none"]
    assert host.ok("docker run --rm busybox ls /sys/class/net").split() == ["lo"]
    host.ok("docker network create web")
    assert host.ok("docker run --rm --network web busybox ls /sys/class/net").split() == ["eth0", "lo"]


def test_without_rules(host: Host) -> None:
    host.start_daemon("--iptables=false", "--ip6tables=false")
    assert host.ok("nft list ruleset") == ""
    host.ok("docker run -d --name web -p 8080:80 busybox sh -c 'echo ok >/tmp/x; httpd -f -p 80 -h /tmp'")
    assert host.ok("nft list ruleset") == ""
    for where in (f"http://{NODE_IP}:8080/x", "http://127.0.0.1:8080/x", "http://[::1]:8080/x"):
        assert host.ok(f"curl -sS -m 5 --retry 5 --retry-connrefused {where}") == "ok\n"
    assert not reaches(host, "web", OUTSIDE_IP)
    assert host.ok("cat /proc/sys/net/ipv4/conf/docker0/route_localnet") == "0\n"
    host.ok("docker rm -f web")
    host.stop_daemon()
    host.start_daemon("--iptables=false")
    assert "meta nfproto ipv4 accept" in host.ok("nft list chain inet fairway forward")


def test_forwarding_is_left_off(host: Host) -> None:
    host.ok("sysctl -qw net.ipv4.ip_forward=0")
    host.start_daemon("--ip-forward=false")
    created = host.ok("docker network create web; docker run --rm --network web busybox true")
    assert "WARNING: IPv4 forwarding is disabled. Networking will not work." in created
    assert "WARNING: IPv4 forwarding is disabled" in host.ok("docker info")
    assert host.ok("cat /proc/sys/net/ipv4/ip_forward") == "0\n"
    assert "WARNING" not in host.ok("docker run --rm --network none busybox true")


def test_the_second_address_of_a_pool_and_another_gateway(host: Host) -> None:
    host.start_daemon(
        *("--bip=192.168.7.5/24", "--fixed-cidr=192.168.7.64/26", "--default-gateway=192.168.7.200"),
        *("--default-network-opt=bridge=com.docker.network.driver.mtu=1280", "--mtu=1400", "--ip=127.0.0.1"),
    )
    host.ok("docker network create web")
    inside = host.ok("docker run --rm busybox sh -c 'ip addr show eth0; ip route'")
    assert "mtu 1400" in inside and "inet 192.168.7.64/24" in inside
    assert "default via 192.168.7.200" in inside
    assert "mtu 1280" in host.ok("docker run --rm --network web busybox ip addr show eth0")
    shown = json.loads(host.ok("docker network inspect bridge"))[0]
    assert shown["IPAM"]["Config"] == [
        {
            "Subnet": "192.168.7.0/24",
            "IPRange": "192.168.7.64/26",
            "Gateway": "192.168.7.5",
            "AuxiliaryAddresses": {"DefaultGatewayIPv4": "192.168.7.200"},
        }
    ]


def test_containers_that_run_keep_their_network(host: Host) -> None:
    host.start_daemon("--bip=192.168.7.5/24")
    host.ok("docker run -d --name box busybox sleep 3600")
    host.stop_daemon()
    host.start_daemon("--bip=192.168.8.1/24")
    assert "updated network configuration will not take affect" in host.log()
    assert reaches(host, "box", "192.168.7.5")
    host.ok("docker stop -t 0 box")
    host.stop_daemon()
    host.start_daemon("--bip=192.168.8.1/24")
    assert "192.168.7.5" not in host.ok("ip addr")
    host.ok("docker start box")
    assert address(host, "box") == "192.168.8.2"


def test_beside_a_docker0_of_another_program(host: Host) -> None:
    host.start_daemon("--bridge=none")
    host.stop_daemon()
    host.ok("ip link add docker0 type bridge && ip addr add 172.17.0.1/16 dev docker0")
    before = described(host, "docker0")
    try:
        host.start_daemon()
        host.settle()
        note = "docker0 belongs to another program; the default bridge is fairway0"
        assert note in host.log()
        assert f"WARNING: {note}" in host.ok("docker info")
        assert "inet 172.18.0.1/16" in host.ok("ip addr show fairway0")
        host.ok("docker run --rm busybox ping -c 1 -W 1 172.18.0.1")
        assert described(host, "docker0") == before
    finally:
        host.ok("ip link del docker0")
