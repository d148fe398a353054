"""The map elements of published ports."""

from collections.abc import Iterable

from fairway.firewall.ruleset import PUBLISH, PUBLISH_AT
from fairway.model.address import Address
from fairway.model.network import ANY_ADDRESS, PortMapping
from fairway.plan import Element


def published(ports: Iterable[PortMapping], target: Address) -> tuple[Element, ...]:
    """One element a port, also in a range: a shifted range in one rule would let the kernel pick a neighbour
    when a tuple is taken."""
    return tuple(
        Element(
            PUBLISH if port.host_address == ANY_ADDRESS else PUBLISH_AT,
            _key(port),
            f"{target} . {port.container_port}",
        )
        for port in ports
    )


def _key(port: PortMapping) -> tuple[str, ...]:
    where = (port.protocol, str(port.host_port))
    return where if port.host_address == ANY_ADDRESS else (port.host_address, *where)
