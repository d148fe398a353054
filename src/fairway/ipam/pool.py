"""Addresses of one subnet: lowest free first, within the range asked for, never a reserved one."""

import ipaddress

from fairway.ipam.bitset import BitSet
from fairway.model.address import Address
from fairway.model.errors import Conflict
from fairway.model.network import Pool


class PoolAllocator:
    """Hands out addresses of a ``Pool``. Network, broadcast (IPv4), subnet-router anycast (IPv6, RFC 4291
    §2.6.1), gateway and auxiliary addresses are never handed out."""

    def __init__(self, pool: Pool) -> None:
        self._net = ipaddress.ip_network(pool.subnet)
        self._base = int(self._net.network_address)
        self._used = BitSet(self._net.num_addresses)
        usable = ipaddress.ip_network(pool.ip_range or pool.subnet)
        self._first = int(usable.network_address) - self._base
        self._last = int(usable.broadcast_address) - self._base
        if self._net.num_addresses > 2:
            self._used.add(0)
            if self._net.version == 4:
                self._used.add(self._net.num_addresses - 1)
        for reserved in (pool.gateway, *pool.auxiliary.values()):
            if reserved and reserved in self:
                self._used.add(self._offset(reserved))

    def __contains__(self, address: Address) -> bool:
        return ipaddress.ip_address(address) in self._net

    def allocate(self) -> Address | None:
        """The lowest free address of the range, or None when all are taken."""
        offset = self._used.lowest_free(self._first)
        if offset is None or offset > self._last:
            return None
        self._used.add(offset)
        return Address(str(self._net.network_address + offset))

    def free(self, address: Address) -> bool:
        """Whether the address is in the subnet and not taken."""
        return address in self and self._offset(address) not in self._used

    def reserve(self, address: Address) -> None:
        """Take this very address. Raises Conflict if it is taken."""
        if self._offset(address) in self._used:
            raise Conflict("Address already in use")
        self._used.add(self._offset(address))

    def release(self, address: Address) -> None:
        self._used.discard(self._offset(address))

    def _offset(self, address: Address) -> int:
        return int(ipaddress.ip_address(address)) - self._base
