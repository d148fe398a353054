"""The set elements that one network adds to the base ruleset."""

from fairway.firewall.ruleset import BRIDGES, CLOSED, INTERNAL, MASQUERADE, SAME
from fairway.plan import Element


def elements(bridge: str, *, icc: bool, internal: bool, masquerade: bool) -> tuple[Element, ...]:
    """Elements for a network on ``bridge``. An internal network is never masqueraded: nothing leaves it."""
    names = [BRIDGES]
    if not icc:
        names.append(CLOSED)
    if internal:
        names.append(INTERNAL)
    elif masquerade:
        names.append(MASQUERADE)
    return (Element(SAME, (bridge, bridge)), *(Element(name, (bridge,)) for name in names))
