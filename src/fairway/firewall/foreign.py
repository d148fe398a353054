"""Whether another program's filter stops what networks forward, and what to do about it. Pure.

A packet passes only if every table of the host accepts it: ``accept`` in ours ends nothing but ours. So the
other tables are walked with two packets per network and family, as the kernel would:

    outward     from the network's bridge to the uplink, a new connection
    published   from the uplink to the bridge, a new connection, its destination translated

A rule that also asks for what these packets leave open (a port, a mark, a protocol) is taken not to fit: it
lets through or stops some packets, not the network's. On a host without a default route the uplink is any
interface: rules that accept then fit whatever its name, for an alarm should be true.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from fairway.model.address import Cidr, Family, family
from fairway.model.foreign import Condition, ForeignFilters, ForeignRule, ForeignTable


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A base chain that stops a network's packets."""

    table: ForeignTable
    chain: str
    family: Family
    by_policy: bool
    outward: bool
    published: bool

    @property
    def problem(self) -> str:
        how = "the policy (drop)" if self.by_policy else "a rule"
        stopped = [
            *(("what leaves",) if self.outward else ()),
            *(("what comes for published ports",) if self.published else ()),
        ]
        return (
            f"IPv{self.family}: {how} of chain {self.chain} in table {self.table.name} "
            f"({self.table.program}) stops {' and '.join(stopped)}"
        )


@dataclass(frozen=True, slots=True)
class _Packet:
    family: Family
    iifname: str
    """Empty: unknown, but not a bridge of ours."""
    oifname: str
    subnet: Cidr
    published: bool


def obstacles(filters: ForeignFilters, bridge: str, subnet: Cidr) -> list[Obstacle]:
    """What stops packets of the network on ``bridge``, of the subnet's address family."""
    kind = family(subnet)
    uplink = filters.uplinks.get(kind, "")
    packets = (
        _Packet(kind, bridge, uplink, subnet, published=False),
        _Packet(kind, uplink, bridge, subnet, published=True),
    )
    found = []
    for table in filters.tables:
        for chain, policy in table.policies.items() if kind in table.families else ():
            verdicts = [_walk(table.chains, chain, packet, 0) for packet in packets]
            outward, published = ((verdict or policy) == "drop" for verdict in verdicts)
            if outward or published:
                by_policy = "drop" not in verdicts
                found.append(Obstacle(table, chain, kind, by_policy, outward, published))
    return found


def remedy(obstacle: Obstacle, bridge: str) -> str:
    """Shell commands that let the network's packets pass; isolation stays with our own table."""
    table, program = obstacle.table, obstacle.table.program
    match program:
        case "ufw":
            return f"ufw route allow in on {bridge}; ufw route allow out on {bridge}"
        case "firewalld":
            return (
                f"firewall-cmd --permanent --zone=trusted --change-interface={bridge}; firewall-cmd --reload"
            )
        case "nft":
            insert = f"nft insert rule {table.name} {obstacle.chain}"
            return f"{insert} iifname {bridge} accept; {insert} oifname {bridge} accept"
        case _:
            name = table.name.split()[-1]
            option = "" if name == "filter" else f" -t {name}"
            insert = f"{program}{option} -I {obstacle.chain}"
            return f"{insert} -i {bridge} -j ACCEPT; {insert} -o {bridge} -j ACCEPT"


_DEEPEST = 16
"""Jumps that the kernel allows (NFT_JUMP_STACK_SIZE)."""


def _walk(chains: Mapping[str, tuple[ForeignRule, ...]], name: str, packet: _Packet, depth: int) -> str:
    """``accept``, ``drop``, or empty if the chain leaves it open."""
    for rule in chains.get(name, ()) if depth <= _DEEPEST else ():
        if not _fits(rule, packet):
            continue
        if rule.verdict in ("accept", "drop"):
            return rule.verdict
        if rule.verdict == "return":
            return ""
        verdict = _walk(chains, rule.target, packet, depth + 1)
        if verdict or rule.verdict == "goto":
            return verdict
    return ""


def _fits(rule: ForeignRule, packet: _Packet) -> bool:
    if rule.opaque:
        return False
    for condition in rule.conditions:
        holds = _holds(condition, packet)
        if holds is None:
            is_name = condition.key in ("iifname", "oifname")
            holds = is_name and (condition.negated or rule.verdict != "drop")
        elif condition.negated:
            holds = not holds
        if not holds:
            return False
    return True


def _holds(condition: Condition, packet: _Packet) -> bool | None:
    """None: it depends on what the packet leaves open."""
    match condition.key:
        case "iifname" | "oifname":
            name = packet.iifname if condition.key == "iifname" else packet.oifname
            return _named(name, condition.values, packet.oifname or packet.iifname)
        case "state":
            return "new" in condition.values
        case "status":
            return packet.published if condition.values == ("dnat",) else None
        case "nfproto":
            return f"ipv{packet.family}" in condition.values
        case "saddr" | "daddr":
            if (condition.key == "daddr") is not packet.published:
                return None
            return _within(packet.subnet, condition.values)
        case _:
            return None


def _named(name: str, patterns: tuple[str, ...], bridge: str) -> bool | None:
    if name:
        return any(_like(name, pattern) for pattern in patterns)
    return False if all(pattern in ("lo", bridge) for pattern in patterns) else None


def _like(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _within(subnet: Cidr, values: tuple[str, ...]) -> bool | None:
    inner = ipaddress.ip_network(subnet)
    partly = False
    for value in values:
        outer = ipaddress.ip_network(value, strict=False)
        if outer.version == inner.version and outer.overlaps(inner):
            if outer.prefixlen <= inner.prefixlen:
                return True
            partly = True
    return None if partly else False
