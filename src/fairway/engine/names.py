"""Which names resolve to which addresses: tables of networks and zones of sandboxes, from the state.

A container is known on each network that has a resolver under its name, its short id, its aliases and, when
given, its hostname; peers qualify any of these with the network's name. Links and the container's own name
are private to its zone. The default bridge has no names (R142).
"""

from collections.abc import Sequence

from fairway.engine.links import parse_link
from fairway.engine.state import State
from fairway.model.address import Address, family, host
from fairway.model.container import Container
from fairway.model.dns import NetworkNames, Zone
from fairway.model.network import Endpoint, Network


def resolves(network: Network) -> bool:
    """Whether containers of the network find each other by name."""
    return network.bridge is not None and not network.bridge.default_bridge


def dns_names(container: Container, request_aliases: Sequence[str]) -> tuple[str, ...]:
    """All names of a container on a network, its own name first, without repetition."""
    short = container.id[:12]
    hostname = container.config.hostname
    own = (container.name, *request_aliases, short, *((hostname,) if hostname else ()))
    return tuple(dict.fromkeys(own))


def network_names(state: State, network: Network) -> NetworkNames:
    """The table of one network, from its running members."""
    names: dict[str, list[Address]] = {}
    reverse: dict[Address, str] = {}
    for container, endpoint in state.members(network.id):
        if not endpoint.addresses:
            continue
        addresses = [host(a) for a in endpoint.addresses]
        for name in dns_names(container, endpoint.request.aliases):
            names.setdefault(name.lower(), []).extend(addresses)
        for address in addresses:
            reverse[address] = f"{container.name}.{network.name}"
    return NetworkNames(
        id=network.id, name=network.name, names={n: tuple(a) for n, a in names.items()}, reverse=reverse
    )


def zone(state: State, container: Container, upstreams: tuple[str, ...]) -> Zone | None:
    """What the container's resolver knows; None when it needs none."""
    attachments = [(n, e) for n, e in state.attachments(container.id) if resolves(n)]
    if not attachments:
        return None
    private: dict[str, tuple[Address, ...]] = {}
    for network, endpoint in attachments:
        for link in endpoint.request.links:
            target, alias = parse_link(link)
            addresses = _addresses(state, target, network)
            if addresses:
                for name in (alias, f"{alias}.{network.name}"):
                    private[name.lower()] = addresses
    return Zone(
        sandbox=container.sandbox,
        networks=tuple(n.id for n, _ in attachments),
        names=private,
        upstreams=tuple(container.host.dns) or upstreams,
        forward=any(not n.internal for n, _ in state.attachments(container.id)),
    )


def _addresses(state: State, reference: str, network: Network) -> tuple[Address, ...]:
    target = state.container_named(reference.removeprefix("/")) or state.containers.get(reference)
    endpoint: Endpoint | None = state.endpoint(target.id, network.id) if target else None
    return tuple(host(a) for a in endpoint.addresses) if endpoint else ()


def hosts_lines(state: State, container: Container, hostname: str) -> list[tuple[str, str]]:
    """Own addresses and names for /etc/hosts: address, then "hostname.domain hostname", however given."""
    domain = container.config.domainname
    full = f"{hostname}.{domain}" if domain else hostname
    names = " ".join(dict.fromkeys((full, full.partition(".")[0])))
    pairs = [
        (host(address), names)
        for _, endpoint in state.attachments(container.id)
        for address in endpoint.addresses
    ]
    return sorted(pairs, key=lambda pair: family(Address(pair[0])))
