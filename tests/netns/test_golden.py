"""The tables as the kernel lists them, over combinations of options, against ``tests/golden/*.nft``.

Each file is what ``nft list table`` shows of ``inet fairway``, or ``guard*.nft`` of ``bridge fairway``,
elements in order, without counters and version.
``UPDATE_GOLDEN=1 .venv/bin/pytest tests/netns/test_golden.py`` writes them anew.
"""

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from fairway.firewall import guard
from fairway.firewall.links import opened
from fairway.firewall.networks import elements
from fairway.firewall.publish import published
from fairway.firewall.ruleset import ruleset
from fairway.model.address import Address, Family, Mac
from fairway.model.network import PortMapping
from fairway.plan import Element, Fact, establish
from netns_host import NetnsHost

pytestmark = pytest.mark.root
GOLDEN = Path(__file__).parents[1] / "golden"
BOTH: dict[Family, Address] = {4: Address("172.18.0.2"), 6: Address("fd00:18::2")}
IPV4: dict[Family, Address] = {4: BOTH[4]}
IPV6: dict[Family, Address] = {6: BOTH[6]}


def port(host: int, inside: int, address: str = "0.0.0.0", protocol: str = "tcp") -> PortMapping:
    return PortMapping(
        protocol=protocol,  # type: ignore[arg-type]
        container_port=inside,
        host_address=Address(address),
        host_port=host,
    )


ANYWHERE = [port(8080, 80), port(8080, 80, "::")]
PUBLISHED = published([*ANYWHERE, port(5353, 53, protocol="udp"), port(3868, 3868, "::", "sctp")], BOTH)
AT = published(
    [port(8080, 80, "127.0.0.1"), port(8080, 80, "192.0.2.1"), port(8080, 80, "2001:db8::1")],
    BOTH,
)
LINKS = (
    *opened(Address("172.18.0.3"), BOTH[4], [("tcp", 80), ("udp", 53)]),
    *opened(Address("fd00:18::3"), BOTH[6], [("tcp", 80)]),
)
NETWORK = elements("br-net", icc=True, internal=False, masquerade=True)
CLOSED = elements("br-closed", icc=False, internal=False, masquerade=True)
INTERNAL = elements("br-internal", icc=True, internal=True, masquerade=True)
GUARDED = (
    *guard.of_network("abcdef0", (Mac("02:42:ab:cd:ef:01"),), (Address("172.18.0.1"), Address("fd00:18::1"))),
    *guard.of_endpoint("abcdef0", "veth1", Mac("02:42:ac:12:00:02"), BOTH.values()),
)
CASES: dict[str, tuple[str, Iterable[Fact]]] = {
    "clean": (ruleset(), ()),
    "clean-ipv4": (ruleset(ipv6=False), ()),
    "clean-ipv6": (ruleset(ipv4=False), ()),
    "network": (ruleset(), NETWORK),
    "no-masquerade": (ruleset(), elements("br-net", icc=True, internal=False, masquerade=False)),
    "closed": (ruleset(), CLOSED),
    "closed-linked": (ruleset(), (*CLOSED, *LINKS)),
    "internal": (ruleset(), INTERNAL),
    "internal-closed": (ruleset(), elements("br-net", icc=False, internal=True, masquerade=False)),
    "published": (ruleset(), (*NETWORK, *PUBLISHED)),
    "published-at": (ruleset(), (*NETWORK, *AT)),
    "published-ipv4-container": (ruleset(), (*NETWORK, *published(ANYWHERE, IPV4))),
    "published-ipv6-container": (ruleset(), (*NETWORK, *published(ANYWHERE, IPV6))),
    "ipv4": (ruleset(ipv6=False), (*NETWORK, *PUBLISHED)),
    "ipv6": (ruleset(ipv4=False), (*NETWORK, *PUBLISHED)),
    "guard-ipv4": (guard.rules(ipv6=False), GUARDED),
    "guard-ipv6": (guard.rules(ipv4=False), GUARDED),
    "guard": (guard.rules(), GUARDED),
    "everything": (ruleset(), (*NETWORK, *CLOSED, *INTERNAL, *PUBLISHED, *AT, *LINKS)),
}


def listed(host: NetnsHost) -> str:
    """The table, elements one a line and in order, without what differs from run to run or version."""

    def ordered(match: re.Match[str]) -> str:
        found = sorted(re.sub(r"\s+", " ", item).strip() for item in match[1].split(","))
        return "elements = {\n" + "".join(f"\t\t\t{item},\n" for item in found) + "\t\t}"

    text = re.sub(r"elements = \{(.*?)\}", ordered, host.tables(), flags=re.DOTALL)
    text = re.sub(r"\n\tchain version \{.*?\t\}\n", "", text, flags=re.DOTALL)
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


def golden(name: str, text: str) -> str:
    file = GOLDEN / f"{name}.nft"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(text)
    return file.read_text()


@pytest.mark.parametrize("name", CASES)
async def test_table(host: NetnsHost, name: str) -> None:
    """As in the file; and without the facts as before them."""
    text, facts = CASES[name]
    plan = establish(dict.fromkeys(f for f in facts if isinstance(f, Element)))
    kernel = host.kernel(ruleset=text)
    try:
        await kernel.install()
        before = listed(host)
        await kernel.apply(plan)
        shown = listed(host)
        assert (await kernel.counted()).elements.keys() == {
            f for f in await kernel.facts() if isinstance(f, Element)
        }
        assert shown == golden(name, shown)
        assert await kernel.withdraw(plan.inverse()) == []
        assert listed(host) == before
    finally:
        await kernel.close()


def test_every_file_has_a_case() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == set(CASES)


async def test_rules_do_not_grow(host: NetnsHost) -> None:
    """The same number with nothing, and with 1,000 networks, containers, links and published ports."""
    kernel = host.kernel()
    many: list[Fact] = []
    for n in range(1000):
        many += elements(f"br-{n}", icc=n % 2 == 0, internal=n % 3 == 0, masquerade=True)
        first, second = Address(f"10.0.{n // 250}.{n % 250 + 1}"), Address(f"fd00::{n + 1:x}")
        ports = [port(10000 + n, 80), port(10000 + n, 80, "::"), port(30000 + n, 80, "192.0.2.1", "udp")]
        many += published(ports, {4: first, 6: second})
        many += opened(first, Address("10.9.9.9"), [("tcp", 80)])
        mac = Mac(f"02:42:0a:00:{n // 250:02x}:{n % 250 + 1:02x}")
        many += guard.of_network(f"{n:07x}", (), ())
        many += guard.of_endpoint(f"{n:07x}", f"veth{n}", mac, (first, second))
    plan = establish(f for f in many if isinstance(f, Element))
    try:
        await kernel.install()
        before = rules(host)
        await kernel.apply(plan)
        assert rules(host) == before
        assert await kernel.facts() == set(plan.facts())
        await kernel.apply(plan.inverse())
        assert await kernel.facts() == frozenset()
    finally:
        await kernel.close()


def rules(host: NetnsHost) -> dict[str, int]:
    """The number of rules by chain."""
    listing = json.loads(host.run("nft -j -t list ruleset").stdout)["nftables"]
    chains = [entry["rule"]["chain"] for entry in listing if "rule" in entry]
    return {name: chains.count(name) for name in chains}
