"""What the table does, told by network and container.

It is told from the elements that the kernel holds, not from what was asked for: a rule that is missing in
the kernel is missing here. The model only gives the names.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from fairway.firewall import guard
from fairway.firewall.ruleset import (
    BRIDGES,
    CLOSED,
    INTERNAL,
    ISOLATED,
    LINKED,
    MASQUERADE,
    OWN,
    PUBLISH,
    PUBLISH_AT,
    SAME,
    SPOOFED,
    UNPUBLISHED,
)
from fairway.model.address import Family
from fairway.model.container import Container
from fairway.model.network import ANY_ADDRESS, ANY_IPV6_ADDRESS, Network
from fairway.model.rule import Rule
from fairway.plan import Count, Counted, Element, HeldPort

OUTSIDE, OTHERS = "outside", "other networks"


def of_network(network: Network, counted: Counted) -> list[Rule]:
    """What happens to the packets of one network; empty while the kernel knows nothing of it."""
    if network.bridge is None or not counted.installed:
        return []
    bridge = network.bridge.bridge

    def rule(name: str, origin: str, to: str, verdict: str, count: Count | None = None) -> Rule:
        return _rule("network", network, name, origin, to, verdict, count)

    def holds(name: str, *key: str) -> bool:
        return Element(name, key or (bridge,)) in counted.elements

    def count(name: str) -> Count | None:
        return counted.elements.get(Element(name, (bridge,)))

    found = []
    if holds(SAME, bridge, bridge):
        closed = holds(CLOSED)
        verdict = "drop" if closed else "accept"
        found.append(rule("within", bridge, bridge, verdict, count(CLOSED) if closed else None))
    if holds(BRIDGES):
        found.append(rule("between", bridge, OTHERS, "drop"))
    if holds(INTERNAL):
        found.append(rule("internal", bridge, f"{OUTSIDE}, and back", "drop", count(INTERNAL)))
    elif holds(BRIDGES):
        masqueraded = holds(MASQUERADE)
        verdict = "masquerade" if masqueraded else "accept"
        found.append(rule("outward", bridge, OUTSIDE, verdict, count(MASQUERADE) if masqueraded else None))
        found.append(rule("unpublished", OUTSIDE, bridge, "drop"))
    guarded = Element(guard.GUARDED, (str(guard.group(network.id)),))
    if guarded in counted.elements:
        found.append(rule("spoofed", bridge, "others' addresses", "drop", counted.elements[guarded]))
    return found


def of_addresses(
    owners: Mapping[str, Container],
    counted: Counted,
    held: Iterable[HeldPort],
    families: Collection[Family] = (4, 6),
) -> list[Rule]:
    """What names an address of a container: published ports, links.

    ``owners`` are the containers by address; what belongs to nobody is the host's. No rule reads elements of
    other ``families``.
    """
    found: list[Rule] = []

    def add(address: str, name: str, origin: str, to: str, verdict: str, count: Count | None) -> None:
        owner = owners.get(address)
        kind = "container" if owner else "host"
        found.append(_rule(kind, owner, name, origin, to, verdict, count))

    read = {objects[kind] for objects in (PUBLISH, PUBLISH_AT, LINKED, OWN) for kind in families}
    elements = {
        e: count for e, count in counted.elements.items() if counted.installed and e.table_object in read
    }
    for element, count in sorted(elements.items(), key=lambda pair: order(pair[0])):
        name, key = element.table_object, element.key
        if name in (*PUBLISH.values(), *PUBLISH_AT.values()):
            everywhere = ANY_ADDRESS if name == PUBLISH[4] else ANY_IPV6_ADDRESS
            address, protocol, port = key if len(key) == 3 else (everywhere, *key)
            target, inside = element.value.split(" . ")
            origin = f"{_at(address, port)}/{protocol}"
            add(target, "published", origin, _at(target, inside), "dnat", count)
        elif name in LINKED.values():
            source, target, protocol, port = key
            add(source, "link", source, f"{_at(target, port)}/{protocol}", "accept", count)
        elif name in OWN.values():
            add(key[0], "hairpin", key[0], key[1], "masquerade", count)
    for hold in sorted(held, key=lambda hold: (hold.protocol, hold.port, hold.address)):
        origin = f"{_at(hold.address or '*', str(hold.port))}/{hold.protocol}"
        add(hold.target, "held", origin, _at(hold.target, str(hold.target_port)), "proxy", None)
    return found


def of_host(counted: Counted, families: Collection[Family] = (4, 6)) -> list[Rule]:
    """What is counted for all networks together by rules for these ``families``."""
    told = {
        ISOLATED: ("between", "any network", OTHERS),
        UNPUBLISHED: ("unpublished", OUTSIDE, "any network"),
    }
    if 4 in families:
        told[SPOOFED] = ("spoofed", "any network", "127.0.0.0/8")
    told |= {comment: ("spoofed", "any network", what) for comment, what in guard.FORGED.items()}
    return [
        _rule("host", None, *told[comment], "drop", count)
        for comment, count in sorted(counted.rules.items())
        if comment in told
    ]


def order(element: Element) -> tuple[Sequence[str | int], ...]:
    """Sorts elements by set and key, ports as numbers."""
    return ((element.table_object,), *((len(k), int(k)) if k.isdecimal() else (0, k) for k in element.key))


def _at(address: str, port: str) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _rule(
    kind: str,
    owner: Network | Container | None,
    name: str,
    origin: str,
    to: str,
    verdict: str,
    count: Count | None,
) -> Rule:
    return Rule(
        kind=kind,  # type: ignore[arg-type]  # callers give literals
        id=owner.id if owner else "",
        name=owner.name if owner else "",
        rule=name,
        origin=origin,
        to=to,
        verdict=verdict,
        packets=count.packets if count else None,
        bytes=count.bytes if count else None,
    )
