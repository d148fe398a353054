"""What the daemon's options mean to the engine."""

import msgspec

from fairway.model.address import Address
from fairway.model.system import AddressPool


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    """This daemon's identity, kept over restarts."""
    exec_root: str
    data_root: str
    address_pools: tuple[AddressPool, ...]
    mtu: int = 1500
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
