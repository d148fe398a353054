"""What the daemon's options mean to the engine."""

import msgspec

from fairway.model.address import Address, Cidr, Family
from fairway.model.system import AddressPool


class DefaultBridge(msgspec.Struct, frozen=True, kw_only=True):
    """What the options ask of the network ``bridge``; what they leave open is chosen when it is made."""

    enabled: bool = True
    device: str = ""
    """``--bridge``: a bridge of the administrator's, which is never changed; empty for one of ours."""
    addresses: dict[Family, Cidr] = {}
    """``--bip``, ``--bip6``: the bridge's own address, which also decides on the subnet."""
    ranges: dict[Family, Cidr] = {}
    """``--fixed-cidr``: containers' addresses come from there."""
    gateways: dict[Family, Address] = {}
    """``--default-gateway``: where containers send what leaves, if not to the bridge."""
    icc: bool = True
    masquerade: bool = True
    ipv6: bool = False


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    """This daemon's identity, kept over restarts."""
    exec_root: str
    data_root: str
    address_pools: tuple[AddressPool, ...]
    mtu: int = 1500
    """Of the network ``bridge``."""
    default_bridge: DefaultBridge = DefaultBridge()
    default_network_options: dict[str, dict[str, str]] = {}
    """Driver → driver options of networks that do not set them themselves."""
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    debug: bool = False
    iptables: bool = True
    """Whether IPv4 packets meet rules of ours (``--iptables``); without, published ports are proxied."""
    ip6tables: bool = True
    ip_forward: bool = True
    """Whether the daemon turns forwarding on (``--ip-forward``)."""
    host_address: Address | None = None
    """Where ports are published that name no address (``--ip``); None for everywhere."""
    host_gateways: tuple[Address, ...] = ()
    """What ``host-gateway`` means in ``--add-host``; empty for the gateways of the bridge."""
