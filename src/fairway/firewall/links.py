"""What a link opens in a network whose containers may otherwise not talk to each other (icc off)."""

from collections.abc import Iterable

from fairway.firewall.ruleset import LINKED
from fairway.model.address import Address, family
from fairway.plan import Element


def opened(source: Address, target: Address, ports: Iterable[tuple[str, int]]) -> tuple[Element, ...]:
    """From ``source`` to each (protocol, port) that the target exposes; replies pass as such."""
    return tuple(
        Element(LINKED[family(target)], (source, target, protocol, str(port))) for protocol, port in ports
    )
