"""The facts: what can hold in the kernel, as frozen, comparable values.

Every fact names the namespace it lives in: ``HOST`` for the daemon's own, otherwise the path of a namespace
file. Facts that belong to a link or namespace vanish with it; withdrawing them afterwards is no error.

10,000 published ports are 30,000 facts, so they are structs that cost a tenth of a dataclass to make and to
compare, and that the garbage collector does not look at (they hold text and numbers only).
"""

import msgspec

from fairway.model.address import Address as AddressText
from fairway.model.address import Cidr, Mac

HOST = ""
"""The network namespace in which the daemon runs."""


class Namespace(msgspec.Struct, frozen=True, gc=False):
    """A network namespace kept alive by the file ``path``, its loopback up."""

    path: str


GROUP = 0xFA1
"""Link group of what we make on the host, for people: ``ip link show group 4001``."""


class Bridge(msgspec.Struct, frozen=True, gc=False):
    """An up bridge in the host namespace, STP off, carrying Fairway's mark (see ``kernel/links.py``).

    It learns no MAC from frames to link-local groups (LLDP and the like), which meet no rule.

    ``filtered``: frames between its own ports meet the firewall, too (IFLA_BR_NF_CALL_IPTABLES and its IPv6
    twin), whatever the host-wide sysctls say.
    """

    name: str
    mac: Mac
    mtu: int
    filtered: bool = False


class Veth(msgspec.Struct, frozen=True, gc=False):
    """A veth pair: ``name`` on the host, up and a port of ``bridge``; ``peer`` up inside ``namespace``.

    ``group`` is the link group of the end on the host, by which rules tell its network.
    """

    name: str
    mac: Mac
    bridge: str
    namespace: str
    peer: str
    peer_mac: Mac
    mtu: int
    group: int = GROUP


class Address(msgspec.Struct, frozen=True, gc=False):
    """An address on a link; IPv6 is set without duplicate address detection, so it is usable at once."""

    namespace: str
    link: str
    address: Cidr


class Route(msgspec.Struct, frozen=True, gc=False):
    """A unicast route of the main table: ``destination`` (``0.0.0.0/0`` for default) through ``gateway``."""

    namespace: str
    destination: Cidr
    gateway: AddressText
    link: str


class Sysctl(msgspec.Struct, frozen=True, gc=False):
    """``/proc/sys/<key with slashes>`` holds ``value``. The key uses slashes: ``net/ipv4/ip_forward``.

    Withdrawing leaves the value: what others may rely on is not switched off behind their back.
    """

    namespace: str
    key: str
    value: str


class Element(msgspec.Struct, frozen=True, gc=False):
    """An element of a set or map of one of our nftables tables in the host namespace; names are unique.

    ``key`` is the parts of a concatenation in nft syntax, interface names without quotes; ``value`` is the
    map's data or verdict, empty for a set.
    """

    table_object: str
    key: tuple[str, ...]
    value: str = ""


class Hairpin(msgspec.Struct, frozen=True, gc=False):
    """The bridge sends frames back out of the port ``link`` (IFLA_BRPORT_MODE).

    Without it, a container that calls its own published port is not heard while br_netfilter translates
    addresses of bridged frames. Only for those who publish: a bridge inside the container would learn its own
    addresses on the wrong side.
    """

    link: str


class HeldPort(msgspec.Struct, frozen=True, gc=False):
    """The port holder listens on a port of the host: no other process can, and what the kernel did not
    forward is proxied to ``target``.

    ``address`` is empty for all addresses of both families (one socket), else ``0.0.0.0``, ``::`` or one.
    """

    protocol: str
    address: str
    port: int
    target: AddressText
    target_port: int


class Flows(msgspec.Struct, frozen=True, gc=False):
    """Connections to or from ``address`` may be tracked. Establishing does nothing; withdrawing deletes them
    from conntrack, so that no packet goes on to an address that is dead or somebody else's.

    With ``host_port``, only those that a published port leads there: ``protocol``, the host's address (empty
    for any) and port, and the container's ``port``. The kernel never reports this fact.
    """

    address: AddressText
    protocol: str = ""
    port: int = 0
    host_address: str = ""
    host_port: int = 0


class Resolver(msgspec.Struct, frozen=True, gc=False):
    """The embedded DNS server listens on 127.0.0.11:53 (UDP and TCP) inside the sandbox ``namespace``."""

    sandbox: str
    namespace: str


class Overlay(msgspec.Struct, frozen=True, gc=False):
    """An overlay mount at ``target``. ``lower`` is topmost first. Directories exist beforehand."""

    target: str
    lower: tuple[str, ...]
    upper: str
    work: str


Fact = (
    Namespace
    | Bridge
    | Veth
    | Hairpin
    | Address
    | Route
    | Sysctl
    | Element
    | HeldPort
    | Flows
    | Resolver
    | Overlay
)


def identity(fact: Fact) -> tuple[str, ...]:
    """What it is about, without its values: of two facts that share it only one can hold."""
    kind = type(fact).__name__
    match fact:
        case Bridge(name=name) | Veth(name=name):
            return "link", name
        case Route(namespace=namespace, destination=destination):
            return kind, namespace, destination
        case Sysctl(namespace=namespace, key=key):
            return kind, namespace, key
        case Element(table_object=name, key=parts):
            return kind, name, *parts
        case HeldPort(protocol=protocol, address=address, port=port):
            return kind, protocol, address, str(port)
        case Overlay(target=target):
            return kind, target
        case Resolver(sandbox=sandbox):
            return kind, sandbox
        case _:
            return kind, *map(str, msgspec.structs.astuple(fact))
