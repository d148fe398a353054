"""``docs/packets.md``: what packets meet in the firewall, found by walking the ruleset itself.

Each case is the first packet of a connection on a host with four networks. The rules it meets are read from
``firewall/ruleset.py``, the sets from ``firewall/networks.py`` and ``firewall/publish.py``. A rule of a shape
that nobody explained to ``_matches`` is an error, so the page cannot silently go stale. Whether the kernel
agrees is for the tests on real packets (``tests/netns``, ``tests/scenarios``).
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from fairway.firewall.networks import elements
from fairway.firewall.publish import published
from fairway.firewall.ruleset import RULESET
from fairway.model.address import Address
from fairway.model.network import PortMapping

WEB, APP, BACK, SHUT = "br-web", "br-app", "br-back", "br-shut"
HOST_ADDRESSES = ("192.0.2.10", "127.0.0.1", "172.18.0.1", "172.19.0.1", "172.20.0.1", "172.21.0.1")
SUBNETS = {WEB: "172.18.0.0/16", APP: "172.19.0.0/16", BACK: "172.20.0.0/16", SHUT: "172.21.0.0/16"}
OUTSIDE = "eth0"


@dataclass(frozen=True)
class Packet:
    source: str
    destination: str
    port: int
    incoming: str = ""
    """Interface by which the host received it; empty for the host's own."""
    translated: bool = False
    """Whether its connection's destination was changed (``ct status dnat``)."""

    @property
    def outgoing(self) -> str:
        """The interface that the host's routes choose."""
        return next((b for b, net in SUBNETS.items() if _within(self.destination, net)), OUTSIDE)


@dataclass(frozen=True)
class Case:
    title: str
    explanation: str
    packet: Packet


@dataclass
class Walk:
    """What a packet met: lines of the page, and how it ended."""

    lines: list[str] = field(default_factory=list)
    end: str = ""


CASES = (
    Case(
        "Container to a container of the same network",
        "The bridge carries the frame; the host's routing never sees it. Where `br_netfilter` hands bridged "
        "frames to the firewall, they meet these rules:",
        Packet("172.18.0.2", "172.18.0.3", 80, WEB),
    ),
    Case(
        "The same, on a network without inter-container communication",
        "`com.docker.network.bridge.enable_icc=false`. The driver turns `br_netfilter` on for it.",
        Packet("172.21.0.2", "172.21.0.3", 80, SHUT),
    ),
    Case(
        "Container to a container of another network",
        "Networks are isolated from one another.",
        Packet("172.18.0.2", "172.19.0.2", 80, WEB),
    ),
    Case(
        "Container to the outside",
        "It leaves with the host's address.",
        Packet("172.18.0.2", "198.51.100.1", 443, WEB),
    ),
    Case(
        "Container of an internal network to the outside",
        "Such a container has no default route. If it sets one itself:",
        Packet("172.20.0.2", "198.51.100.1", 443, BACK),
    ),
    Case(
        "Outside to a published port",
        "`--publish 8080:80` of the container 172.18.0.2. The container sees the caller's address.",
        Packet("198.51.100.1", "192.0.2.10", 8080, OUTSIDE),
    ),
    Case(
        "Outside to a port published on one address",
        "`--publish 192.0.2.10:8443:443`.",
        Packet("198.51.100.1", "192.0.2.10", 8443, OUTSIDE),
    ),
    Case(
        "Outside to a port that is not published",
        "On the host's address nobody answers but the host itself.",
        Packet("198.51.100.1", "192.0.2.10", 9999, OUTSIDE),
    ),
    Case(
        "Outside straight to a container's address",
        "A neighbour of the host may route there; published or not, it is dropped.",
        Packet("198.51.100.1", "172.18.0.2", 80, OUTSIDE),
    ),
    Case(
        "Host to a container",
        "Every port, published or not.",
        Packet("172.18.0.1", "172.18.0.2", 80),
    ),
    Case(
        "Host's loopback to a published port",
        "There is no proxy process: the kernel translates (`route_localnet` is on for the bridge), and the "
        "container sees the bridge's address.",
        Packet("127.0.0.1", "127.0.0.1", 8080),
    ),
    Case(
        "Container to a port published by a container of another network",
        "By way of the host's address. Publishing opens the port to everybody, as in Docker.",
        Packet("172.19.0.2", "192.0.2.10", 8080, APP),
    ),
    Case(
        "Container to a port that it publishes itself",
        "The source becomes the bridge's address, so that the answer comes back through the host. This is "
        "the way with `net.bridge.bridge-nf-call-iptables` at 0. At 1 the translation happens in the bridge, "
        "which sends no frame back to the port it came from: the connection fails, see [limits](limits.md).",
        Packet("172.18.0.2", "192.0.2.10", 8080, WEB),
    ),
    Case(
        "Container to the host",
        "The gateway's address, or any other of the host. No rule concerns what the host itself offers.",
        Packet("172.18.0.2", "172.18.0.1", 22, WEB),
    ),
    Case(
        "Container to the host's loopback addresses",
        "A container that sends to 127.0.0.0/8 through its interface:",
        Packet("172.18.0.2", "127.0.0.1", 8080, WEB),
    ),
)

