"""Other programs' tables, as libnftables and iptables-save report them."""

from typing import Any

import pytest

from fairway.kernel.foreign import legacy_tables, nft_table
from fairway.model.foreign import Condition, ForeignRule

IN, OUT = Condition("iifname", ("docker0",)), Condition("oifname", ("eth*",), negated=True)


def match(left: dict[str, Any], right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def rules(*expressions: list[dict[str, Any]]) -> tuple[ForeignRule, ...]:
    chain = {"family": "ip", "table": "t", "name": "f"}
    listing: list[dict[str, Any]] = [{"chain": chain | {"hook": "forward", "policy": "drop"}}]
    listing += [{"rule": {"chain": "f", "expr": list(each)}} for each in expressions]
    return nft_table("ip t", listing, "iptables").chains["f"]


@pytest.mark.parametrize(
    ("expressions", "expected"),
    [
        (
            [match({"meta": {"key": "iifname"}}, "docker0"), {"counter": None}, {"accept": None}],
            ForeignRule("accept", "", (IN,)),
        ),
        (
            [match({"meta": {"key": "oifname"}}, "eth*", "!="), {"jump": {"target": "x"}}],
            ForeignRule("jump", "x", (OUT,)),
        ),
        (
            [match({"ct": {"key": "state"}}, ["established", "related"], "in"), {"accept": None}],
            ForeignRule("accept", "", (Condition("state", ("established", "related")),)),
        ),
        (
            [
                match(
                    {"payload": {"protocol": "ip", "field": "saddr"}},
                    {"set": [{"prefix": {"addr": "10.0.0.0", "len": 8}}, "192.0.2.1"]},
                ),
                {"reject": {"type": "icmpx"}},
            ],
            ForeignRule("drop", "", (Condition("saddr", ("10.0.0.0/8", "192.0.2.1")),)),
        ),
        (
            [match({"payload": {"protocol": "ip", "field": "saddr"}}, "@blocked"), {"drop": None}],
            ForeignRule("drop", "", (), opaque=True),
        ),
        (
            [match({"payload": {"protocol": "tcp", "field": "dport"}}, 25), {"drop": None}],
            ForeignRule("drop", "", (), opaque=True),
        ),
        (
            [{"xt": {"type": "match", "name": "x"}}, {"accept": None}],
            ForeignRule("accept", "", (), opaque=True),
        ),
        ([{"limit": {"rate": 3}}, {"drop": None}], ForeignRule("drop", "", (), opaque=True)),
        ([{"log": None}, {"xt": {"type": "target", "name": "REJECT"}}], ForeignRule("drop")),
    ],
)
def test_rules_of_nftables(expressions: list[dict[str, Any]], expected: ForeignRule) -> None:
    assert rules(expressions) == (expected,)


def test_what_decides_nothing_is_no_rule() -> None:
    assert rules([{"counter": None}], [{"xt": {"type": "target", "name": "LOG"}}]) == ()


def test_a_verdict_map_is_a_rule_for_each_entry() -> None:
    entries = {"set": [["established", {"accept": None}], ["invalid", {"drop": None}]]}
    assert rules([{"vmap": {"key": {"ct": {"key": "state"}}, "data": entries}}]) == (
        ForeignRule("accept", "", (Condition("state", ("established",)),)),
        ForeignRule("drop", "", (Condition("state", ("invalid",)),)),
    )
    assert rules([{"vmap": {"key": {"ct": {"key": "state"}}, "data": "@verdicts"}}]) == ()


@pytest.mark.parametrize(
    ("name", "chain", "program"),
    [
        ("ip filter", "FORWARD", "iptables"),
        ("ip6 filter", "FORWARD", "ip6tables"),
        ("inet firewalld", "filter_FORWARD", "firewalld"),
        ("inet filter", "forward", "nft"),
        ("ip docker-bridges", "filter-FORWARD", "nft"),
    ],
)
def test_whose_table_it_is(name: str, chain: str, program: str) -> None:
    listing = [{"chain": {"name": chain, "hook": "forward", "policy": "accept"}}]
    assert nft_table(name, listing, "iptables").program == program
    assert nft_table(name, [*listing, {"chain": {"name": "ufw-user-forward"}}], "iptables").program == "ufw"


def test_iptables_legacy() -> None:
    text = """# Generated
*nat
:PREROUTING ACCEPT [0:0]
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [1:2]
:own - [0:0]
-A FORWARD -i docker0 ! -o eth+ -m comment --comment "a b" -j ACCEPT
-A FORWARD -i docker0 ! -o eth+ -j own
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -p tcp -m tcp --dport 25 -g own
-A FORWARD -j LOG --log-prefix "x "
-A FORWARD -j REJECT --reject-with icmp-port-unreachable
-A own -s 10.0.0.0/8 -j RETURN
COMMIT
"""
    (table,) = legacy_tables(text, 4, "iptables-legacy")
    assert (table.program, table.name, table.policies) == (
        "iptables-legacy",
        "ip filter",
        {"FORWARD": "drop"},
    )
    assert table.chains["FORWARD"] == (
        ForeignRule("accept", "", (IN, OUT), opaque=True),
        ForeignRule("jump", "own", (IN, OUT)),
        ForeignRule("accept", "", (Condition("state", ("related", "established")),)),
        ForeignRule("goto", "own", (), opaque=True),
        ForeignRule("drop"),
    )
    assert table.chains["own"] == (ForeignRule("return", "", (Condition("saddr", ("10.0.0.0/8",)),)),)
