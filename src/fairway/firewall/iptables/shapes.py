"""Tables, chains and rules as iptables has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fairway.plan import Count

TABLES: Mapping[str, tuple[str, ...]] = {
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
}
"""iptables' tables with their built-in chains."""


@dataclass(frozen=True, slots=True)
class Match:
    """A condition of an extension: as ``-S`` writes it and as ``-L`` shows it."""

    option: str
    shown: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One rule. Interfaces may begin with ``!``; what is empty matches everything."""

    target: str = ""
    source: str = ""
    destination: str = ""
    incoming: str = ""
    outgoing: str = ""
    protocol: str = ""
    match: Match | None = None
    to: str = ""
    """Where DNAT leads."""
    count: Count | None = None
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Chain:
    name: str
    builtin: bool
    lines: list[Line] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    chains: tuple[Chain, ...]

    def references(self, chain: str) -> int:
        """How many lines lead to the chain."""
        return sum(line.target == chain for each in self.chains for line in each.lines)


def connection(state: str) -> Match:
    return Match(f"-m conntrack --ctstate {state}", f"ctstate {state}")


def port(protocol: str, number: str, *, source: bool = False) -> Match:
    side, short = ("sport", "spt") if source else ("dport", "dpt")
    return Match(f"-m {protocol} --{side} {number}", f"{protocol} {short}:{number}")
