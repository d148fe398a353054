"""``docs/packets/``: what packets meet, hop by hop, found by interpreting the ruleset's text.

Each case is the first packet of a connection on the host of ``packet_scene``. Routing is ``kernel.trace``'s,
the rules are ``firewall/ruleset.py``'s as ``rule_walk`` reads them, sets and ports are what drivers and
firewall derive. Whether the kernel agrees is for real packets to say (``tests/netns/test_reachability.py``).
"""

from collections.abc import Iterator

from fairway.firewall import guard
from fairway.firewall.ruleset import OBJECTS, RULESET
from fairway.kernel.trace import OUTSIDE, Hop, Journey, Packet, Scene, walk
from fairway.plan import HOST
from packet_cases import PAGES, Case, Page
from packet_scene import facts
from rule_walk import Chain, RuleWalk, chains, elements_of

CHAINS = chains(RULESET)
GUARD = chains(guard.RULES)

PURPOSES = {
    "user_prerouting": "yours: before anything is translated",
    "user_forward": "yours: before any packet is forwarded, or refused",
    "user_postrouting": "yours: before any source is changed",
    "spoofed": "keeps containers away from the host's loopback, and loopback sources away from the host",
    "loopback": "counts and drops them",
    "prerouting": "what comes to an address of the host and is published there goes to its container",
    "output": "the same for the host's own connections",
    "to_container": "the published ports: first those on one address, then those on all",
    "input": "keeps internal networks away from what the port holder would pass on",
    "forward": "which networks may talk to whom",
    "routed": "the same, but for what internal networks send",
    "between": "what may go from one network to another: what is published",
    "within": "who may talk to whom inside of one network",
    "postrouting": "whose source changes, and to which address",
}
"""What each chain is for. The order is the text's; each chain has to be here."""

GUARDING = {
    "guard": "who speaks as itself passes at once; MACs of others do not",
    "arp_sender": "no ARP in the name of another",
    "ip_sender": "no source address of another, no answers of a DHCP server",
    "ip6_sender": "likewise for IPv6, and no neighbour advertisements for another, no router advertisements",
    "tagged": "no frames that only seem to be of a VLAN",
    "forged": "counts by network, and drops",
}
"""The same of the chains that frames meet."""


def pages() -> dict[str, str]:
    """The text of each page, by its path below the project."""
    return {"docs/packets/README.md": "\n".join(_index())} | {
        f"docs/packets/{page.name}.md": "\n".join(_page(page)) for page in PAGES
    }


def journey(case: Case) -> tuple[Journey, int]:
    """Where the case's packet goes, and how many rules it meets on its way."""
    known = facts(bridged=case.bridged, published=case.published)
    rules = RuleWalk(CHAINS, elements_of(known))
    return walk(Scene(known), case.packet, rules), rules.met


def _index() -> Iterator[str]:
    yield _INTRODUCTION
    for page in PAGES:
        yield f"- [{page.title}]({page.name}.md)"
    yield "\n## The chains\n"
    yield "At each hook, in the order of their priority. Those without a hook are entered from others.\n"
    yield "| chain | hook | priority | what it is for |\n|---|---|---|---|"
    for chain in _in_order():
        at = f"{chain.hook} | {chain.priority}" if chain.hook else "– | –"
        yield f"| `{chain.name}` | {at} | {PURPOSES[chain.name]} |"
    yield f"\n## The rules\n\n{len(OBJECTS)} sets and maps, and these chains. They are written once.\n\n```"
    for chain in _in_order():
        yield f"chain {chain.name} {{"
        yield from (f"    {rule}" for rule in chain.rules)
        yield "}"
    yield "```\n"
    yield _FRAMES
    yield "| chain | what it is for |\n|---|---|"
    for name, purpose in GUARDING.items():
        yield f"| `{name}` | {purpose} |"
    yield f"\n{len(guard.OBJECTS)} sets, and these chains:\n\n```"
    for name in GUARDING:
        yield f"chain {name} {{"
        yield from (f"    {rule}" for rule in GUARD[name].rules)
        yield "}"
    yield "```\n"


def _in_order() -> list[Chain]:
    """By hook along the way of a packet, then by priority."""
    hooks = ("prerouting", "output", "input", "forward", "postrouting", "")
    return sorted(CHAINS.values(), key=lambda chain: (hooks.index(chain.hook), chain.priority))


def _page(page: Page) -> Iterator[str]:
    yield f"# {page.title}\n"
    yield "The host and its networks are those of the [index](README.md).\n"
    for case in page.cases:
        yield from _case(case)


