"""What holds for published ports: map elements by which the kernel forwards, and ports that are held.

    host side   container has an address of that family        it has none
    IPv4        kernel: publish, publish_at                     the port holder proxies
    IPv6        kernel: publish6, publish6_at                   the port holder proxies

The port holder also answers where the kernel cannot forward: on [::1] and on link-local addresses.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby

from fairway.firewall.ruleset import OWN, PROXIED, PROXIED_AT, PUBLISH, PUBLISH_AT
from fairway.model.address import Address, Family, family
from fairway.model.network import ANY_ADDRESS, ANY_ADDRESSES, ANY_IPV6_ADDRESS, PortMapping
from fairway.plan import Element, Fact, Flows, HeldPort


def published(ports: Iterable[PortMapping], targets: Mapping[Family, Address]) -> tuple[Fact, ...]:
    """Facts of published ports of a container that is reached at ``targets``, by family; at least one.

    One element a port, also in a range: a shifted range in one rule would let the kernel pick a neighbour
    when a tuple is taken.
    """
    mappings = list(ports)
    if not mappings or not targets:
        return ()
    own = [Element(OWN[kind], (address, address)) for kind, address in targets.items()]
    return (*own, *_held(mappings, targets), *(_element(port, targets) for port in mappings))


def flows(port: PortMapping, targets: Mapping[Family, Address]) -> tuple[Flows, ...]:
    """Connections that came through one published port."""
    return tuple(
        Flows(
            address=target,
            protocol=port.protocol,
            port=port.container_port,
            host_address="" if port.host_address in ANY_ADDRESSES else port.host_address,
            host_port=port.host_port,
        )
        for kind, target in targets.items()
        if kind == family(port.host_address)
    )


def _element(port: PortMapping, targets: Mapping[Family, Address]) -> Element:
    kind = family(port.host_address)
    where = (port.protocol, str(port.host_port))
    data = f"{targets[kind]} . {port.container_port}" if kind in targets else ""
    if port.host_address in ANY_ADDRESSES:
        return Element(PUBLISH[kind] if data else PROXIED[kind], where, data)
    return Element(PUBLISH_AT[kind] if data else PROXIED_AT[kind], (port.host_address, *where), data)


def _held(ports: list[PortMapping], targets: Mapping[Family, Address]) -> Iterable[HeldPort]:
    """A port on all addresses of both families that leads to one place is one socket."""

    def place(port: PortMapping) -> tuple[str, int, int]:
        return port.protocol, port.host_port, port.container_port

    for (protocol, number, inside), group in groupby(sorted(ports, key=place), place):
        addresses = sorted({port.host_address for port in group})
        if {ANY_ADDRESS, ANY_IPV6_ADDRESS} <= set(addresses):
            addresses = [Address(""), *(a for a in addresses if a not in ANY_ADDRESSES)]
        for address in addresses:
            kind: Family = family(address) if address else 4
            target = targets.get(kind) or next(iter(targets.values()))
            yield HeldPort(protocol, address, number, target, inside)
