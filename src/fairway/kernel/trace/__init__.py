"""Where a packet goes, hop by hop and why, computed from facts alone. Pure.

The first packet of a connection, from a sandbox, the host, or outside:

    source namespace   its own address → delivered; else the most specific route, or unreachable
    wire               through the veth pair to its bridge; there the next hop is another port's far end, or
                       the bridge's own address and so the host
    ruleset            the chains of ``inet fairway`` in the kernel's order, see ``chains``; frames between
                       ports of one bridge meet them where br_netfilter passes them up
    host               its own address → delivered, or proxied if the port holder listens there; forwarding
                       off → dropped; else a route: to a network of ours, or to the outside

    journey.py   what is asked and answered        chains.py   what each chain decides, from its sets
    scene.py     the facts, indexed                walk.py     the way itself

It says what Fairway's own state decides. Other tables of the host, the administrator's ``user`` chains and
routes that Fairway did not make can still decide otherwise; the outside is one place that everything reaches.
Broadcast and multicast are not considered.

Rejected: interpreting the ruleset's text. The names of sets and chains are the contract; a matrix of packets
on the real kernel is compared with this answer (``tests/netns/test_reachability.py``), and the pages in
``docs/packets``, which do interpret the text, are as well.
"""

from collections.abc import Iterable

from fairway.kernel.trace.journey import OUTSIDE, Hop, Journey, Packet, Protocol, Verdict
from fairway.kernel.trace.scene import Scene
from fairway.kernel.trace.walk import walk
from fairway.model.address import Address
from fairway.plan import Fact

__all__ = ["OUTSIDE", "Hop", "Journey", "Packet", "Protocol", "Scene", "Verdict", "trace", "walk"]


def trace(
    facts: Iterable[Fact], source: str, destination: Address, protocol: Protocol = "tcp", port: int = 0
) -> Journey:
    """The way of a packet from ``source`` (``HOST``, a namespace's path, or ``OUTSIDE``) to an address."""
    return walk(Scene(facts), Packet(source, destination, protocol, port))
