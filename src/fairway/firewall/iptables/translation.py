"""From the elements of our sets to lines, chain by chain, in the order in which packets meet them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from fairway.firewall.iptables.shapes import TABLES, Chain, Line, Match, Table, connection, port
from fairway.firewall.report import order
from fairway.firewall.ruleset import (
    BRIDGES,
    CLOSED,
    INTERNAL,
    ISOLATED,
    LINKED,
    MASQUERADE,
    OWN,
    PROXIED,
    PROXIED_AT,
    PUBLISH,
    PUBLISH_AT,
    SAME,
    SPOOFED,
    UNPUBLISHED,
)
from fairway.model.address import Address, Cidr, Family, contains, family
from fairway.plan import Counted, Element

_LOOPBACK, _LINK_LOCAL = "127.0.0.0/8", "fe80::/10"
_NEIGHBOURS = [Match(f"-m icmp6 --icmpv6-type {n}", f"ipv6-icmptype {n}") for n in (135, 136)]
_LOCAL = Match("-m addrtype --dst-type LOCAL", "ADDRTYPE match dst-type LOCAL")
_EVERYBODY = {
    4: Match("-m addrtype --dst-type BROADCAST,MULTICAST", "ADDRTYPE match dst-type BROADCAST,MULTICAST"),
    6: Match("-m addrtype --dst-type MULTICAST", "ADDRTYPE match dst-type MULTICAST"),
}
"""IPv6 has no broadcast, and ip6tables does not take the word."""


def tables(counted: Counted, subnets: Mapping[str, Sequence[Cidr]], kind: Family) -> dict[str, Table]:
    """All tables of one family; ``subnets`` by bridge."""
    chains = {name: {chain: list[Line]() for chain in builtin} for name, builtin in TABLES.items()}
    if counted.installed:
        scene = _Scene(counted, subnets, kind)
        chains["raw"]["PREROUTING"] += scene.spoofed()
        chains["nat"] |= scene.nat()
        chains["filter"] |= scene.filter()
    return {
        name: Table(name, tuple(Chain(c, c in TABLES[name], lines) for c, lines in own.items()))
        for name, own in chains.items()
    }


class _Scene:
    def __init__(self, counted: Counted, subnets: Mapping[str, Sequence[Cidr]], kind: Family) -> None:
        self._counted, self._kind = counted, kind
        self._subnets = {b: next((s for s in own if family(s) == kind), "") for b, own in subnets.items()}
        self._sets: dict[str, list[Element]] = {}
        for element in sorted(counted.elements, key=order):
            self._sets.setdefault(element.table_object, []).append(element)

    def spoofed(self) -> Iterator[Line]:
        """Table raw."""
        if self._kind == 4:
            for bridge in self._names(BRIDGES):
                yield self._shared(SPOOFED, incoming=bridge, destination=_LOOPBACK)
                yield self._shared(SPOOFED, incoming=bridge, source=_LOOPBACK)

    def nat(self) -> dict[str, list[Line]]:
        publish = Line(target="DOCKER", match=_LOCAL)
        return {
            "PREROUTING": [Line(target="user_prerouting"), *self._unforwardable(), publish],
            "INPUT": [],
            "OUTPUT": [*self._own_unforwardable(), publish],
            "POSTROUTING": list(self._postrouting()),
            "DOCKER": list(self._published()),
            "user_prerouting": self._user("user_prerouting"),
            "user_postrouting": self._user("user_postrouting"),
        }

    def filter(self) -> dict[str, list[Line]]:
        found: dict[str, list[Line]] = {
            "INPUT": [Line(target="DOCKER-INPUT", incoming=bridge) for bridge in self._names(INTERNAL)],
            "FORWARD": list(self._forward()),
            "OUTPUT": [],
            "DOCKER": list(self._links()),
            "DOCKER-INPUT": list(self._proxied()),
            "DOCKER-ISOLATION-STAGE-1": [
                Line(target="DOCKER-ISOLATION-STAGE-2", incoming=bridge, outgoing=f"!{bridge}")
                for bridge in self._names(BRIDGES)
            ],
            "DOCKER-ISOLATION-STAGE-2": [
                self._shared(ISOLATED, outgoing=bridge) for bridge in self._names(BRIDGES)
            ],
            "DOCKER-USER": self._user("user_forward"),
        }
        if not found["DOCKER-INPUT"]:
            del found["DOCKER-INPUT"]
            found["INPUT"].clear()
        return found

    def _unforwardable(self) -> Iterator[Line]:
        """What is not led to containers, whoever sends it; the port holder may answer, but not to internal
        networks."""
        if self._kind == 6:
            for bridge in self._names(INTERNAL):
                yield Line(target="DOCKER", destination=_LINK_LOCAL, incoming=bridge, match=_LOCAL)
        yield Line(target="RETURN", destination=_LOOPBACK if self._kind == 4 else _LINK_LOCAL)

    def _own_unforwardable(self) -> Iterator[Line]:
        """Likewise, of the host's own packets."""
        for destination in ("::1/128", _LINK_LOCAL) if self._kind == 6 else ():
            yield Line(target="RETURN", destination=destination)

    def _postrouting(self) -> Iterator[Line]:
        yield Line(target="user_postrouting")
        for element in self._all(OWN[self._kind]):
            source, destination = (self._host(address) for address in element.key)
            yield self._counts(element, target="MASQUERADE", source=source, destination=destination)
        for element in self._all(SAME):
            bridge = element.key[0]
            if subnet := self._subnets.get(bridge):
                dnat = connection("DNAT")
                yield Line(target="MASQUERADE", source=subnet, outgoing=bridge, match=dnat)
        for bridge in self._names(BRIDGES):
            if self._kind == 4:
                yield Line(target="MASQUERADE", source=_LOOPBACK, outgoing=bridge)
        for bridge in self._names(BRIDGES):
            yield Line(target="RETURN", outgoing=bridge)
        for element in self._all(MASQUERADE):
            bridge = element.key[0]
            if subnet := self._subnets.get(bridge):
                yield self._counts(element, target="MASQUERADE", source=subnet, outgoing=f"!{bridge}")

    def _published(self) -> Iterator[Line]:
        """Ports on one address come first. Nobody on a bridge gets through to a loopback address."""
        for element in (*self._all(PUBLISH_AT[self._kind]), *self._all(PUBLISH[self._kind])):
            *at, protocol, number = element.key
            target, inside = element.value.split(" . ")
            loopback = bool(at) and at[0].startswith("127.")
            bridge = self._bridge(target) if loopback else ""
            yield self._counts(
                element,
                target="DNAT",
                destination=self._host(at[0]) if at else "",
                incoming=f"!{bridge}" if bridge else "",
                protocol=protocol,
                match=port(protocol, number),
                to=f"{target}:{inside}" if self._kind == 4 else f"[{target}]:{inside}",
            )

    def _forward(self) -> Iterator[Line]:
        answers = connection("RELATED,ESTABLISHED")
        yield Line(target="DOCKER-USER")
        closed = {element.key[0]: element for element in self._all(CLOSED)}
        for element in self._all(SAME):
            bridge = element.key[0]
            if bridge not in closed:
                yield Line(target="ACCEPT", incoming=bridge, outgoing=bridge)
                continue
            yield Line(target="ACCEPT", incoming=bridge, outgoing=bridge, match=answers)
            for match in _NEIGHBOURS if self._kind == 6 else ():
                yield Line(
                    target="ACCEPT", incoming=bridge, outgoing=bridge, protocol="ipv6-icmp", match=match
                )
            yield Line(target="ACCEPT", incoming=bridge, outgoing=bridge, match=connection("DNAT"))
            yield Line(target="DOCKER", incoming=bridge, outgoing=bridge)
            yield self._counts(closed[bridge], target="DROP", incoming=bridge, outgoing=bridge)
        internal = self._all(INTERNAL)
        for element in internal:
            bridge = element.key[0]
            yield self._counts(element, shared=True, target="DROP", incoming=bridge, outgoing=f"!{bridge}")
            yield self._counts(element, shared=True, target="DROP", incoming=f"!{bridge}", outgoing=bridge)
        yield Line(target="ACCEPT", match=connection("DNAT"))
        yield Line(target="DOCKER-ISOLATION-STAGE-1")
        yield Line(target="ACCEPT", match=answers)
        apart = {element.key[0] for element in internal}
        open_ = [bridge for bridge in self._names(BRIDGES) if bridge not in apart]
        for bridge in open_:
            yield Line(target="ACCEPT", incoming=bridge, outgoing=f"!{bridge}")
        for bridge in open_:
            yield self._shared(UNPUBLISHED, outgoing=bridge)

    def _links(self) -> Iterator[Line]:
        for element in self._all(LINKED[self._kind]):
            source, target, protocol, number = element.key
            bridge = self._bridge(target)
            there, back = self._host(source), self._host(target)
            yield self._counts(
                element,
                target="ACCEPT",
                source=there,
                destination=back,
                incoming=bridge,
                outgoing=bridge,
                protocol=protocol,
                match=port(protocol, number),
            )
            yield Line(
                target="ACCEPT",
                source=back,
                destination=there,
                incoming=bridge,
                outgoing=bridge,
                protocol=protocol,
                match=port(protocol, number, source=True),
            )

    def _proxied(self) -> Iterator[Line]:
        internal = self._all(INTERNAL)
        proxied = [*self._all(PROXIED_AT[self._kind]), *self._all(PROXIED[self._kind])]
        for *at, protocol, number in (element.key for element in proxied if internal):
            destination = self._host(at[0]) if at else ""
            yield Line(
                target="DROP", destination=destination, protocol=protocol, match=port(protocol, number)
            )
        if internal:
            yield Line(target="DROP", protocol="udp", match=_EVERYBODY[self._kind])

    def _user(self, chain: str) -> list[Line]:
        if not (number := self._counted.user.get(chain, 0)):
            return []
        text = f"{number} rules of yours: nft list chain inet fairway {chain}"
        return [Line(match=Match(f'-m comment --comment "{text}"', f"/* {text} */"))]

    def _all(self, name: str) -> Sequence[Element]:
        return self._sets.get(name, ())

    def _names(self, name: str) -> Iterable[str]:
        return [element.key[0] for element in self._all(name)]

    def _bridge(self, address: str) -> str:
        at = Address(address)
        return next((b for b, s in self._subnets.items() if s and contains(Cidr(s), at)), "")

    def _host(self, address: str) -> str:
        return f"{address}/{32 if self._kind == 4 else 128}"

    def _counts(self, element: Element, *, shared: bool = False, **fields: object) -> Line:
        count = self._counted.elements[element]
        return Line(count=count, shared=shared, **fields)  # type: ignore[arg-type]  # fields of Line

    def _shared(self, comment: str, **fields: str) -> Line:
        count = self._counted.rules.get(comment)
        return Line(target="DROP", count=count, shared=True, **fields)  # type: ignore[arg-type]
