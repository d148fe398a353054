"""The way of one packet through a scene."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from fairway.kernel.trace import chains
from fairway.kernel.trace.chains import Ruling, Seen
from fairway.kernel.trace.journey import OUTSIDE, Hop, Journey, Packet, Verdict
from fairway.kernel.trace.scene import Scene
from fairway.model.address import Address, family
from fairway.plan import HOST, Veth

_HOLDER = "port holder"


class Rules(Protocol):
    """What decides at each hook of the kernel; the module ``chains`` is one."""

    def prerouting(self, scene: Scene, packet: Seen, /) -> Ruling | None: ...
    def output(self, scene: Scene, packet: Seen, /) -> Ruling | None: ...
    def receive(self, scene: Scene, packet: Seen, /) -> Ruling | None: ...
    def forward(self, scene: Scene, packet: Seen, /) -> Ruling | None: ...
    def postrouting(self, scene: Scene, packet: Seen, /) -> Ruling | None: ...


def walk(scene: Scene, packet: Packet, rules: Rules = chains) -> Journey:
    """The packet's journey. A name that is no namespace's is unreachable, not an error."""
    seen = Seen(packet.address, packet.destination, packet.protocol, packet.port)
    way = _Way(scene, rules, seen)
    if packet.source == HOST:
        return way.from_host()
    if packet.source == OUTSIDE:
        return way.from_outside()
    return way.from_sandbox(packet.source)


@dataclass(frozen=True, slots=True)
class _Way:
    """A packet under way: each method takes it further, to its end."""

    scene: Scene
    rules: Rules
    packet: Seen
    hops: tuple[Hop, ...] = ()
    proxied: bool = False
    masqueraded: bool = False

    def from_sandbox(self, namespace: str) -> Journey:
        scene, destination = self.scene, self.packet.destination
        if namespace not in scene.namespaces:
            return self._ends("unreachable", namespace, f"there is no namespace {namespace}")
        way = self._with(source=self.packet.source or scene.source(namespace, destination))
        if scene.has(namespace, destination):
            return way._ends("delivered", namespace, "the sandbox's own address")
        route = scene.route(namespace, destination)
        if route is None:
            return way._ends("unreachable", namespace, f"no route to {destination}")
        link, next_hop = route
        veth = scene.veth(namespace, link)
        if veth is None:
            return way._ends("unreachable", namespace, f"{link} leads nowhere")
        via = f"to {next_hop}" if next_hop == destination else f"through {next_hop}"
        return way._at(Hop(link, via), Hop(veth.name))._on_bridge(veth, next_hop)

    def from_host(self) -> Journey:
        """The host's own packet, or one of a container that uses the host's network."""
        way = self._with(source=self.packet.source or self.scene.source(HOST, self.packet.destination))
        return way._at(Hop("host"))._meets("host", self.rules.output, _Way._in_host)

    def from_outside(self) -> Journey:
        """A packet that another host sent here, to an address of this host or of anything behind it."""
        way = self._at(Hop("host"))._with(incoming=OUTSIDE)
        return way._meets("host", self.rules.prerouting, _Way._in_host)

    def _on_bridge(self, veth: Veth, next_hop: Address) -> Journey:
        """From a port to the next hop's, or up into the host's stack. Prerouting sees what goes up, and every
        frame where br_netfilter passes frames to the rules."""
        bridge, scene = veth.bridge, self.scene
        if not scene.is_bridge(bridge):
            return self._ends("unreachable", HOST, f"{veth.name} is not a port of an up bridge")
        way = self._with(incoming=bridge)._at(Hop(bridge))
        filtered = scene.filtered(bridge, self.packet.family)
        to_host = scene.on_link(HOST, bridge, next_hop)
        if not (filtered or to_host):
            return way._to_port(bridge, next_hop)

        def onwards(way: "_Way") -> Journey:
            if way.packet.translated:
                to, _ = scene.route(HOST, way.packet.destination) or ("", "")
                if filtered and to == bridge:
                    return way._bridged(veth, way.packet.destination)
                return way._at(Hop("host"))._in_host()
            return way._at(Hop("host"))._in_host() if to_host else way._bridged(veth, next_hop)

        return way._meets(bridge, self.rules.prerouting, onwards)

    def _bridged(self, came_by: Veth, next_hop: Address) -> Journey:
        """Between two ports, past the rules, never through the host's stack."""
        bridge = came_by.bridge

        def left(way: "_Way") -> Journey:
            # In postrouting a bridged frame has no incoming interface (br_nf_post_routing).
            return way._with(incoming="")._meets(
                bridge, self.rules.postrouting, lambda w: w._to_port(bridge, next_hop)
            )

        back = self.scene.port_of(bridge, next_hop)
        if back == came_by and not self.scene.turns_back(back.name):
            reason = f"{bridge} sends nothing back to {back.name}: its hairpin mode is off"
            return self._ends("dropped", HOST, reason)
        return self._with(outgoing=bridge)._meets(bridge, self.rules.forward, left)

    def _in_host(self) -> Journey:
        """In the host's stack after prerouting or output."""
        packet, scene = self.packet, self.scene
        if scene.has(HOST, packet.destination):
            return self._to_host()
        if packet.incoming and (sysctl := scene.does_not_forward(packet.family)):
            return self._ends("dropped", HOST, "the host does not forward", f"sysctl {sysctl} is 0")
        link, next_hop = scene.route(HOST, packet.destination) or ("", packet.destination)
        way = self._with(outgoing=link)
        if packet.incoming:
            return way._meets("host", self.rules.forward, lambda way: way._leaves_host(link, next_hop))
        if packet.source and _loopback(packet.source) and not scene.routes_loopback(link):
            by = f"sysctl net/ipv4/conf/{link}/route_localnet is not 1"
            return self._ends("dropped", HOST, f"from loopback to {link}", by)
        return way._leaves_host(link, next_hop)

    def _to_host(self) -> Journey:
        packet, scene = self.packet, self.scene
        if packet.incoming and _loopback(packet.destination) and not scene.routes_loopback(packet.incoming):
            return self._ends("dropped", HOST, "the kernel takes no packet to its loopback from elsewhere")

        def received(way: "_Way") -> Journey:
            held = scene.held(packet.protocol, packet.destination, packet.port)
            if held is None:
                return way._ends("delivered", HOST, "the host's own address")
            text = f"proxied to {held.target} port {held.target_port}"
            onwards = Seen(None, held.target, packet.protocol, held.target_port)
            return _Way(scene, way.rules, onwards, (*way.hops, Hop(_HOLDER, text)), proxied=True).from_host()

        return self._meets("host", self.rules.receive, received)

    def _leaves_host(self, link: str, next_hop: Address) -> Journey:
        return self._meets("host", self.rules.postrouting, lambda way: way._out(link, next_hop))

    def _out(self, link: str, next_hop: Address) -> Journey:
        if self.scene.is_bridge(link):
            return self._at(Hop(link))._to_port(link, next_hop)
        way = self._at(Hop(link)) if link else self
        whose = "the host's" if self.masqueraded else "its own"
        return way._ends("leaves", OUTSIDE, f"leaves the host with {whose} address")

    def _to_port(self, bridge: str, next_hop: Address) -> Journey:
        """From a bridge to the far end that has the next hop's address."""
        veth = self.scene.port_of(bridge, next_hop)
        if veth is None:
            return self._ends("unreachable", HOST, f"nobody on {bridge} has {next_hop}")
        way = self._at(Hop(veth.name), Hop(veth.peer))
        if next_hop != self.packet.destination:
            return way._ends("dropped", veth.namespace, "the sandbox does not forward")
        return way._ends("delivered", veth.namespace, f"{next_hop} is on {veth.peer}")

    def _meets(
        self,
        place: str,
        chain: Callable[[Scene, Seen], Ruling | None],
        onwards: "Callable[[_Way], Journey]",
    ) -> Journey:
        """Past a chain: dropped there, or onwards as it decided."""
        ruling = chain(self.scene, self.packet) if self.packet.family in self.scene.ruled else None
        if ruling is None:
            return onwards(self)
        if ruling.drop:
            return self._ends("dropped", HOST, ruling.why, ruling.by)
        way = self._at(Hop(place, ruling.why, ruling.by))
        if ruling.target:
            address, port = ruling.target
            way = way._with(destination=address, port=port, translated=True)
        if ruling.masquerade:
            source = self.scene.source_on(HOST, self.packet.outgoing, self.packet.destination)
            way = replace(way._with(source=source), masqueraded=True)
        return onwards(way)

    def _with(self, **changes: object) -> "_Way":
        return replace(self, packet=replace(self.packet, **changes))  # type: ignore[arg-type]

    def _at(self, *hops: Hop) -> "_Way":
        return replace(self, hops=self.hops + hops)

    def _ends(self, verdict: Verdict, namespace: str, reason: str, by: str = "") -> Journey:
        packet = self.packet
        return Journey(
            hops=self.hops,
            verdict=verdict,
            namespace=namespace,
            address=packet.destination,
            port=packet.port,
            source=packet.source,
            reason=reason,
            by=by,
            proxied=self.proxied,
        )


def _loopback(address: Address) -> bool:
    return family(address) == 4 and ipaddress.ip_address(address).is_loopback
