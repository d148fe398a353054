"""What leads out of a sandbox and into it: default routes, and published ports.

Docker's rule (networking guide, "gw-priority"): the highest priority wins, then the network name that sorts
first; internal networks and networks without a gateway never do.
"""

from collections.abc import Iterable

from fairway.firewall.publish import published
from fairway.model.address import Address, Cidr, Family, family, host
from fairway.model.network import Endpoint, Network, PortMapping
from fairway.plan import Fact, Hairpin, Route


def gateway_endpoint(
    attachments: Iterable[tuple[Network, Endpoint]], kind: Family
) -> tuple[Network, Endpoint] | None:
    """The attachment whose gateway of that family the sandbox uses, None if none can."""
    able = [
        (network, endpoint)
        for network, endpoint in attachments
        if not network.internal
        and any(family(g) == kind for g in endpoint.gateways)
        and any(family(a) == kind for a in endpoint.addresses)
    ]
    return min(able, key=lambda pair: (-pair[1].request.gw_priority, pair[0].name), default=None)


def default_routes(attachments: Iterable[tuple[Network, Endpoint]], sandbox: str) -> tuple[Route, ...]:
    """The default routes that shall hold in the sandbox."""
    pairs = list(attachments)
    routes = []
    kinds: tuple[tuple[Family, Cidr], ...] = ((4, Cidr("0.0.0.0/0")), (6, Cidr("::/0")))
    for kind, anywhere in kinds:
        chosen = gateway_endpoint(pairs, kind)
        if chosen:
            gateway = next(g for g in chosen[1].gateways if family(g) == kind)
            routes.append(Route(sandbox, anywhere, gateway, chosen[1].interface))
    return tuple(routes)


def outward(
    attachments: Iterable[tuple[Network, Endpoint]], ports: Iterable[PortMapping], sandbox: str
) -> tuple[Fact, ...]:
    """Default routes, and published ports that lead to the endpoints of the default routes.

    Both follow from the same choice, so that answers leave the way the questions came.
    """
    pairs = list(attachments)
    targets, links = published_at(pairs)
    mappings = tuple(ports)
    hairpins = tuple(Hairpin(link) for link in links) if mappings else ()
    return (*default_routes(pairs, sandbox), *hairpins, *published(mappings, targets))


def published_at(
    attachments: Iterable[tuple[Network, Endpoint]],
) -> tuple[dict[Family, Address], tuple[str, ...]]:
    """Where published ports lead, by address family, and the host ends of those interfaces."""
    pairs = list(attachments)
    targets: dict[Family, Address] = {}
    links: dict[str, None] = {}
    kinds: tuple[Family, ...] = (4, 6)
    for kind in kinds:
        if chosen := gateway_endpoint(pairs, kind):
            targets[kind] = next(host(a) for a in chosen[1].addresses if family(a) == kind)
            links[chosen[1].host_interface] = None
    return targets, tuple(links)
