"""The reachability matrix through a running daemon: networks, modes and ports as a user asks for them.

The specification is that of ``tests/netns/test_reachability.py``, which has more cells: links, and neighbours
that send to 127.0.0.1. Here containers of the host and of no network take part as well.
"""

import contextlib
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import replace

import pytest

from daemon_host import Host, running_host
from reachability.cells import cells
from reachability.probing import Probers, probers
from reachability.specification import places
from reachability.verdicts import ask, broken
from reachability.world import (
    ADDRESSES,
    HOST,
    NEIGHBOUR,
    NONE,
    OUTSIDE,
    ROUTED,
    UPLINK_ADDRESSES,
    WORLD,
    Net,
    Published,
    World,
)

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not shutil.which("docker"), reason="needs the docker CLI: apt-get install docker-cli"),
]

WITHOUT_LINKS = replace(WORLD, links=frozenset())
"""Links open ports on the default bridge only."""

_NEIGHBOUR = f"""
ip address add {ADDRESSES[OUTSIDE][4]}/24 dev peer
ip address add {ADDRESSES[OUTSIDE][6]}/64 dev peer nodad
ip route add {ADDRESSES["host, second"][4]} via {ADDRESSES["host"][4]}
ip route add {ADDRESSES["host, second"][6]} via {ADDRESSES["host"][6]}
ip route add 10.0.0.0/8 via {ADDRESSES["host"][4]}
ip route add fd00::/16 via {ADDRESSES["host"][6]}
"""


def test_every_packet_goes_where_it_should(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_host(tmp_path_factory.mktemp("reachability")) as host:
        wire(host)
        build(host, WITHOUT_LINKS)
        with running_probers(host, WITHOUT_LINKS) as asked:
            check(asked, WITHOUT_LINKS)
            for container in ("both", "other"):
                host.ok(f"docker network disconnect app {container}")
            gone = [written(port) for port in WITHOUT_LINKS.ports["server"] if port.port == 8081]
            host.ok(f"fairway port rm server {' '.join(gone)}")
            after = WITHOUT_LINKS.disconnected("both", "app").disconnected("other", "app")
            check(asked, after.unpublished("server", 8081))


def check(asked: Probers, world: World) -> None:
    matrix = [cell for cell in cells(world) if cell.source != NEIGHBOUR]
    assert "\n".join(broken(world, ask(asked, world, matrix))) == ""


def wire(host: Host) -> None:
    """Addresses as the specification has them, beside those of every test's host."""
    for cidr in UPLINK_ADDRESSES:
        host.ok(f"ip address add {cidr} dev eth0{' nodad' if ':' in cidr else ''}")
    done = host.run(f"set -e\n{_NEIGHBOUR}", outside=True)
    assert done.returncode == 0, done.stdout


def build(host: Host, world: World) -> None:
    for name, net in world.nets.items():
        host.ok(f"docker network create {' '.join(network_options(net))} {name}")
    for name, memberships in world.members.items():
        first, *more = memberships or {NONE: 0}
        words = [
            *address_options(world, first, name),
            *(f"-p {written(port)}" for port in world.ports.get(name, ())),
        ]
        host.ok(f"docker run -d --name {name} {' '.join(words)} busybox sleep 3600")
        for other in more:
            options = " ".join(address_options(world, other, name)[1:])
            host.ok(f"docker network connect {options} {other} {name}")
    host.ok(f"docker run -d --name {HOST} --network host busybox sleep 3600")
    gateways = [world.nets["back"].gateway(kind) for kind in (4, 6)]
    routes = "; ".join(f"ip -{6 if ':' in g else 4} route add default via {g}" for g in gateways)
    host.ok(f"{shlex.join(inside(host, ROUTED))} sh -ec {shlex.quote(routes)}")


def network_options(net: Net) -> Iterator[str]:
    for kind in net.families:
        yield f"--subnet {net.subnet(kind)} --gateway {net.gateway(kind)}"
    if net.ipv6:
        yield "--ipv6"
    if net.internal:
        yield "--internal"
    if not net.icc:
        yield "-o com.docker.network.bridge.enable_icc=false"
    if not net.masquerade:
        yield "-o com.docker.network.bridge.enable_ip_masquerade=false"


def address_options(world: World, name: str, container: str) -> list[str]:
    if name == NONE:
        return ["--network none"]
    net, number = world.nets[name], world.members[container][name]
    six = [f"--ip6 {net.address(number, 6)}"] if net.ipv6 else []
    return [f"--network {name}", f"--ip {net.address(number, 4)}", *six]


def written(port: Published) -> str:
    """As users write it."""
    where = f"[{port.address}]" if ":" in port.address else port.address
    return f"{where}:{port.port}:80/{port.protocol}"


def inside(host: Host, container: str) -> list[str]:
    """Words that make a command run in a container's network namespace, with this machine's programs."""
    process = host.ok(f"docker inspect -f '{{{{.State.Pid}}}}' {container}").strip()
    return ["nsenter", "-t", process, "-n", "--"]


@contextlib.contextmanager
def running_probers(host: Host, world: World) -> Iterator[Probers]:
    there = {name: ports for name, ports in places(world).items() if name != NEIGHBOUR}
    enter = {name: host.outside() if name == OUTSIDE else inside(host, name) for name in there}
    with probers({name: (enter[name], ports) for name, ports in there.items()}) as made:
        yield made
