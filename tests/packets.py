"""Networks for real packets: a host with an uplink, a neighbour on it, bridge networks, sockets anywhere.

outside 192.0.2.9, 2001:db8::9 ── up1, up0 ── host 192.0.2.1, 2001:db8::1 ── br-<n> 10.<n>.0.1, fd00:<n>::1
"""

import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import pytest

from fairway.drivers import find
from fairway.drivers.bridge import endpoint_mac
from fairway.drivers.routes import outward
from fairway.kernel.linux import LinuxKernel
from fairway.kernel.namespaces import Namespaces
from fairway.model.address import Address, Cidr
from fairway.model.network import BridgeOptions, Endpoint, Network, Pool, PortMapping
from fairway.plan import Namespace, Plan, establish
from netns_host import NetnsHost

HOST = {4: "192.0.2.1", 6: "2001:db8::1"}
OUTSIDE = {4: "192.0.2.9", 6: "2001:db8::9"}
PATIENCE, BRIEF = 5.0, 0.3
"""Seconds after which what should come, or should not, counts as lost."""
T = TypeVar("T")


def network(number: int, *, internal: bool = False, icc: bool = True, masquerade: bool = True) -> Network:
    """Network ``number``, with both address families."""
    return Network(
        id=f"{number:x}" * 64,
        name=f"net{number}",
        driver="bridge",
        created=0,
        ipv6=True,
        internal=internal,
        pools=(
            Pool(subnet=Cidr(f"10.{number}.0.0/24"), gateway=Address(f"10.{number}.0.1")),
            Pool(subnet=Cidr(f"fd00:{number}::/64"), gateway=Address(f"fd00:{number}::1")),
        ),
        bridge=BridgeOptions(bridge=f"br-{number}", icc=icc, masquerade=masquerade),
    )


def made(net: Network) -> Plan:
    return establish(find("bridge").network(net))


def attached(
    net: Network, number: int, sandbox: str, ports: tuple[PortMapping, ...] = (), *, ipv6: bool = True
) -> Plan:
    """A container with the addresses 10.<net>.0.<number> and fd00:<net>::<number>."""
    net_number = net.name.removeprefix("net")
    addresses = [Cidr(f"10.{net_number}.0.{number}/24"), Cidr(f"fd00:{net_number}::{number}/64")]
    endpoint = Endpoint(
        id=f"{number:x}" * 64,
        network_id=net.id,
        container_id="c" * 64,
        addresses=tuple(addresses if ipv6 else addresses[:1]),
        gateways=() if net.internal else tuple(p.gateway for p in net.pools if p.gateway),
        interface="eth0",
        host_interface=f"veth{net_number}x{number}",
    )
    fields = {name: getattr(endpoint, name) for name in endpoint.__struct_fields__}
    endpoint = Endpoint(**fields | {"mac": endpoint_mac(endpoint)})
    facts = find("bridge").endpoint(net, endpoint, sandbox)
    return establish([Namespace(sandbox), *facts, *outward([(net, endpoint)], ports, sandbox)])


@contextlib.asynccontextmanager
async def with_uplink(host: NetnsHost) -> AsyncIterator[LinuxKernel]:
    """The host's kernel, the ruleset installed, the neighbour ``outside`` connected."""
    kernel, outside = host.kernel(), host.sandbox("outside")
    try:
        await kernel.install()
        await kernel.apply(establish([Namespace(outside)]))
        _connect(host, outside)
        yield kernel
    finally:
        await kernel.close()


def _connect(host: NetnsHost, outside: str) -> None:
    for command, where in (
        (f"ip link add up0 type veth peer name up1 netns {outside}; ip link set lo up", ""),
        (_configured("up0", HOST), ""),
        (_configured("up1", OUTSIDE), outside),
    ):
        done = host.run(command, where)
        assert done.returncode == 0, done.stderr


def _configured(link: str, addresses: dict[int, str]) -> str:
    return (
        f"sysctl -qw net.ipv6.conf.{link}.accept_dad=0; ip link set {link} up; "
        f"ip addr add {addresses[4]}/24 dev {link}; ip addr add {addresses[6]}/64 dev {link} nodad"
    )


def bridged(host: NetnsHost, value: str) -> None:
    """Have bridged frames meet the firewall, or not, host-wide."""
    for table in ("iptables", "ip6tables"):
        done = host.run(f"echo {value} > /proc/sys/net/bridge/bridge-nf-call-{table}")
        if done.returncode:
            pytest.skip("this kernel has no br_netfilter: CONFIG_BRIDGE_NETFILTER")


def inside(host: NetnsHost, where: str, work: Callable[[], T]) -> T:
    """The result of work in the namespace of a sandbox, or of the host (``""``). A socket stays there."""
    done: list[T] = []

    def run() -> None:
        namespaces = Namespaces(None)
        try:
            with namespaces.inside(host.sandbox(where) if where else host.file):
                done.append(work())
        finally:
            namespaces.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return done[0]


def opened(
    host: NetnsHost,
    where: str,
    address: str,
    kind: int = socket.SOCK_STREAM,
    *,
    patience: float = PATIENCE,
) -> socket.socket:
    """A socket of the address's family in a namespace."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = inside(host, where, lambda: socket.socket(family, kind))
    made.settimeout(patience)
    if kind == socket.SOCK_STREAM:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made


def seen_source(
    host: NetnsHost,
    source: str,
    address: str,
    port: int,
    *,
    server: str = "server",
    on: tuple[str, int] = ("", 80),
    bound: str = "",
    patience: float = PATIENCE,
) -> str | None:
    """The client address that a TCP server sees, None when nothing gets through.

    ``bound`` is the address that the client connects from.
    """
    listens_on = on[0] or ("::" if ":" in address else "0.0.0.0")
    with (
        opened(host, server, listens_on, patience=patience) as listening,
        opened(host, source, address, patience=patience) as client,
    ):
        listening.bind((listens_on, on[1]))
        listening.listen()
        if bound:
            client.bind((bound, 0))
        try:
            client.connect((address, port))
            with listening.accept()[0] as accepted:
                return str(accepted.getpeername()[0])
        except OSError:
            return None


def blocked(
    host: NetnsHost,
    source: str,
    address: str,
    port: int,
    *,
    server: str = "server",
    on: tuple[str, int] = ("", 80),
    bound: str = "",
) -> bool:
    """Whether no TCP connection gets through."""
    seen = seen_source(host, source, address, port, server=server, on=on, bound=bound, patience=BRIEF)
    return seen is None
