"""The ruleset's text decides as computed without it, and more networks make no packet meet more rules."""

import re
from dataclasses import replace

import pytest

from fairway.firewall.ruleset import OBJECTS, RULESET, ruleset
from fairway.kernel.trace import Journey, Packet, walk
from fairway.model.address import Address as IP
from reachability.cells import cells
from reachability.verdicts import packet_of
from reachability.world import WORLD, World, facts, scene
from rule_walk import RuleWalk, chains, elements_of

CHAINS = chains(RULESET)


def sandbox(name: str) -> str:
    return f"/{name}"


def rules(world: World) -> RuleWalk:
    return RuleWalk(CHAINS, elements_of(facts(world, sandbox)))


def outcome(journey: Journey) -> tuple[object, ...]:
    """All of a journey but how it is explained."""
    end = (journey.verdict, journey.namespace, journey.address, journey.port, journey.source)
    return *end, journey.proxied, journey.path


@pytest.mark.parametrize("filtered", [True, False])
def test_the_text_decides_as_computed(filtered: bool) -> None:
    world = replace(WORLD, bridged_frames_filtered=filtered)
    there, read = scene(world, sandbox), rules(world)
    for cell in cells(world):
        packet = packet_of(cell, sandbox)
        assert outcome(walk(there, packet, read)) == outcome(walk(there, packet)), cell


def test_no_packet_meets_more_rules_beside_a_thousand_networks() -> None:
    crowded = replace(WORLD, others=1000)
    met: dict[int, list[int]] = {}
    for world in (WORLD, crowded):
        there, read = scene(world, sandbox), rules(world)
        for cell in cells(WORLD)[::5]:
            before = read.met
            walk(there, packet_of(cell, sandbox), read)
            met.setdefault(world.others, []).append(read.met - before)
    assert met[0] == met[1000]
    assert max(met[0]) < 40


def test_a_journey_names_chains_sets_and_maps_that_exist() -> None:
    there = scene(WORLD, sandbox)
    journeys = [walk(there, packet_of(cell, sandbox)) for cell in cells(WORLD)]
    by = {text for journey in journeys for text in (journey.by, *(hop.by for hop in journey.hops))}
    named = {word for text in by for word in re.split(r"\W+", re.sub("ct status dnat|sysctl .*", "", text))}
    assert named - {"", "chain", "set", "sets", "map", "and"} <= {*CHAINS, *OBJECTS}


def test_a_rule_that_nobody_explained_is_an_error() -> None:
    text = RULESET.replace("jump user_forward", "meta mark 7 accept")
    assert text != RULESET
    packet = Packet("/client", IP("192.0.2.9"))
    with pytest.raises(ValueError, match="explain this rule"):
        walk(scene(WORLD, sandbox), packet, RuleWalk(chains(text), elements_of(facts(WORLD, sandbox))))


@pytest.mark.parametrize(("kind", "address"), [(4, "10.1.0.2"), (6, "fd00:1::2")])
def test_a_table_for_one_family_leaves_the_other_alone(kind: int, address: str) -> None:
    for ruled in (4, 6):
        text = ruleset(ipv4=ruled == 4, ipv6=ruled == 6)
        read = RuleWalk(chains(text), elements_of(facts(WORLD, sandbox)))
        journey = walk(scene(WORLD, sandbox), Packet("outside", IP(address)), read)
        assert journey.arrives is (ruled != kind)
