"""Which sets and maps of a ruleset are read from the kernel itself, and how their elements look there."""

import pytest

from fairway.firewall.ruleset import OBJECTS, ruleset
from fairway.kernel.elements import Object, objects
from fairway.kernel.nfnetlink import FAMILIES


def test_all_of_the_base_ruleset() -> None:
    found = objects(ruleset())
    assert found is not None
    assert {each.name for each in found} == set(OBJECTS)
    assert Object(1, "fairway", "bridges", ["ifname"], []) in found
    key, value = ["inet_proto", "inet_service"], ["ipv6_addr", "inet_service"]
    assert Object(1, "fairway", "publish6", key, value) in found


def test_no_table() -> None:
    assert objects("") == []


def test_several_tables() -> None:
    text = "table ip a {\n set x { type ipv4_addr; }\n}\n"
    text += "table bridge b {\n set y {\n type ether_addr;\n counter;\n }\n}"
    assert objects(text) == [
        Object(FAMILIES["ip"], "a", "x", ["ipv4_addr"], []),
        Object(FAMILIES["bridge"], "b", "y", ["ether_addr"], []),
    ]


@pytest.mark.parametrize(
    "content",
    [
        "type mark;",
        "type ipv4_addr; flags interval;",
        "flags timeout; type ipv4_addr;",
        "type ifname : verdict;",
        "typeof ip saddr;",
    ],
)
def test_those_that_are_left_to_libnftables(content: str) -> None:
    assert objects(f"table inet a {{\n set x {{ type ifname; }}\n map y {{ {content} }}\n}}") is None