_SETS: dict[str, dict[tuple[str, ...], str]] = {}
for _fact in (
    *elements(WEB, icc=True, internal=False, masquerade=True),
    *elements(APP, icc=True, internal=False, masquerade=True),
    *elements(BACK, icc=True, internal=True, masquerade=True),
    *elements(SHUT, icc=False, internal=False, masquerade=True),
    *published(
        (
            PortMapping(container_port=80, host_port=8080),
            PortMapping(container_port=443, host_port=8443, host_address=Address("192.0.2.10")),
        ),
        Address("172.18.0.2"),
    ),
):
    _SETS.setdefault(_fact.table_object, {})[_fact.key] = _fact.value


def chains() -> dict[str, list[str]]:
    """Rules by chain, hook declarations left out."""
    found: dict[str, list[str]] = {}
    for name, body in re.findall(r"chain (\w+) \{\n(.*?)\n?    \}", RULESET, re.DOTALL):
        rules = [line.strip() for line in body.splitlines() if line.strip()]
        found[name] = [rule for rule in rules if not rule.startswith("type ")]
    return found


CHAINS = chains()
HOOKED = dict[str, str](re.findall(r"chain (\w+) \{\s+type \w+ hook (\w+) priority", RULESET))


def _within(address: str, network: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(network)


def _matches(condition: str, packet: Packet) -> bool:
    """Whether the packet fulfils the conditions of a rule, its verdict cut off."""
    fixed = {
        "": True,
        "ct state established,related": False,  # every case is the first packet of its connection
        "ct status dnat": packet.translated,
        "fib daddr type local": packet.destination in HOST_ADDRESSES,
    }
    if condition in fixed:
        return fixed[condition]
    if found := re.fullmatch(r"(iifname|oifname|iifname \. oifname) @(\w+)(?: (.+))?", condition):
        names = {"iifname": packet.incoming, "oifname": packet.outgoing}
        key = tuple(names[part] for part in found[1].split(" . "))
        return key in _SETS.get(found[2], {}) and _matches(found[3] or "", packet)
    if found := re.fullmatch(r"ip (saddr|daddr) ([0-9./]+)(?: (.+))?", condition):
        address = packet.source if found[1] == "saddr" else packet.destination
        return _within(address, found[2]) and _matches(found[3] or "", packet)
    raise ValueError(f"explain this condition to scripts/packet_pages.py: {condition}")


def _target(rule: str, packet: Packet) -> tuple[str, int] | None:
    """Where a ``dnat`` rule leads, None where its map has no entry."""
    found = re.fullmatch(r"dnat ip to (ip daddr \. )?meta l4proto \. th dport map @(\w+)", rule)
    if not found:
        raise ValueError(f"explain this rule to scripts/packet_pages.py: {rule}")
    key = ("tcp", str(packet.port))
    value = _SETS.get(found[2], {}).get((packet.destination, *key) if found[1] else key)
    if value is None:
        return None
    address, _, port = value.partition(" . ")
    return address, int(port)


def _chain(name: str, packet: Packet, walk: Walk, depth: int = 0) -> tuple[str, Packet]:
    """Take the packet through a chain; the verdict (``accept``, ``drop``, empty) and the packet after it."""
    if depth == 0:
        walk.lines.append(f"- **{name}** ({HOOKED[name]})")
    for rule in CHAINS[name]:
        if rule.startswith("dnat "):
            target = _target(rule, packet)
            if target:
                walk.lines.append(f"  - `{rule}` → {target[0]}:{target[1]}")
                return "accept", replace(packet, destination=target[0], port=target[1], translated=True)
            continue
        condition, verdict = _split(rule)
        if not _matches(condition, packet):
            continue
        jump = re.fullmatch(r"(goto|jump) (\w+)", verdict)
        if jump and not CHAINS[jump[2]]:
            continue
        walk.lines.append(f"  - `{rule}`")
        if jump:
            result, packet = _chain(jump[2], packet, walk, depth + 1)
            if result or jump[1] == "goto":
                return result, packet
        elif verdict == "masquerade":
            address = "the bridge's address" if packet.outgoing in SUBNETS else "the host's address"
            walk.lines[-1] += f" → from {address}"
            return "accept", packet
        elif verdict != "return":
            return verdict, packet
        else:
            return "", packet
    return "", packet


def _split(rule: str) -> tuple[str, str]:
    found = re.fullmatch(r"(.*?) ?((?:goto|jump) \w+|accept|drop|return|masquerade)", rule)
    if not found:
        raise ValueError(f"explain this rule to scripts/packet_pages.py: {rule}")
    return found[1], found[2]


def walk(case: Case) -> Walk:
    """The chains that the case's packet passes, in the kernel's order."""
    passed, packet = Walk(), case.packet
    first = [name for name, hook in HOOKED.items() if hook == ("prerouting" if packet.incoming else "output")]
    for name in first:
        verdict, packet = _chain(name, packet, passed)
        if verdict == "drop":
            passed.end = "dropped"
            return passed
    if packet.destination in HOST_ADDRESSES:
        passed.end = "delivered to the host itself"
        return passed
    later = [*(["forward"] if packet.incoming else []), "postrouting"]
    for name in (name for hook in later for name, at in HOOKED.items() if at == hook):
        verdict, packet = _chain(name, packet, passed)
        if verdict == "drop":
            passed.end = "dropped"
            return passed
    passed.end = f"out through `{packet.outgoing}`"
    return passed


def _case(case: Case) -> Iterator[str]:
    packet, passed = case.packet, walk(case)
    via = f"received on `{packet.incoming}`" if packet.incoming else "the host's own"
    yield from (
        f"## {case.title}",
        "",
        case.explanation,
        "",
        f"{packet.source} → {packet.destination}, TCP port {packet.port}, {via}.",
        "",
        *passed.lines,
        "",
        f"**{passed.end[0].upper()}{passed.end[1:]}.**",
        "",
    )


INTRODUCTION = """# What a packet meets

Fairway keeps one nftables table, `inet fairway`. Its rules are written once, when the daemon starts. Creating
a network or publishing a port only adds elements to sets and maps, so a packet meets the same number of rules
with one network or with a thousand. See it with `nft list table inet fairway`.

Below is the way of the first packet of a connection. Each item is a chain with the rules that match there; a
chain without items lets the packet pass. Later packets of an accepted connection match
`ct state established,related accept` in `forward`, and are translated like the first without a new look-up.
`accept` ends Fairway's own chains only: other tables of the host still decide, and Fairway never changes
them. Rules of your own for forwarded packets go into the chain `user_forward`. It comes before Fairway's
rules, and Fairway never changes it. The table is gone after a reboot, and your rules with it: add them again
once the daemon has started.

The host has the address 192.0.2.10 on `eth0`, and these networks:

| network | bridge | subnet | |
|---|---|---|---|
| web | `br-web` | 172.18.0.0/16 | 172.18.0.2 publishes 8080 → 80, and 443 on 192.0.2.10:8443 |
| app | `br-app` | 172.19.0.0/16 | |
| back | `br-back` | 172.20.0.0/16 | `--internal` |
| shut | `br-shut` | 172.21.0.0/16 | `-o com.docker.network.bridge.enable_icc=false` |

This page is generated from the ruleset by `scripts/packet_pages.py`.
"""


def page() -> str:
    """The text of ``docs/packets.md``."""
    return "\n".join([INTRODUCTION, *(line for case in CASES for line in _case(case))])
