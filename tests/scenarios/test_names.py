"""The options of ``run`` about names and addresses, with the stock docker CLI and with fairway."""

import json
import re
import shutil
from collections.abc import Iterator

import pytest

from daemon_host import Host, running_host

pytestmark = pytest.mark.root
MAC = "02:00:00:00:00:77"
SYSCTLS = "com.docker.network.endpoint.sysctls"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Networks ``web`` (both families), ``back``; a container ``one`` on ``web``."""
    with running_host(tmp_path_factory.mktemp("names")) as host:
        host.ok("docker network create --ipv6 --subnet 10.9.0.0/24 --subnet fd00:9::/64 web")
        host.ok("docker network create back")
        host.ok("docker run -d --name one --network web --ip 10.9.0.9 busybox sleep 3600")
        yield host


@pytest.fixture(params=["docker", "fairway"])
def client(request: pytest.FixtureRequest) -> str:
    if not shutil.which(request.param) and request.param == "docker":
        pytest.skip("the docker CLI is not installed (Debian: apt-get install docker.io or docker-cli)")
    return str(request.param)


@pytest.mark.parametrize(
    ("options", "command", "expected"),
    [
        ("-h me", "hostname; cat /etc/hostname /etc/hosts", [r"^me\nme$", r"^172\.17\.0\.\d+\tme$"]),
        (
            "-h me.example",
            "hostname; cat /etc/hosts",
            [r"^me\.example$", r"^172\.17\.0\.\d+\tme\.example me$"],
        ),
        (
            "-h me --domainname example",
            "cat /etc/hosts /proc/sys/kernel/domainname",
            [r"^172\.17\.0\.\d+\tme\.example me$", "^example$"],
        ),
        ("--network host -h me", "hostname", ["^me$"]),
        (
            "--dns 1.2.3.4 --dns 5.6.7.8 --dns-search a.example --dns-search b --dns-option ndots:3",
            "cat /etc/resolv.conf",
            ["^nameserver 1.2.3.4\nnameserver 5.6.7.8$", "^search a.example b$", "^options ndots:3$"],
        ),
        (
            "--network web --dns 1.2.3.4 --dns-search .",
            "cat /etc/resolv.conf",
            ["^nameserver 127.0.0.11$", "^options ndots:0$", r"\A(?!(.|\n)*(search|1\.2\.3\.4))"],
        ),
        (
            "--add-host a:10.0.0.9 --add-host b=[fd00::8] --add-host here:host-gateway",
            "cat /etc/hosts",
            ["^10.0.0.9\ta$", "^fd00::8\tb$", "^172.17.0.1\there$"],
        ),
        (
            "--network web --add-host here:host-gateway",
            "ping -c 1 -W 2 here",
            [r"\(172.17.0.1\)", " 0% pack"],
        ),
        (
            f"--network web --ip 10.9.0.77 --ip6 fd00:9::77 --mac-address {MAC} --link-local-ip 169.254.7.7",
            "ip addr show eth0",
            [MAC, "inet 10.9.0.77/24 ", "inet6 fd00:9::77/64 ", "inet 169.254.7.7/16 "],
        ),
        (
            f"--mac-address {MAC} --link-local-ip 169.254.7.7",
            "ip addr show eth0",
            [MAC, "inet 169.254.7.7/16 "],
        ),
        (
            "--network web --ip 10.9.0.78 --network-alias x --network-alias y",
            "nslookup -type=a x; nslookup -type=a y",
            ["^Name:\tx\nAddress: 10.9.0.78$", "^Name:\ty\nAddress: 10.9.0.78$"],
        ),
        (
            "--network web --link one:uno",
            "nslookup -type=a uno; cat /etc/hosts; env",
            ["^Name:\tuno\nAddress: 10.9.0.9$", r"\A(?!(.|\n)*(UNO|\tuno ))"],
        ),
        (
            f"--network name=web,alias=x,ip=10.9.0.5,mac-address={MAC},link-local-ip=169.254.9.9 "
            "--network name=back,alias=y,driver-opt=com.docker.network.endpoint.ifname=b0,gw-priority=5",
            "ip addr; ip route; nslookup -type=a x; nslookup -type=a y",
            [
                rf"eth0@.*\n.* {MAC} (.|\n)*inet 169.254.9.9/16(.|\n)*inet 10.9.0.5/24",
                r"^default via 172.\d+.0.1 dev b0",
                "^Name:\tx\nAddress: 10.9.0.5$",
                r"^Name:\ty\nAddress: 172.\d+.0.2$",
            ],
        ),
        (
            f"--network name=web,driver-opt={SYSCTLS}=net.ipv4.conf.IFNAME.log_martians=1",
            "cat /proc/sys/net/ipv4/conf/eth0/log_martians",
            ["^1$"],
        ),
        (
            "--sysctl net.core.somaxconn=77 --sysctl net.ipv4.conf.eth0.log_martians=1",
            "cat /proc/sys/net/core/somaxconn /proc/sys/net/ipv4/conf/eth0/log_martians",
            ["^77\n1$"],
        ),
    ],
)
def test_option(host: Host, client: str, options: str, command: str, expected: list[str]) -> None:
    output = host.ok(f"{client} run --rm {options} busybox sh -c '{command}'")
    for pattern in expected:
        assert re.search(pattern, output, re.MULTILINE), f"{pattern}\n{output}"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("--network web --ip 10.9.1.7", "no configured subnet contains IP address 10.9.1.7"),
        ("--network web --ip 10.9.0.9", "Address already in use"),
        (
            "--network back --ip 172.31.0.7",
            "user specified IP address is supported only when connecting to networks with user configured "
            "subnets",
        ),
        ("--ip 172.17.0.7", "user specified IP address is supported on user defined networks only"),
        (
            "--network container:one --ip 10.9.0.7",
            "user specified IP address is supported on user defined networks only",
        ),
        ("--network web --ip6 zz", "invalid IPv6 address: zz"),
        ("--network web --link-local-ip zz", "invalid link-local IP address: zz"),
        ("--network web --mac-address zz", "zz is not a valid mac address"),
        ("--network web --network web", 'network "web" is specified multiple times'),
        (
            "--network web --network host",
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
        ),
        ("--network name=web,foo=bar", "invalid field key foo"),
        (
            f"--network name=web,driver-opt={SYSCTLS}=net.ipv4.conf.eth0.log_martians=1",
            "unrecognised network interface sysctl 'net.ipv4.conf.eth0.log_martians=1'; represent "
            "'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'",
        ),
        (
            "--network host --sysctl net.ipv4.ip_forward=0",
            "failed to create task for container: failed to create shim task: OCI runtime create failed: "
            'runc create failed: sysctl "net.ipv4.ip_forward" not allowed in host network namespace: unknown',
        ),
        ("--network container:one --dns 1.2.3.4", "conflicting options: dns and the network mode"),
        ("--network container:one -h me", "conflicting options: hostname and the network mode"),
        (
            "--network container:one --add-host a:1.2.3.4",
            "conflicting options: custom host-to-IP mapping and the network mode",
        ),
        ("--add-host a:1.2.3", 'invalid IP address in add-host: "1.2.3"'),
        ("--dns nonsense", "IP address is not correctly formatted: nonsense"),
    ],
)
def test_refused(host: Host, client: str, options: str, complaint: str) -> None:
    done = host.run(f"{client} run --rm {options} busybox true")
    assert done.returncode == 125
    assert complaint in done.stdout


def test_options_of_connect(host: Host, client: str) -> None:
    host.ok(f"{client} run -d --name late busybox sleep 3600")
    host.ok(
        f"{client} network connect --alias l --ip 10.9.0.44 --link one:uno --link-local-ip 169.254.4.4 "
        "--driver-opt com.docker.network.endpoint.ifname=web7 --gw-priority 3 web late"
    )
    output = host.ok("docker exec late sh -c 'ip addr show web7; ip route; nslookup -type=a uno'")
    for expected in ("inet 10.9.0.44/24", "inet 169.254.4.4/16", "default via 10.9.0.1 dev web7", "10.9.0.9"):
        assert expected in output
    settings = json.loads(host.ok("docker inspect late"))[0]["NetworkSettings"]["Networks"]["web"]
    assert (settings["Aliases"], settings["Links"], settings["GwPriority"]) == (["l"], ["one:uno"], 3)
    host.ok("docker rm -f late")
