"""What changes the fingerprint of the table, and what does not."""

import struct

import pytest

from fairway.kernel.fingerprint import fingerprint
from fairway.kernel.netlink import attribute, nested, text
from fairway.kernel.nfnetlink import Chain, Rule, number, read_chain, read_rule

HEADER = bytes((1, 0, 0, 0))


def rule(chain: str = "forward", *, handle: int = 7, counted: int = 1, verdict: bytes = b"accept") -> Rule:
    """``counter accept comment "ours"``, as the kernel tells it."""
    counter = text(1, "counter") + nested(2, attribute(1, struct.pack(">Q", counted)))
    then = text(1, "immediate") + nested(2, attribute(1, verdict))
    body = text(1, "fairway") + text(2, chain) + attribute(3, struct.pack(">Q", handle))
    body += nested(4, nested(1, counter), nested(1, then)) + attribute(7, b"\0\x05ours\0")
    return read_rule(HEADER + body)


def chain(name: str = "forward", *, policy: int = 1, users: int = 1) -> Chain:
    body = text(1, "fairway") + attribute(2, bytes(8)) + text(3, name)
    return read_chain(HEADER + body + number(5, policy) + number(6, users) + text(7, "filter"))


def mark(flags: int = 0, chains: tuple[Chain, ...] = (chain(),), rules: tuple[Rule, ...] = (rule(),)) -> str:
    return fingerprint(flags, chains, rules, {"forward", "between"}.__contains__)


def test_a_rule_is_read() -> None:
    assert (rule().table, rule().chain, rule().comment) == ("fairway", "forward", "ours")


def test_passing_things_do_not_count() -> None:
    assert mark(rules=(rule(handle=99, counted=99),), chains=(chain(users=9),)) == mark()
    assert mark(rules=(rule(), rule("user_forward")), chains=(chain("user_forward"), chain())) == mark()


@pytest.mark.parametrize(
    "changed",
    [
        mark(flags=1),
        mark(rules=()),
        mark(rules=(rule(), rule())),
        mark(rules=(rule(verdict=b"drop"),)),
        mark(rules=(rule(), rule("between"))),
        mark(chains=()),
        mark(chains=(chain(policy=0),)),
    ],
)
def test_changes_count(changed: str) -> None:
    assert changed != mark()
