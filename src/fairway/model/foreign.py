"""Other programs' packet filters, reduced to what decides about forwarded packets of networks."""

from dataclasses import dataclass, field
from typing import Literal

from fairway.model.address import Family

Verdict = Literal["accept", "drop", "return", "jump", "goto"]


@dataclass(frozen=True, slots=True)
class Condition:
    """A packet fits if its property ``key`` is one of the values.

    ``iifname``, ``oifname``: interface names, ``*`` at the end for any rest; ``state``, ``status``: of the
    connection; ``nfproto``: ``ipv4`` or ``ipv6``; ``saddr``, ``daddr``: addresses or subnets.
    """

    key: str
    values: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class ForeignRule:
    """``opaque``: it also asks for something that is not looked at, a port or a protocol for example."""

    verdict: Verdict
    target: str = ""
    """The chain of ``jump`` and ``goto``."""
    conditions: tuple[Condition, ...] = ()
    opaque: bool = False


@dataclass(frozen=True, slots=True)
class ForeignTable:
    """A table with chains on the forward hook."""

    program: str
    """Whose it is, by the command that changes it: ``nft``, ``ufw``, ``firewalld``, ``iptables``,
    ``iptables-nft`` or ``iptables-legacy``; for IPv6 of the last three it begins with ``ip6tables``."""
    families: tuple[Family, ...]
    name: str
    """As nft spells it: ``ip filter``."""
    policies: dict[str, Literal["accept", "drop"]] = field(default_factory=dict)
    """Base chain on the forward hook → what becomes of packets that no rule decides about."""
    chains: dict[str, tuple[ForeignRule, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ForeignFilters:
    """What the host filters beside us, and through which interface packets leave it by default."""

    tables: tuple[ForeignTable, ...] = ()
    uplinks: dict[Family, str] = field(default_factory=dict)
