"""What the kernel holds of our nftables tables, with what it has counted: read, never applied."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fairway.plan.facts import Element


@dataclass(frozen=True, slots=True)
class Count:
    """Packets and their bytes; in chains that translate addresses, of the first packet of each connection."""

    packets: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The tables at one moment; empty without them."""

    installed: bool = False
    """Whether the rules are there that look at the elements: somebody may have flushed them."""

    elements: Mapping[Element, Count | None] = field(default_factory=dict)
    """None for elements of sets that do not count."""
    rules: Mapping[str, Count] = field(default_factory=dict)
    """What rules count, by their comment; those of one comment together."""
    user: Mapping[str, int] = field(default_factory=dict)
    """How many rules the administrator's chains hold."""
