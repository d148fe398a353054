"""What the chains of ``inet fairway`` decide about a packet, from their sets and maps.

One function a chain, in the order of ``firewall/ruleset.py``: same names, same order of questions.
"""

import ipaddress
from dataclasses import dataclass

from fairway.kernel.trace.scene import Scene
from fairway.model.address import Address, Family, family

_SUFFIX = {4: "", 6: "6"}


@dataclass(frozen=True, slots=True)
class Seen:
    """A packet as a chain sees it."""

    source: Address | None
    destination: Address
    protocol: str
    port: int
    incoming: str = ""
    """Interface by which the host received it; empty for its own, and in postrouting for bridged frames."""
    outgoing: str = ""
    translated: bool = False
    """Whether a published port led it here (``ct status dnat``)."""

    @property
    def family(self) -> Family:
        return family(self.destination)


@dataclass(frozen=True, slots=True)
class Ruling:
    """A verdict other than to let it pass unchanged: why, and by which chain and set."""

    why: str
    by: str
    drop: bool = False
    target: tuple[Address, int] | None = None
    """New destination."""
    masquerade: bool = False
    """Its source becomes the address of the interface it leaves by."""


def prerouting(scene: Scene, packet: Seen) -> Ruling | None:
    """``spoofed`` and ``prerouting``: a packet that the host, or one of its bridges, receives."""
    if packet.family == 4 and _in(scene, "bridges", packet.incoming):
        for address, why in (
            (packet.destination, "containers do not reach the host's loopback"),
            (packet.source, "no container is the host's loopback"),
        ):
            if address and ipaddress.ip_address(address).is_loopback:
                return Ruling(why, "chain spoofed, set bridges", drop=True)
    destination = ipaddress.ip_address(packet.destination)
    local = packet.family == 6 and destination.is_link_local
    if destination.is_loopback or (local and not _in(scene, "internal", packet.incoming)):
        return None
    return _to_container(scene, packet, "prerouting")


def output(scene: Scene, packet: Seen) -> Ruling | None:
    """The host's own packet."""
    destination = ipaddress.ip_address(packet.destination)
    if packet.family == 6 and (destination.is_loopback or destination.is_link_local):
        return None
    return _to_container(scene, packet, "output")


def receive(scene: Scene, packet: Seen) -> Ruling | None:
    """``input``: to the host itself."""
    if not _in(scene, "internal", packet.incoming):
        return None
    where = packet.protocol, str(packet.port)
    suffix = _SUFFIX[packet.family]
    everywhere = scene.lookup(f"proxied{suffix}", where)
    if everywhere is None and scene.lookup(f"proxied{suffix}_at", (packet.destination, *where)) is None:
        return None
    why = f"{packet.incoming} is internal, and the port holder would lead outside"
    return Ruling(why, f"chain input, sets internal and proxied{suffix}", drop=True)


def forward(scene: Scene, packet: Seen) -> Ruling:
    """From one interface to another, or between two ports of one bridge."""
    incoming = packet.incoming
    if not _in(scene, "internal", incoming):
        return _routed(scene, packet)
    if scene.lookup("same", (incoming, packet.outgoing)) is not None:
        return _within(scene, packet)
    return Ruling(f"{incoming} is internal", "chain forward, set internal", drop=True)


def postrouting(scene: Scene, packet: Seen) -> Ruling | None:
    """About to leave by an interface."""
    ends = (str(packet.source), packet.destination)
    if scene.lookup(f"own{_SUFFIX[packet.family]}", ends) is not None:
        why = "to its own published port: the answer must come back through here"
        return _masquerade(why, f"own{_SUFFIX[packet.family]}")
    if packet.translated and scene.lookup("same", (packet.incoming, packet.outgoing)) is not None:
        return _masquerade("back into its own network: the answer must come back through here", "same")
    bridge = _in(scene, "bridges", packet.outgoing)
    if bridge and packet.source and ipaddress.ip_address(packet.source).is_loopback:
        return _masquerade("the host's loopback means nothing elsewhere", "bridges")
    if not bridge and _in(scene, "masqueraded", packet.incoming):
        return _masquerade("with the host's address", "masqueraded")
    return None


def _to_container(scene: Scene, packet: Seen, chain: str) -> Ruling | None:
    if not scene.has("", packet.destination):
        return None
    port = (packet.protocol, str(packet.port))
    suffix = _SUFFIX[packet.family]
    for name, key in ((f"publish{suffix}_at", (packet.destination, *port)), (f"publish{suffix}", port)):
        if value := scene.lookup(name, key):
            address, _, inside = value.partition(" . ")
            why = f"published: {packet.destination} port {packet.port} → {address} port {inside}"
            return Ruling(why, f"chain {chain}, map {name}", target=(Address(address), int(inside)))
    return None


def _routed(scene: Scene, packet: Seen) -> Ruling:
    incoming, outgoing = packet.incoming, packet.outgoing
    if _in(scene, "bridges", incoming) and _in(scene, "bridges", outgoing):
        return _between(scene, packet)
    if _in(scene, "internal", outgoing):
        return Ruling(f"{outgoing} is internal", "chain routed, set internal", drop=True)
    if packet.translated:
        return Ruling("a published port", "chain routed, ct status dnat")
    if _in(scene, "bridges", incoming):
        return Ruling("containers may leave", "chain routed, set bridges")
    if _in(scene, "bridges", outgoing):
        why = f"not published: {outgoing} is not reachable from outside"
        return Ruling(why, "chain routed, set bridges", drop=True)
    return Ruling("no network of ours", "chain routed")


def _between(scene: Scene, packet: Seen) -> Ruling:
    incoming, outgoing = packet.incoming, packet.outgoing
    if scene.lookup("same", (incoming, outgoing)) is not None:
        return _within(scene, packet)
    if _in(scene, "internal", outgoing):
        return Ruling(f"{outgoing} is internal", "chain between, set internal", drop=True)
    if packet.translated:
        return Ruling("a published port", "chain between, ct status dnat")
    return Ruling(f"networks are isolated: from {incoming} to {outgoing}", "chain between", drop=True)


def _within(scene: Scene, packet: Seen) -> Ruling:
    if not _in(scene, "closed", packet.incoming):
        return Ruling("the same network", "chain within, set closed")
    if packet.translated:
        return Ruling("a published port", "chain within, ct status dnat")
    name = f"linked{_SUFFIX[packet.family]}"
    key = (str(packet.source), packet.destination, packet.protocol, str(packet.port))
    if scene.lookup(name, key) is not None:
        return Ruling("a link opens this port", f"chain within, set {name}")
    why = f"containers of {packet.incoming} may not talk to each other"
    return Ruling(why, "chain within, set closed", drop=True)


def _masquerade(why: str, name: str) -> Ruling:
    return Ruling(why, f"chain postrouting, set {name}", masquerade=True)


def _in(scene: Scene, name: str, link: str) -> bool:
    return scene.lookup(name, (link,)) is not None
