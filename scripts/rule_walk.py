"""The ruleset's text, interpreted: which rules a packet meets at each hook, and what they decide.

It plays the part of ``kernel/trace/chains.py``, which states the same decisions without rules, in
``kernel.trace.walk``; a unit test lets both decide about the same packets. A rule or condition of a shape
that nobody explained to this file is an error, so what is generated from it cannot silently go stale.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fairway.kernel.trace.chains import Ruling, Seen
from fairway.kernel.trace.scene import Scene
from fairway.model.address import Address
from fairway.plan import HOST, Element, Fact

_NAMES = "[io]ifname|ip6? [sd]addr|meta (?:l4proto|nfproto)|th dport|ct (?:state|status)"
_FIELD = rf"(?:{_NAMES}|fib daddr type|icmpv6 type)"
_CONDITION = re.compile(rf"({_FIELD}(?: \. {_FIELD})*) (!= )?(@\w+|\{{[^}}]*\}}|\S+) ?(.*)")
_DNAT = re.compile(rf"dnat ip(6?) to ({_FIELD}(?: \. {_FIELD})*) map @(\w+)")
_STATEMENT = re.compile(r"(?:counter )?((?:goto|jump) \w+|accept|drop|return|masquerade)(?: comment .*)?")
_PRIORITIES = {"raw": -300, "dstnat": -100, "filter": 0, "srcnat": 100}
"""nft(8): standard priority names of the inet family."""

Elements = Mapping[str, Mapping[tuple[str, ...], str]]


@dataclass(frozen=True)
class Chain:
    name: str
    rules: tuple[str, ...]
    hook: str = ""
    priority: int = 0


def chains(text: str) -> dict[str, Chain]:
    """The chains of a table, in the order of the text."""
    found = {}
    for name, body in re.findall(r"chain (\w+) \{\n(.*?)\n?    \}", text, re.DOTALL):
        lines = [line.strip() for line in body.splitlines() if line.strip()]
        base = re.match(r"type \w+ hook (\w+) priority ([\w-]+)", lines[0]) if lines else None
        rules = tuple(line for line in lines if not line.startswith("type "))
        at = _PRIORITIES[base[2]] if base and base[2] in _PRIORITIES else int(base[2]) if base else 0
        found[name] = Chain(name, rules, base[1] if base else "", at)
    return found


@dataclass
class RuleWalk:
    """Implements ``kernel.trace.walk.Rules``. ``met`` counts the rules that were looked at.

    Its rulings say in ``by`` at which hook, in ``why`` what matched: lines of chain, rule, and new
    destination or nothing, with tabs between.
    """

    chains: Mapping[str, Chain]
    elements: Elements
    met: int = 0

    def prerouting(self, scene: Scene, packet: Seen, /) -> Ruling | None:
        return self._hook("prerouting", scene, packet)

    def output(self, scene: Scene, packet: Seen, /) -> Ruling | None:
        return self._hook("output", scene, packet)

    def receive(self, scene: Scene, packet: Seen, /) -> Ruling | None:
        return self._hook("input", scene, packet)

    def forward(self, scene: Scene, packet: Seen, /) -> Ruling | None:
        return self._hook("forward", scene, packet)

    def postrouting(self, scene: Scene, packet: Seen, /) -> Ruling | None:
        return self._hook("postrouting", scene, packet)

    def _hook(self, hook: str, scene: Scene, packet: Seen) -> Ruling:
        """All chains at a hook in order of priority."""
        passing = _Passing(self, scene, packet)
        verdict = ""
        for chain in sorted((c for c in self.chains.values() if c.hook == hook), key=lambda c: c.priority):
            verdict = passing.through(chain)
            if verdict == "drop":
                break
        return Ruling(
            why="\n".join(passing.lines),
            by=hook,
            drop=verdict == "drop",
            target=passing.target,
            masquerade=passing.masquerade,
        )


@dataclass
class _Passing:
    """One packet at one hook."""

    walk: RuleWalk
    scene: Scene
    packet: Seen
    lines: list[str] = field(default_factory=list)
    target: tuple[Address, int] | None = None
    masquerade: bool = False

    def through(self, chain: Chain) -> str:
        """The verdict: ``accept``, ``drop``, or empty where the chain ends without."""
        for rule in chain.rules:
            self.walk.met += 1
            statement = self._statement(rule)
            if statement is None:
                continue
            self.lines.append(f"{chain.name}\t{rule}\t")
            if self.target:
                self.lines[-1] += f"{self.target[0]} port {self.target[1]}"
                return "accept"
            if statement == "masquerade":
                self.masquerade = True
                return "accept"
            if statement == "return":
                return ""
            if statement in ("accept", "drop"):
                return statement
            how, _, name = statement.partition(" ")
            verdict = self.through(self.walk.chains[name])
            if not self.walk.chains[name].rules:
                self.lines.pop()  # an empty chain of the administrator's says nothing
            if verdict or how == "goto":
                return verdict
        return ""

    def _statement(self, rule: str) -> str | None:
        """What a rule does with the packet; None if it does not concern it."""
        rest = rule
        while found := _CONDITION.fullmatch(rest):
            if not self._holds(found[1].split(" . "), bool(found[2]), found[3]):
                return None
            rest = found[4]
        if found := _DNAT.fullmatch(rest):
            return "dnat" if self._translates(found[1], found[2].split(" . "), found[3]) else None
        if found := _STATEMENT.fullmatch(rest):
            return found[1]
        raise ValueError(f"explain this rule to scripts/rule_walk.py: {rule}")

    def _holds(self, fields: list[str], negated: bool, right: str) -> bool:
        values = [self._value(field) for field in fields]
        if None in values:
            return False
        key = tuple(str(value) for value in values)
        if right.startswith("@"):
            return (key in self.walk.elements.get(right[1:], {})) != negated
        allowed = right.strip("{} ").replace(" ", "").split(",")
        return any(_equal(key[0], each) for each in allowed) != negated

    def _translates(self, six: str, fields: list[str], name: str) -> bool:
        values = [self._value(field) for field in fields]
        value = self.walk.elements.get(name, {}).get(tuple(map(str, values)))
        if None in values or value is None or bool(six) != (self.packet.family == 6):
            return False
        address, _, port = value.partition(" . ")
        self.target = Address(address), int(port)
        return True

    def _value(self, field: str) -> str | None:
        """A field of the packet; None if it has none such: an IPv6 packet has no ``ip saddr``."""
        packet = self.packet
        if field.startswith("ip") and field.split()[0] != ("ip6" if packet.family == 6 else "ip"):
            return None
        match field:
            case "iifname":
                return packet.incoming
            case "oifname":
                return packet.outgoing
            case "ip saddr" | "ip6 saddr":
                return str(packet.source)
            case "ip daddr" | "ip6 daddr":
                return packet.destination
            case "meta l4proto":
                return packet.protocol
            case "meta nfproto":
                return f"ipv{packet.family}"
            case "th dport":
                return str(packet.port)
            case "ct state":
                return "new"  # every journey is about the first packet of a connection
            case "ct status":
                return "dnat" if packet.translated else ""
            case "fib daddr type":
                return "local" if self.scene.has(HOST, packet.destination) else "unicast"
            case "icmpv6 type":
                return "echo-request" if packet.protocol == "icmp" and packet.family == 6 else None
            case _:
                raise ValueError(f"explain this field to scripts/rule_walk.py: {field}")


def _equal(value: str, wanted: str) -> bool:
    if "/" in wanted or ":" in wanted:
        return value != "None" and ipaddress.ip_address(value) in ipaddress.ip_network(wanted)
    return value == wanted


def elements_of(facts: Iterable[Fact]) -> Elements:
    """What the sets and maps hold."""
    found: dict[str, dict[tuple[str, ...], str]] = {}
    for fact in facts:
        if isinstance(fact, Element):
            found.setdefault(fact.table_object, {})[fact.key] = fact.value
    return found
