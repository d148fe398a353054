"""What a reader of the packet pages relies on, whatever the rules look like."""

import packet_pages
from fairway.kernel.trace import Journey, Scene, walk
from packet_cases import PAGES, Case
from packet_scene import facts

CASES = [(page.name, case) for page in PAGES for case in page.cases]


def computed(case: Case) -> Journey:
    return walk(Scene(facts(bridged=case.bridged, published=case.published)), case.packet)


def test_the_pages_end_as_computed_without_rules() -> None:
    for name, case in CASES:
        read, other = packet_pages.journey(case)[0], computed(case)
        ends = [(j.verdict, j.namespace, j.address, j.port, j.source, j.proxied) for j in (read, other)]
        assert ends[0] == ends[1], (name, case.title)


def test_what_is_dropped() -> None:
    ends = {(name, case.title): packet_pages.journey(case)[0].verdict for name, case in CASES}
    assert {at for at, verdict in ends.items() if verdict == "dropped"} == {
        ("published-port-on-127.0.0.1", "From a neighbour on the wire that sends to 127.0.0.1"),
        ("isolation", "In different networks"),
        ("internal", "To the outside, with a default route of its own"),
        ("internal", "To a port that another network publishes"),
        ("internal", "To one that the port holder proxies"),
        ("internal", "From outside, routed by hand to the container's address"),
        ("icc-off-and-links", "Between two containers"),
        ("icc-off-and-links", "The same container, another port"),
        ("icc-off-and-links", "A ping through the link"),
        ("direct-routing", "To a port that is not published"),
        ("direct-routing", "To the port behind a published one"),
        ("direct-routing", "Over IPv6"),
    }


def test_every_chain_has_a_purpose_and_no_purpose_is_left_over() -> None:
    assert set(packet_pages.PURPOSES) == set(packet_pages.CHAINS)
