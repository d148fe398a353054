"""The world outside of the host: a wire with two more hosts on it, which route containers' subnets here."""

from fairway.plan import Namespace, Plan, establish
from netns_host import NetnsHost
from reachability.world import ADDRESSES, NEIGHBOUR, OUTSIDE, UPLINK, UPLINK_ADDRESSES

_SWITCH = "switch"
_ROUTES = """
ip route add 10.0.0.0/8 via {host4}
ip route add fd00::/16 via {host6}
ip route add {second4} via {host4}
ip route add {second6} via {host6}
"""
_LOOPBACK_ELSEWHERE = """
sysctl -qw net.ipv4.conf.all.route_localnet=1
ip address del 127.0.0.1/8 dev lo
ip route add 127.0.0.0/8 via {gateway}
"""


def namespaces(host: NetnsHost) -> Plan:
    return establish(Namespace(host.sandbox(name)) for name in (_SWITCH, OUTSIDE, NEIGHBOUR))


def connect(host: NetnsHost) -> None:
    """Lay the wire; ``namespaces`` exist."""
    switch = host.sandbox(_SWITCH)
    run(host, "ip link add wire type bridge; ip link set wire up", switch)
    plug(host, "host", UPLINK, UPLINK_ADDRESSES)
    run(host, "ip link set lo up")
    gateways = {"host4": ADDRESSES["host"][4], "host6": ADDRESSES["host"][6]}
    gateways |= {"second4": ADDRESSES["host, second"][4], "second6": ADDRESSES["host, second"][6]}
    for name in (OUTSIDE, NEIGHBOUR):
        own = (f"{ADDRESSES[name][4]}/24", f"{ADDRESSES[name][6]}/64")
        plug(host, name, "up1", own)
        run(host, _ROUTES.format(**gateways), host.sandbox(name))
    covet_loopback(host, NEIGHBOUR, ADDRESSES["host"][4])


def covet_loopback(host: NetnsHost, place: str, gateway: str) -> None:
    """What somebody does who wants to reach another's 127.0.0.1."""
    run(host, _LOOPBACK_ELSEWHERE.format(gateway=gateway), host.sandbox(place))


def plug(host: NetnsHost, place: str, link: str, addresses: tuple[str, ...]) -> None:
    """An interface of the place, with addresses, on the wire."""
    switch, namespace = host.sandbox(_SWITCH), host.file if place == "host" else host.sandbox(place)
    run(host, f"ip link add {place} type veth peer name {link} netns {namespace}", switch)
    run(host, f"ip link set {place} master wire up", switch)
    for address in addresses:
        run(host, f"ip address add {address} dev {link}{' nodad' if ':' in address else ''}", namespace)
    run(host, f"ip link set {link} up", namespace)


def run(host: NetnsHost, script: str, namespace: str = "") -> None:
    done = host.run(f"set -e\n{script}", namespace)
    assert done.returncode == 0, done.stderr
