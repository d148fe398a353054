"""The address book: which subnets networks hold, which addresses endpoints hold."""

import ipaddress
from collections.abc import Iterable, Sequence

from fairway.ipam.pool import PoolAllocator
from fairway.ipam.subnets import DEFAULT_POOLS, choose, overlaps
from fairway.model.address import Address, Cidr, Family, contains, family, host, interface
from fairway.model.errors import Conflict, Forbidden, InvalidParameter
from fairway.model.network import Network, Pool
from fairway.model.request import PoolRequest
from fairway.model.system import AddressPool


class Ipam:
    """State of all pools. Not thread-safe: owned by the engine's event loop."""

    def __init__(self, pools: Sequence[AddressPool] = DEFAULT_POOLS) -> None:
        self.pools = tuple(pools)
        self._allocators: dict[str, list[tuple[Pool, PoolAllocator]]] = {}

    def plan_pools(
        self,
        requests: Sequence[PoolRequest],
        families: Sequence[Family],
        occupied: Iterable[Cidr],
        *,
        instead_of: str = "",
    ) -> tuple[Pool, ...]:
        """Complete pools for a new network: subnets chosen where none is named, gateways filled in.

        A subnet of a family that the network does not use is kept, as in Docker; nothing comes from it.
        ``occupied`` are subnets that the host uses, avoided only when choosing; those of the network
        ``instead_of`` are free. Raises InvalidParameter for contradictory requests, Forbidden for an overlap
        with another network.
        """
        result: list[Pool] = []
        others = self._subnets(instead_of)
        avoid = [*occupied, *others]
        for request in requests:
            subnet = request.subnet
            if subnet is None:
                kind = family(request.ip_range or request.gateway or Cidr("0.0.0.0/0"))
                if any(family(p.subnet) == kind for p in result):
                    continue
                subnet = choose(self.pools, kind, avoid)
            for other in (*others, *(p.subnet for p in result)):
                if overlaps(subnet, other):
                    raise Forbidden(
                        "invalid pool request: Pool overlaps with other one on this address space"
                    )
            result.append(_complete(request, subnet))
            avoid.append(subnet)
        for kind in families:
            if not any(family(p.subnet) == kind for p in result):
                subnet = choose(self.pools, kind, avoid)
                result.append(_complete(PoolRequest(), subnet))
        return tuple(result)

    def choose(self, kind: Family, occupied: Iterable[Cidr], *, instead_of: str = "") -> Cidr:
        """A free subnet of the pools. Raises InvalidParameter when there is none."""
        return choose(self.pools, kind, [*occupied, *self._subnets(instead_of)])

    def offers(self, subnet: Cidr) -> bool:
        """Whether ``choose`` could give this subnet."""
        net = ipaddress.ip_network(subnet)
        return any(
            net.prefixlen == pool.size and overlaps(subnet, Cidr(pool.base))
            for pool in self.pools
            if family(Cidr(pool.base)) == net.version
        )

    def add(self, network: Network) -> None:
        """Take a network's pools into the book."""
        self._allocators[network.id] = [(pool, PoolAllocator(pool)) for pool in network.pools]

    def remove(self, network_id: str) -> None:
        self._allocators.pop(network_id, None)

    def allocate(
        self, network: Network, wanted: Address | None, kind: Family, previous: Address | None
    ) -> Cidr:
        """An address of the family with its prefix length.

        ``wanted`` is taken exactly or refused; ``previous`` is preferred if still free.
        Raises Conflict when taken or exhausted, InvalidParameter when outside every subnet.
        """
        if wanted:
            pool, allocator = self._owner(network, wanted)
            allocator.reserve(wanted)
            return interface(wanted, pool.subnet)
        candidates = [pair for pair in self._allocators[network.id] if family(pair[0].subnet) == kind]
        for pool, allocator in candidates:
            if previous and allocator.free(previous):
                allocator.reserve(previous)
                return interface(previous, pool.subnet)
        for pool, allocator in candidates:
            address = allocator.allocate()
            if address:
                return interface(address, pool.subnet)
        raise Conflict(
            f"no available IPv{kind} addresses on this network's address pools: {network.name} ({network.id})"
        )

    def reserve(self, network: Network, address: Cidr) -> None:
        """Take an address that is known to be in use, when state is restored."""
        self._owner(network, host(address))[1].reserve(host(address))

    def release(self, network_id: str, addresses: Iterable[Cidr]) -> None:
        for address in addresses:
            for pool, allocator in self._allocators.get(network_id, ()):
                if contains(pool.subnet, host(address)):
                    allocator.release(host(address))

    def _owner(self, network: Network, address: Address) -> tuple[Pool, PoolAllocator]:
        for pool, allocator in self._allocators[network.id]:
            if contains(pool.subnet, address):
                return pool, allocator
        raise InvalidParameter(
            f"invalid endpoint settings: no configured subnet contains IP address {address}"
        )

    def _subnets(self, but: str = "") -> list[Cidr]:
        """Of all networks except one."""
        networks = self._allocators.items()
        return [pool.subnet for network, pairs in networks if network != but for pool, _ in pairs]


def _check_usable(net: ipaddress.IPv4Network | ipaddress.IPv6Network) -> None:
    """Raise InvalidParameter for a subnet that the kernel gives a meaning of its own (RFC 6890)."""
    reserved = {
        4: (
            ("0.0.0.0/8", "this host"),
            ("127.0.0.0/8", "loopback"),
            ("224.0.0.0/3", "multicast and reserved"),
        ),
        6: (("::/127", "unspecified and loopback"), ("ff00::/8", "multicast")),
    }
    for block, meaning in reserved[net.version]:
        if net.overlaps(ipaddress.ip_network(block)):
            raise InvalidParameter(f"invalid subnet {net}: it overlaps with the {meaning} addresses {block}")


def _complete(request: PoolRequest, subnet: Cidr) -> Pool:
    """Check that all parts lie in the subnet; the gateway defaults to the first address of the range."""
    net = ipaddress.ip_network(subnet)
    _check_usable(net)
    if request.ip_range:
        inner = ipaddress.ip_network(request.ip_range)
        if inner.version != net.version or not inner.subnet_of(net):  # type: ignore[arg-type]
            raise InvalidParameter(f"invalid ip-range {request.ip_range}: it is outside of subnet {subnet}")
    for what, address in (
        ("gateway", request.gateway),
        *((f"auxiliary address {name}", a) for name, a in request.auxiliary.items()),
    ):
        if address and not contains(subnet, address):
            raise InvalidParameter(f"invalid {what} {address}: it is outside of subnet {subnet}")
    gateway = request.gateway
    if gateway and net.version == 4 and net.prefixlen < 31:
        for what, edge in (("network", net.network_address), ("broadcast", net.broadcast_address)):
            if gateway == str(edge):
                raise InvalidParameter(f"invalid gateway {gateway}: it is the {what} address of {subnet}")
    if gateway is None:
        taken = set(request.auxiliary.values())
        first = net.network_address + (1 if net.num_addresses > 2 else 0)
        while str(first) in taken:
            first += 1
        if first not in net:
            raise InvalidParameter(f"invalid subnet {subnet}: no address is left for the gateway")
        gateway = Address(str(first))
    return Pool(subnet=subnet, gateway=gateway, ip_range=request.ip_range, auxiliary=request.auxiliary)
