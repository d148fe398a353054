"""What changes the fingerprint of the table, and what does not."""

from typing import Any

import pytest

from fairway.kernel.fingerprint import fingerprint


def listing(**changed: Any) -> list[dict[str, Any]]:
    """A table with a chain, a set, and rules, one of which may be changed."""
    rule = {
        "chain": "forward",
        "handle": 7,
        "expr": [
            {"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": {"set": ["tcp", "udp"]}}},
            {"counter": {"packets": 1, "bytes": 2}},
            {"accept": None},
        ],
    }
    return [
        {"metainfo": {"version": "1.0.6"}},
        {"table": {"name": "fairway", "handle": 1}},
        {"chain": {"name": "forward", "policy": "accept", "handle": 2}},
        {"chain": {"name": "user_forward", "handle": 3}},
        {"set": {"name": "bridges", "type": "ifname", "handle": 4}},
        {"rule": rule | changed},
    ]


def mark(entries: list[dict[str, Any]]) -> str:
    return fingerprint(entries, {"forward", "bridges"}.__contains__)


def test_passing_things_do_not_count() -> None:
    expressions = [
        {"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": {"set": ["udp", "tcp"]}}},
        {"counter": {"packets": 9, "bytes": 9}},
        {"accept": None},
    ]
    other = listing(handle=99, expr=expressions)
    other.append({"rule": {"chain": "user_forward", "expr": [{"drop": None}]}})
    other.append({"set": {"name": "mine", "type": "ipv4_addr"}})
    other[4]["set"]["elem"] = ["br-1"]
    assert mark(other) == mark(listing())


@pytest.mark.parametrize(
    "changed",
    [
        listing(expr=[{"drop": None}]),
        listing()[:-1],
        [*listing(), listing()[-1]],
        [*listing()[:2], {"chain": {"name": "forward", "policy": "drop", "handle": 2}}, *listing()[3:]],
        [listing()[0], {"table": {"name": "fairway", "flags": "dormant"}}, *listing()[2:]],
    ],
)
def test_changes_count(changed: list[dict[str, Any]]) -> None:
    assert mark(changed) != mark(listing())
