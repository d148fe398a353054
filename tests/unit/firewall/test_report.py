"""What the table does, told by network and container, from what the kernel holds."""

from fairway.firewall import guard, report
from fairway.firewall.links import opened
from fairway.firewall.networks import elements
from fairway.firewall.publish import published
from fairway.firewall.ruleset import CLOSED, ISOLATED, SPOOFED
from fairway.model.address import Address, Family, Mac
from fairway.model.container import Config, Container, HostConfig
from fairway.model.network import BridgeOptions, Network, PortMapping
from fairway.model.rule import Rule
from fairway.plan import Count, Counted, Element, Fact, HeldPort

WEB = Container(id="c" * 64, name="web", created=0, image="sha256:1", config=Config(), host=HostConfig())
OWNERS = {"172.17.0.2": WEB, "fd00::2": WEB}


NETWORK = Network(id="a" * 64, name="net", driver="bridge", created=0, bridge=BridgeOptions(bridge="br-a"))


def counted(*facts: Fact, counts: dict[Element, Count] | None = None) -> Counted:
    given = counts or {}
    return Counted(installed=True, elements={f: given.get(f) for f in facts if isinstance(f, Element)})


def brief(rules: list[Rule]) -> list[tuple[str, str, str, str]]:
    return [(rule.rule, rule.origin, rule.to, rule.verdict) for rule in rules]


def test_an_ordinary_network() -> None:
    held = counted(*elements("br-a", icc=True, internal=False, masquerade=True))
    assert brief(report.of_network(NETWORK, held)) == [
        ("within", "br-a", "br-a", "accept"),
        ("between", "br-a", "other networks", "drop"),
        ("outward", "br-a", "outside", "masquerade"),
        ("unpublished", "outside", "br-a", "drop"),
    ]


def test_a_closed_internal_network_counts_what_it_drops() -> None:
    closed = Element(CLOSED, ("br-a",))
    held = counted(
        *elements("br-a", icc=False, internal=True, masquerade=True), counts={closed: Count(5, 420)}
    )
    found = report.of_network(NETWORK, held)
    assert brief(found) == [
        ("within", "br-a", "br-a", "drop"),
        ("between", "br-a", "other networks", "drop"),
        ("internal", "br-a", "outside, and back", "drop"),
    ]
    assert (found[0].kind, found[0].name, found[0].packets, found[0].bytes) == ("network", "net", 5, 420)
    assert found[1].packets is None


def test_what_the_kernel_does_not_hold_is_not_told() -> None:
    assert report.of_network(NETWORK, Counted(installed=True)) == []


def test_elements_without_the_rules_that_look_at_them_do_nothing() -> None:
    facts = published([PortMapping(container_port=80, host_port=8080)], {4: Address("172.17.0.2")})
    network = elements("br-a", icc=True, internal=False, masquerade=True)
    flushed = Counted(elements={f: None for f in (*facts, *network) if isinstance(f, Element)})
    assert report.of_network(NETWORK, flushed) == []
    assert report.of_addresses(OWNERS, flushed, []) == []


def test_ports_links_and_what_the_holder_proxies() -> None:
    ports = [
        PortMapping(container_port=80, host_port=8080),
        PortMapping(container_port=80, host_port=443, host_address=Address("192.0.2.1")),
        PortMapping(container_port=80, host_port=8080, host_address=Address("::")),
    ]
    facts = published(ports, {4: Address("172.17.0.2"), 6: Address("fd00::2")})
    links = opened(Address("172.17.0.2"), Address("172.17.0.9"), [("tcp", 5432)])
    found = report.of_addresses(
        OWNERS, counted(*facts, *links), [fact for fact in facts if isinstance(fact, HeldPort)]
    )
    assert {rule.name for rule in found} == {"web"}
    assert set(brief(found)) == {
        ("hairpin", "172.17.0.2", "172.17.0.2", "masquerade"),
        ("hairpin", "fd00::2", "fd00::2", "masquerade"),
        ("published", "0.0.0.0:8080/tcp", "172.17.0.2:80", "dnat"),
        ("published", "[::]:8080/tcp", "[fd00::2]:80", "dnat"),
        ("published", "192.0.2.1:443/tcp", "172.17.0.2:80", "dnat"),
        ("link", "172.17.0.2", "172.17.0.9:5432/tcp", "accept"),
        ("held", "*:8080/tcp", "172.17.0.2:80", "proxy"),
        ("held", "192.0.2.1:443/tcp", "172.17.0.2:80", "proxy"),
    }


def test_elements_of_a_family_without_rules_are_not_told() -> None:
    ruled: list[Family] = [6]
    ports = [PortMapping(container_port=80, host_port=8080)]
    facts = published(ports, {4: Address("172.17.0.2"), 6: Address("fd00::2")})
    found = report.of_addresses(OWNERS, counted(*facts), [], ruled)
    assert brief(found) == [("hairpin", "fd00::2", "fd00::2", "masquerade")]


def test_nobodys_port_is_the_hosts() -> None:
    (rule,) = report.of_addresses({}, Counted(), [HeldPort("tcp", "", 80, Address("172.17.0.2"), 80)])
    assert (rule.kind, rule.name, rule.id) == ("host", "", "")


def test_what_is_counted_together_is_the_hosts() -> None:
    together = Counted(installed=True, rules={ISOLATED: Count(1, 84)})
    (rule,) = report.of_host(together)
    assert (rule.rule, rule.verdict, rule.packets) == ("between", "drop", 1)


def test_a_rule_for_ipv4_is_not_told_where_there_are_none() -> None:
    together = Counted(installed=True, rules={SPOOFED: Count(), ISOLATED: Count()})
    ipv6: list[Family] = [6]
    assert [rule.rule for rule in report.of_host(together, ipv6)] == ["between"]
    assert [rule.rule for rule in report.of_host(together)] == ["between", "spoofed"]


def test_a_guarded_network_counts_what_it_drops() -> None:
    facts = guard.of_network(NETWORK.id, (Mac("02:42:00:00:00:01"),), (Address("172.17.0.1"),))
    held = counted(*facts, counts={facts[0]: Count(7, 300)})
    (found,) = report.of_network(NETWORK, held)
    assert brief([found]) == [("spoofed", "br-a", "others' addresses", "drop")]
    assert (found.packets, found.bytes) == (7, 300)


def test_what_the_guard_drops_is_told_by_kind() -> None:
    held = Counted(installed=True, rules={"dhcp": Count(2, 600), "mac": Count()})
    assert [(r.rule, r.to, r.packets) for r in report.of_host(held)] == [
        ("spoofed", "answers of a DHCP server", 2),
        ("spoofed", "MACs of others", 0),
    ]
