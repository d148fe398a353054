"""What is asked and what is answered: a packet, and its journey."""

from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from fairway.model.address import Address, Family, family
from fairway.plan import HOST

OUTSIDE = "outside"
"""Another host, as a source or as the place where a journey ends."""

Protocol = Literal["tcp", "udp", "sctp", "icmp"]

Verdict = Literal["delivered", "leaves", "dropped", "unreachable"]
"""``leaves``: handed to the world outside Fairway's networks. ``unreachable``: no route or nobody there."""


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a connection, before anything happened to it."""

    source: str
    """``HOST``, the path of a namespace, or ``OUTSIDE``: another host, whatever it routes here."""
    destination: Address
    protocol: Protocol = "tcp"
    port: int = 0
    """Destination port; 0 for ICMP, or to ask about ports that nobody published."""
    address: Address | None = None
    """Source address; None for the one that routing chooses, or for an unknown one from outside."""

    @property
    def family(self) -> Family:
        return family(self.destination)


@dataclass(frozen=True, slots=True)
class Hop:
    """One place that the packet passes."""

    place: str
    """An interface; ``host`` for the host's network stack; ``port holder`` for the process that proxies."""
    why: str = ""
    """What happened there and why, for people; empty where it merely passes."""
    by: str = ""
    """What decided: the chain of ``inet fairway`` with its set or map, or a sysctl; empty for routing."""

    def __str__(self) -> str:
        return "  ".join(part for part in (self.place, self.why, self.by and f"[{self.by}]") if part)


@dataclass(frozen=True, slots=True)
class Journey:
    """The hops in order, how it ended, where, and why."""

    hops: tuple[Hop, ...]
    verdict: Verdict
    namespace: str
    """Where it ended: ``HOST``, the path of a namespace, or ``OUTSIDE``."""
    address: Address
    """Destination address at the end, translated by then if a published port led there."""
    port: int
    source: Address | None
    """The address from which the receiver sees it come; None if the facts do not tell."""
    reason: str
    by: str = ""
    """What decided the end, as in ``Hop.by``."""
    proxied: bool = False
    """Whether the port holder answered, and connected on to where it ended."""

    @property
    def arrives(self) -> bool:
        return self.verdict in ("delivered", "leaves")

    @property
    def path(self) -> tuple[str, ...]:
        """The places passed, in order, each once however much happened there."""
        return tuple(place for place, _ in groupby(hop.place for hop in self.hops))

    def __str__(self) -> str:
        """Each hop on a line, then the end."""
        where = {HOST: "the host", OUTSIDE: "the outside"}.get(self.namespace, self.namespace)
        seen = f", seen from {self.source}" if self.arrives and self.source else ""
        by = f" [{self.by}]" if self.by else ""
        return "\n".join([*map(str, self.hops), f"{self.verdict}: {where}{seen}: {self.reason}{by}"])
