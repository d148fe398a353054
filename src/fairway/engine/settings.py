"""What the daemon's options mean to the engine."""

import msgspec

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
