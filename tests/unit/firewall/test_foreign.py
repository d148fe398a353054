"""Which other programs' rules stop a network's packets; ``test_foreign_filters`` asks the real kernel."""

import pytest

from fairway.firewall.foreign import obstacles, remedy
from fairway.model.address import Cidr
from fairway.model.foreign import Condition, ForeignFilters, ForeignRule, ForeignTable

SUBNET = Cidr("172.17.0.0/16")


def rule(verdict: str, *conditions: Condition, target: str = "", opaque: bool = False) -> ForeignRule:
    return ForeignRule(verdict, target, conditions, opaque)  # type: ignore[arg-type]


def iif(*names: str, negated: bool = False) -> Condition:
    return Condition("iifname", names, negated)


def oif(*names: str) -> Condition:
    return Condition("oifname", names)


def stopped(
    *rules: ForeignRule,
    policy: str = "drop",
    uplink: str = "eth0",
    chains: dict[str, tuple[ForeignRule, ...]] | None = None,
) -> set[str]:
    """What is stopped by a base chain of these rules."""
    table = ForeignTable("nft", (4,), "ip t", {"f": policy}, {"f": rules, **(chains or {})})  # type: ignore[dict-item]
    found = obstacles(ForeignFilters((table,), {4: uplink} if uplink else {}), "docker0", SUBNET)
    names = [(each.outward, "outward") for each in found] + [(each.published, "published") for each in found]
    return {name for holds, name in names if holds}


BOTH = {"outward", "published"}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ((), BOTH),
        ((rule("accept"),), set()),
        ((rule("accept", iif("docker0")),), {"published"}),
        ((rule("accept", iif("docker*")), rule("accept", oif("docker0", "x"))), set()),
        ((rule("accept", iif("docker0"), oif("eth0")),), {"published"}),
        ((rule("accept", iif("docker0"), oif("eth1")),), BOTH),
        ((rule("accept", iif("lxd0")), rule("accept", oif("lxd0"))), BOTH),
        ((rule("accept", iif("lo", negated=True)),), set()),
        ((rule("accept", opaque=True),), BOTH),
        ((rule("accept", Condition("state", ("established", "related"))),), BOTH),
        ((rule("accept", Condition("state", ("new",))),), set()),
        ((rule("accept", Condition("status", ("dnat",))),), {"outward"}),
        ((rule("accept", Condition("nfproto", ("ipv6",))),), BOTH),
        ((rule("accept", Condition("saddr", ("172.16.0.0/12",))),), {"published"}),
        ((rule("accept", Condition("daddr", ("172.17.0.0/16",))),), {"outward"}),
        ((rule("accept", Condition("saddr", ("172.17.9.0/24",))),), BOTH),
        ((rule("drop", iif("docker0")), rule("accept")), {"outward"}),
        ((rule("jump", target="c"), rule("accept")), {"outward"}),
        ((rule("goto", target="e"), rule("accept")), BOTH),
        ((rule("jump", target="e"), rule("accept")), set()),
        ((rule("jump", target="r"), rule("accept")), set()),
        ((rule("jump", target="loop"), rule("accept")), set()),
    ],
)
def test_rules(rules: tuple[ForeignRule, ...], expected: set[str]) -> None:
    chains = {
        "c": (rule("drop", iif("docker0")),),
        "e": (),
        "r": (rule("return"), rule("drop")),
        "loop": (rule("jump", target="loop"),),
    }
    assert stopped(*rules, chains=chains) == expected


def test_where_no_uplink_is_known_an_alarm_must_be_true() -> None:
    assert (
        stopped(rule("accept", iif("docker0"), oif("eth0")), rule("accept", iif("eth0")), uplink="") == set()
    )
    assert stopped(rule("drop", iif("eth7")), policy="accept", uplink="") == set()
    assert stopped(rule("drop", iif("eth7", negated=True)), policy="accept", uplink="") == BOTH


def test_families_are_apart() -> None:
    table = ForeignTable("ip6tables", (6,), "ip6 filter", {"FORWARD": "drop"}, {"FORWARD": ()})
    filters = ForeignFilters((table,))
    assert obstacles(filters, "docker0", SUBNET) == []
    (found,) = obstacles(filters, "docker0", Cidr("fd00::/64"))
    assert found.problem == (
        "IPv6: the policy (drop) of chain FORWARD in table ip6 filter (ip6tables) stops what leaves and what "
        "comes for published ports"
    )


@pytest.mark.parametrize(
    ("program", "name", "expected"),
    [
        ("ufw", "ip filter", "ufw route allow in on br0; ufw route allow out on br0"),
        (
            "firewalld",
            "inet firewalld",
            "firewall-cmd --permanent --zone=trusted --change-interface=br0; firewall-cmd --reload",
        ),
        (
            "iptables-legacy",
            "ip mangle",
            "iptables-legacy -t mangle -I FORWARD -i br0 -j ACCEPT; "
            "iptables-legacy -t mangle -I FORWARD -o br0 -j ACCEPT",
        ),
        (
            "nft",
            "inet strict",
            "nft insert rule inet strict FORWARD iifname br0 accept; "
            "nft insert rule inet strict FORWARD oifname br0 accept",
        ),
    ],
)
def test_remedies(program: str, name: str, expected: str) -> None:
    table = ForeignTable(program, (4,), name, {"FORWARD": "drop"}, {"FORWARD": ()})
    (found,) = obstacles(ForeignFilters((table,)), "br0", SUBNET)
    assert remedy(found, "br0") == expected
