"""Which answer a sandbox gets to a name: from its zone, an error, or from upstream. Pure.

The rules are Docker's, decided on the question alone:

- A name that the sandbox's own table (links) or one of its networks has is answered from there, the first one
  that has it; qualified with the network's name (``web.net1``) only from that network. The name exists, so a
  type that it has no data of (AAAA without IPv6, MX, SRV, TXT) is NODATA and never goes upstream, where it
  would be refuted.
- Another name below a network's name never leaves: container names are nobody else's business.
- The rest goes upstream, single labels included (the search list has been applied by the client's libc). A
  sandbox that only has internal networks must not reach the outside even through DNS: NXDOMAIN. With no
  upstream known a single label does not exist, and of a longer name nobody can say: SERVFAIL.

Rejected: merging all of a sandbox's names into one dictionary when they are published; with 200 sandboxes on
a network of 200 names each start of a container would cost 40,000 entries.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fairway.dns import wire
from fairway.model.address import Address
from fairway.model.dns import NetworkNames, Zone


class Answer(NamedTuple):
    """What to reply: addresses, or one PTR name, or neither."""

    rcode: int = wire.NOERROR
    addresses: tuple[Address, ...] = ()
    pointer: str = ""


class Forward:
    """The verdict "ask upstream"."""


FORWARD = Forward()
NODATA = Answer()
NXDOMAIN = Answer(wire.NXDOMAIN)
SERVFAIL = Answer(wire.SERVFAIL)
REFUSED = Answer(wire.REFUSED)


def decide(
    zone: Zone, networks: Sequence[NetworkNames], name: str, qtype: int, qclass: int, *, upstream: bool
) -> Answer | Forward:
    """The verdict on one question.

    ``networks`` are the tables that the zone lists, in its order; ``name`` is lower case without trailing
    dot; ``upstream`` says whether there is any server to ask.
    """
    if qclass != wire.IN or qtype in (wire.AXFR, wire.IXFR):
        return REFUSED
    if qtype == wire.PTR and (pointer := _pointer(zone, networks, name)):
        return Answer(pointer=pointer)
    addresses = _lookup(zone, networks, name)
    if addresses is not None:
        return Answer(addresses=tuple(a for a in addresses if _wanted(a, qtype)))
    if any(name.endswith("." + network.name.lower()) for network in networks):
        return NXDOMAIN
    return _stranger(zone, name, upstream=upstream)


def _lookup(zone: Zone, networks: Sequence[NetworkNames], name: str) -> tuple[Address, ...] | None:
    """Addresses of the name, None if the sandbox sees no such name."""
    if name in zone.names:
        return zone.names[name]
    for network in networks:
        if name in network.names:
            return network.names[name]
        bare = name.removesuffix("." + network.name.lower())
        if bare != name and bare in network.names:
            return network.names[bare]
    return None


def _pointer(zone: Zone, networks: Sequence[NetworkNames], name: str) -> str:
    """The name of the address asked for, empty if unknown."""
    address = wire.reverse_address(name)
    if address is None:
        return ""
    tables: tuple[Mapping[Address, str], ...] = (zone.reverse, *(n.reverse for n in networks))
    return next((table[Address(address)] for table in tables if address in table), "")


def _wanted(address: Address, qtype: int) -> bool:
    """Whether a question of that type is answered by the address; ANY takes all (RFC 8482 allows less)."""
    return qtype == wire.ANY or qtype == (wire.AAAA if ":" in address else wire.A)


def _stranger(zone: Zone, name: str, *, upstream: bool) -> Answer | Forward:
    if not zone.forward:
        return NXDOMAIN
    if upstream:
        return FORWARD
    return SERVFAIL if "." in name else NXDOMAIN