def _case(case: Case) -> Iterator[str]:
    passed, met = journey(case)
    yield f"## {case.title}\n"
    if case.explanation:
        yield f"{case.explanation}\n"
    yield f"{_question(case.packet)}\n"
    for hop in passed.hops:
        yield from _hop(hop)
    if passed.verdict == "dropped" and passed.by in _HOOKS:
        yield from _hop(Hop("", passed.reason, passed.by))
    yield f"\n**{_end(passed)}** It met {met} rules.\n"


_HOOKS = {chain.hook for chain in CHAINS.values()} - {""}


def _hop(hop: Hop) -> Iterator[str]:
    """A place, or a hook there with the rules that matched."""
    if hop.by not in _HOOKS:
        yield f"- `{hop.place}`{f': {hop.why}' if hop.why else ''}"
        return
    yield f"  - {hop.by}" if hop.why else f"  - {hop.by}: no rule matches"
    for line in hop.why.splitlines():
        chain, rule, target = line.split("\t")
        yield f"    - chain `{chain}`: `{rule}`{f' → {target}' if target else ''}"


def _question(packet: Packet) -> str:
    source = {HOST: "The host", OUTSIDE: f"{packet.address}, outside,"}.get(
        packet.source, f"`{packet.source}`"
    )
    where = f"[{packet.destination}]" if ":" in packet.destination else packet.destination
    what = "pings" if packet.protocol == "icmp" else "connects to"
    return f"{source} {what} {where}{f':{packet.port}' if packet.port else ''}."


def _end(passed: Journey) -> str:
    seen = f", which sees {passed.source}" if passed.source else ""
    where = f"[{passed.address}]" if ":" in passed.address else passed.address
    match passed.verdict:
        case "delivered":
            who = "the host itself" if passed.namespace == HOST else f"`{passed.namespace}`"
            return f"Delivered to {who}, {where}{f':{passed.port}' if passed.port else ''}{seen}."
        case "leaves":
            return f"Leaves through `{passed.path[-1]}`; the other end sees {passed.source}."
        case "dropped":
            return "Dropped." if passed.by in _HOOKS else f"Dropped: {passed.reason}."
        case _:
            return f"Unreachable: {passed.reason}."


_FRAMES = """## Frames between containers

What goes from one port of a bridge to another is not routed and meets the table `bridge fairway` only. Who
sends with the MAC and the address that were given to it meets one rule, two with IPv6. What claims to be
another endpoint of the network, or its gateway, is dropped. What nobody was given passes: a virtual address
that moves between containers, containers inside of a container, what a container routes from another network.

`-o fairway.spoof_guard=false` leaves a network out: for a container that routes between its neighbours, or
that hands out their addresses.
"""

_INTRODUCTION = """# What a packet meets

Fairway keeps its rules in the nftables table `inet fairway`. They are written once, when the daemon starts.
Creating a network or publishing a port only adds elements to sets and maps, so a packet meets the same number
of rules with one network or with a thousand. See it with `nft list table inet fairway`, or with `fairway
rules`. A second table looks at [frames between containers](#frames-between-containers).

The pages below follow the first packet of a connection from place to place: the interfaces that it passes,
and at each hook of the kernel the rules that match. Later packets of an accepted connection match a rule with
`ct state established,related` in `routed` or `within`, or, between networks, `ct status dnat` in `between`,
and are translated like the first without a new look-up. Packets that pretend to belong to a connection of
another network are not accepted for that: what an internal network sends never leaves it, and between
networks only what is published passes.
`accept` ends Fairway's own chains only: other tables of the host still decide, and Fairway never changes
them. Rules of your own go into the chains `user_prerouting`, `user_forward` and `user_postrouting`: they
come before Fairway's, and Fairway never changes them. The table is gone after a reboot, and your rules with
it: add them again once the daemon has started.

The host has the addresses 192.0.2.10 and 2001:db8::10 on `eth0`, and these networks:

| network | bridge | subnets | | containers |
|---|---|---|---|---|
| web | `br-web` | 172.18.0.0/16, fd00:18::/64 | | `server`, `client` |
| app | `br-app` | 172.19.0.0/16, fd00:19::/64 | not masqueraded | `other` |
| back | `br-back` | 172.20.0.0/16, fd00:20::/64 | `--internal` | `hidden`, `rogue` |
| shut | `br-shut` | 172.21.0.0/16, fd00:21::/64 | icc off | `database`, `stranger`, `friend` |
| old | `br-old` | 172.22.0.0/16 | IPv4 only | `legacy` |

`server` publishes `8080:80`, `192.0.2.10:8443:443` and `127.0.0.1:9090:80`; `legacy` publishes `8085:80`;
`friend` has a link to `database`, which exposes 5432.

These pages are generated from the ruleset by `scripts/packet_pages.py`, and packets on a real kernel are held
against the same computation (`tests/netns/test_reachability.py`).

## The scenarios
"""
