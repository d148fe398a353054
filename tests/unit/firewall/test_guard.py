"""The guard's rules as text, and its elements."""

import re

import pytest

from fairway.firewall import guard, ruleset
from fairway.model.address import Address, Mac

NAMES = re.compile(r"^    (?:set|map|chain) (\w+) ", re.MULTILINE)
MAC = Mac("02:42:0a:00:00:02")


def test_names_are_unique_over_both_tables() -> None:
    """An element says by its set's name in which table it is."""
    assert not set(NAMES.findall(guard.RULES)) & set(NAMES.findall(ruleset.RULESET))


def test_all_sets_are_named() -> None:
    assert set(guard.OBJECTS) == set(re.findall(r"^    set (\w+) ", guard.RULES, re.MULTILINE))


def test_every_rule_that_drops_says_what() -> None:
    assert set(re.findall(r'comment "(\w+)"', guard.RULES)) == set(guard.FORGED)
    assert "interval" not in guard.RULES
    assert set(re.findall(r"policy (\w+)", guard.RULES)) == {"accept"}


@pytest.mark.parametrize(
    ("families", "asked"),
    [
        ({"ipv6": False}, {"arp_sender", "ip_sender"}),
        ({"ipv4": False}, {"ip6_sender"}),
        ({}, {"arp_sender", "ip_sender", "ip6_sender"}),
    ],
)
def test_a_family_without_rules_is_not_asked(families: dict[str, bool], asked: set[str]) -> None:
    text = guard.rules(**families)
    entered = set(re.findall(r"goto (\w+)", text)) - {"forged", "tagged"}
    assert entered == asked
    assert 'comment "mac"' in text


def test_without_any_family_there_is_no_table() -> None:
    assert guard.rules(ipv4=False, ipv6=False) == ""


def test_groups_are_not_the_reapers() -> None:
    """Its groups begin at 1 << 30."""
    assert guard.group("0" * 64) == 0x20000000
    assert guard.group("f" * 64) == 0x2FFFFFFF < 1 << 30


def test_ipv6_is_written_as_the_kernel_reads_it_back() -> None:
    """libnftables writes numbers of more than 64 bits in hex."""
    found = guard.of_endpoint(
        "0" * 64, "veth1", MAC, (Address("fd00::2"), Address("::1:0:0:2"), Address("::5"))
    )
    keys = [e.key[1] for e in found if e.table_object == guard.PORT_IP[6]]
    assert keys == ["0xfd000000000000000000000000000002", str((1 << 48) + 2), "5"]
