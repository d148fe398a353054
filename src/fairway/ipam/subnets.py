"""Choosing a subnet for a network that does not name one.

Docker's order: the default pools one after the other, each cut into subnets of its size, the lowest that
overlaps nothing already used. Used subnets are merged into sorted intervals once, so the search jumps over
them: its cost depends on what is used, not on how many subnets a pool could hold.
"""

import ipaddress
from collections.abc import Iterable, Sequence

from fairway.model.address import Cidr, Family, family
from fairway.model.errors import InvalidParameter
from fairway.model.system import AddressPool

DEFAULT_POOLS = (
    AddressPool(base="172.17.0.0/16", size=16),
    AddressPool(base="172.18.0.0/16", size=16),
    AddressPool(base="172.19.0.0/16", size=16),
    AddressPool(base="172.20.0.0/14", size=16),
    AddressPool(base="172.24.0.0/14", size=16),
    AddressPool(base="172.28.0.0/14", size=16),
    AddressPool(base="192.168.0.0/16", size=20),
)
"""Docker's default address pools (dockerd reference, --default-address-pool)."""


def ula_pool(identity: str) -> AddressPool:
    """A unique local /48 (RFC 4193 §3.2) derived from the daemon's id, cut into /64 subnets."""
    digits = "".join(c for c in identity.lower() if c in "0123456789abcdef").ljust(10, "0")[:10]
    return AddressPool(base=f"fd{digits[:2]}:{digits[2:6]}:{digits[6:10]}::/48", size=64)


def overlaps(one: Cidr, other: Cidr) -> bool:
    """Whether two subnets share an address; never across families."""
    if family(one) != family(other):
        return False
    return ipaddress.ip_network(one).overlaps(ipaddress.ip_network(other))


def choose(pools: Sequence[AddressPool], want: Family, used: Iterable[Cidr]) -> Cidr:
    """The first free subnet of the pools.

    Raises InvalidParameter with Docker's text when every one is taken.
    """
    taken = sorted(_interval(c) for c in used if family(c) == want)
    for pool in pools:
        if family(Cidr(pool.base)) != want:
            continue
        base = ipaddress.ip_network(pool.base)
        step = 1 << (base.max_prefixlen - pool.size)
        start, end = int(base.network_address), int(base.broadcast_address)
        for low, high in taken:
            if low < start + step and high >= start:
                start += (high - start) // step * step + step
        if start + step - 1 <= end:
            kind = ipaddress.IPv4Address if want == 4 else ipaddress.IPv6Address
            return Cidr(f"{kind(start)}/{pool.size}")
    raise InvalidParameter(
        "all predefined address pools have been fully subnetted: could not find an available, "
        f"non-overlapping IPv{want} address pool among the defaults to assign to the network; "
        "remove unused networks or set --default-address-pool"
    )


def _interval(cidr: Cidr) -> tuple[int, int]:
    net = ipaddress.ip_network(cidr, strict=False)
    return int(net.network_address), int(net.broadcast_address)
