"""Tables, zones, and which sandboxes a publication concerns."""

import pytest
from dnslib import DNSRecord

from fairway.dns.directory import UNKNOWN, Directory
from fairway.dns.upstreams import parse_server
from fairway.model.address import Address
from fairway.model.dns import NetworkNames, Zone
from fairway.model.errors import InvalidParameter


def table(network: str, **names: str) -> NetworkNames:
    return NetworkNames(
        id=network, name=f"{network}-name", names={n: (Address(a),) for n, a in names.items()}
    )


def resolve(directory: Directory, sandbox: str, name: str) -> str:
    message = bytes(DNSRecord.question(name).pack())
    reply = directory.entry(sandbox).responder.respond(message, stream=False, upstream=False)
    assert isinstance(reply, bytes)
    return ",".join(str(r.rdata) for r in DNSRecord.parse(reply).rr)


def test_all_sandboxes_of_a_network_see_its_new_table_and_no_others_do() -> None:
    directory = Directory()
    zones = [Zone(sandbox="a", networks=("n1",)), Zone(sandbox="b", networks=("n1", "n2"))]
    directory.publish(
        [table("n1", web="10.0.0.1"), table("n2")], [*zones, Zone(sandbox="c", networks=("n2",))]
    )
    kept = directory.entry("c")
    directory.publish([table("n1", web="10.0.0.2")], [])
    assert [resolve(directory, s, "web") for s in "abc"] == ["10.0.0.2", "10.0.0.2", ""]
    assert directory.entry("c") is kept


def test_a_zone_that_leaves_a_network_no_longer_sees_it() -> None:
    directory = Directory()
    directory.publish(
        [table("n1", web="10.0.0.1")],
        [Zone(sandbox="a", networks=("n1",)), Zone(sandbox="b", networks=("n1",))],
    )
    directory.publish([], [Zone(sandbox="a")])
    assert resolve(directory, "a", "web") == ""
    assert resolve(directory, "b", "web") == "10.0.0.1"


def test_a_table_goes_with_the_last_zone_that_lists_it() -> None:
    directory = Directory()
    directory.publish([table("n1", web="10.0.0.1")], [Zone(sandbox="a", networks=("n1",))])
    directory.withdraw("a")
    assert directory.entry("a") is UNKNOWN
    assert list(directory.sandboxes()) == []
    directory.publish([], [Zone(sandbox="b", networks=("n1",))])
    assert resolve(directory, "b", "web") == "", "what was dropped does not come back"


def test_withdrawing_the_unknown_is_no_error() -> None:
    Directory().withdraw("nobody")


def test_upstreams_are_parsed_and_survive_a_new_table() -> None:
    directory = Directory()
    directory.publish([table("n1")], [Zone(sandbox="a", networks=("n1",), upstreams=("192.0.2.1:5353",))])
    directory.publish([table("n1", web="10.0.0.1")], [])
    assert directory.entry("a").upstreams == (parse_server("192.0.2.1:5353"),)
    directory.publish([], [Zone(sandbox="a", networks=("n1",))])
    assert directory.entry("a").upstreams is None


def test_a_bad_upstream_changes_nothing() -> None:
    directory = Directory()
    with pytest.raises(InvalidParameter):
        directory.publish([table("n1")], [Zone(sandbox="a"), Zone(sandbox="b", upstreams=("x",))])
    assert list(directory.sandboxes()) == []
