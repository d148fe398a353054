"""The base ruleset: hash sets only, every set that elements name is there, policies accept."""

import re

import pytest

from fairway.firewall import ruleset
from fairway.firewall.networks import elements
from fairway.firewall.publish import published
from fairway.model.address import Address, family
from fairway.model.network import PortMapping
from fairway.plan import Element

DECLARED = set(re.findall(r"^    (?:set|map) (\w+) ", ruleset.RULESET, re.MULTILINE))


def test_no_intervals_and_no_policy_of_ours() -> None:
    assert "interval" not in ruleset.RULESET
    assert set(re.findall(r"policy (\w+)", ruleset.RULESET)) == {"accept"}


@pytest.mark.parametrize("icc", [True, False])
@pytest.mark.parametrize("internal", [True, False])
@pytest.mark.parametrize("masquerade", [True, False])
def test_elements_of_a_network(icc: bool, internal: bool, masquerade: bool) -> None:
    found = elements("br-x", icc=icc, internal=internal, masquerade=masquerade)
    names = {e.table_object for e in found}
    assert names <= DECLARED
    assert (ruleset.CLOSED in names) is not icc
    assert (ruleset.INTERNAL in names) is internal
    assert (ruleset.MASQUERADE in names) is (masquerade and not internal)
    assert {ruleset.BRIDGES, ruleset.SAME} <= names


def test_one_element_a_port() -> None:
    ports = [PortMapping(container_port=80 + i, host_port=8080 + i) for i in range(3)]
    ports.append(
        PortMapping(container_port=53, host_port=53, protocol="udp", host_address=Address("127.0.0.1"))
    )
    found = [f for f in published(ports, {4: Address("172.17.0.2")}) if isinstance(f, Element)]
    assert [(e.table_object, e.key, e.value) for e in found] == [
        (ruleset.OWN[4], ("172.17.0.2", "172.17.0.2"), ""),
        (ruleset.PUBLISH[4], ("tcp", "8080"), "172.17.0.2 . 80"),
        (ruleset.PUBLISH[4], ("tcp", "8081"), "172.17.0.2 . 81"),
        (ruleset.PUBLISH[4], ("tcp", "8082"), "172.17.0.2 . 82"),
        (ruleset.PUBLISH_AT[4], ("127.0.0.1", "udp", "53"), "172.17.0.2 . 53"),
    ]
    assert {e.table_object for e in found} <= DECLARED


def test_all_sets_and_maps_are_named() -> None:
    assert set(ruleset.OBJECTS) == DECLARED


def test_ports_that_are_proxied_at_different_addresses_are_different_elements() -> None:
    places = {"192.0.2.1": "fd00::2", "192.0.2.2": "fd00::3", "0.0.0.0": "fd00::4"}
    places |= {"2001:db8::1": "10.0.0.2", "::": "10.0.0.3"}
    found = [
        fact
        for address, target in places.items()
        for fact in published(
            [PortMapping(container_port=80, host_port=8080, host_address=Address(address))],
            {family(target): Address(target)},
        )
        if isinstance(fact, Element) and fact.table_object.startswith("proxied")
    ]
    assert len({(f.table_object, f.key) for f in found}) == len(places)
