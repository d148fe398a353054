"""The container network model: network, endpoint, sandbox.

A *network* is a set of endpoints that reach one another directly. An *endpoint* joins one sandbox to one
network. A *sandbox* is a network namespace: the whole network stack of a container.
"""

from typing import Literal

import msgspec

from fairway.model.address import Address, Cidr, Mac, family

ANY_ADDRESS = Address("0.0.0.0")
ANY_IPV6_ADDRESS = Address("::")
ANY_ADDRESSES = frozenset((ANY_ADDRESS, ANY_IPV6_ADDRESS))
DEFAULT_GATEWAY = {4: "DefaultGatewayIPv4", 6: "DefaultGatewayIPv6"}
"""Names of auxiliary addresses with a meaning of their own (moby, bridge driver): see ``Pool.next_hop``."""

SPOOF_GUARD = "fairway.spoof_guard"
"""The driver option of bridge networks that is not Docker's."""


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """One subnet of a network and how addresses are handed out in it."""

    subnet: Cidr
    gateway: Address | None = None
    ip_range: Cidr | None = None
    auxiliary: dict[str, Address] = {}

    @property
    def next_hop(self) -> Address | None:
        """Where containers send what leaves: the auxiliary address that Docker names so, else the gateway."""
        return self.auxiliary.get(DEFAULT_GATEWAY[family(self.subnet)]) or self.gateway


class BridgeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Driver options of a bridge network, parsed from ``com.docker.network.*`` and ``fairway.*``."""

    bridge: str
    mtu: int = 1500
    icc: bool = True
    masquerade: bool = True
    host_binding_ipv4: Address | None = None
    interface_prefix: str = "eth"
    default_bridge: bool = False
    spoof_guard: bool = True
    """Whether its containers are kept from posing as one another (``firewall/guard.py``)."""
    foreign: bool = False
    """The bridge is the administrator's: never made, addressed, changed or removed by us."""


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """A network as asked for, plus what was chosen for it. ``options`` echoes the driver options given."""

    id: str
    name: str
    driver: str
    created: int
    """Nanoseconds since the epoch."""
    scope: str = "local"
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    ipv4: bool = True
    ipv6: bool = False
    config_only: bool = False
    config_from: str = ""
    ipam_driver: str = "default"
    ipam_options: dict[str, str] | None = None
    pools: tuple[Pool, ...] = ()
    static: bool = False
    """Whether the user configured a subnet; only then may endpoints ask for an address."""
    options: dict[str, str] = {}
    labels: dict[str, str] = {}
    bridge: BridgeOptions | None = None


class EndpointRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a user asks of one attachment: ``EndpointSettings`` of the API, parsed."""

    aliases: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    """``container`` or ``container:alias``."""
    ipv4: Address | None = None
    ipv6: Address | None = None
    link_local: tuple[Address, ...] = ()
    mac: Mac | None = None
    driver_options: dict[str, str] = {}
    gw_priority: int = 0


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One attachment of a container's sandbox to a network.

    While the container does not run it holds no address and no id (Docker frees both, R117); ``previous``
    and ``interface`` remember what it had, to be preferred at the next start. ``host_interface`` stays its
    own.
    """

    id: str = ""
    """64 hex digits, new at each start; empty while not attached."""
    network_id: str
    container_id: str
    request: EndpointRequest = EndpointRequest()
    addresses: tuple[Cidr, ...] = ()
    previous: tuple[Cidr, ...] = ()
    mac: Mac | None = None
    gateways: tuple[Address, ...] = ()
    interface: str = ""
    """Name inside the sandbox, e.g. ``eth0``; empty on drivers without interfaces."""
    host_interface: str = ""
    """Name of the veth end on the host."""


class PortMapping(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One published port: what comes to the host side goes to the container's port."""

    protocol: Literal["tcp", "udp", "sctp"] = "tcp"
    container_port: int
    host_address: Address = ANY_ADDRESS
    """``0.0.0.0`` for every IPv4 address of the host, ``::`` for every IPv6 address."""
    host_port: int


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """A network namespace held alive by a file."""

    id: str
    key: str
    """Path of the namespace file, ``<exec-root>/netns/<first 12 of id>``; the host's is ``default``."""
    orphan: str = ""
    """Name of the removed container that made it, while others still run in it."""
