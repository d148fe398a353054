"""One contract for both kernels: what apply, withdraw and facts promise (engine.protocols.Kernel)."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

from fairway.kernel.fake import FakeKernel
from fairway.kernel.linux import LinuxKernel
from fairway.model.address import Address as IP
from fairway.model.address import Cidr, Mac
from fairway.model.errors import Conflict, InvalidParameter, NotFound, System
from fairway.plan import (
    HOST,
    Address,
    Bridge,
    Element,
    Fact,
    Flows,
    Hairpin,
    HeldPort,
    Namespace,
    Plan,
    Resolver,
    Route,
    Step,
    Sysctl,
    Veth,
    difference,
    establish,
    withdraw,
)
from netns_host import NetnsHost

AnyKernel = LinuxKernel | FakeKernel
SETS = ("bridges", "closed", "internal", "masqueraded", "same")
BRIDGE = Bridge("br-1", Mac("02:42:0a:00:00:01"), 1450)


class World:
    """A kernel, and a directory for namespace files."""

    def __init__(self, kernel: AnyKernel, directory: str) -> None:
        self.kernel = kernel
        self.directory = directory

    def network(self) -> Plan:
        return establish(
            [
                BRIDGE,
                Address(HOST, "br-1", Cidr("10.1.0.1/16")),
                Address(HOST, "br-1", Cidr("fd00:1::1/64")),
                Element("same", ("br-1", "br-1")),
                Element("bridges", ("br-1",)),
            ]
        )

    def sandbox(self, number: int) -> str:
        return f"{self.directory}/sandbox{number:05}"

    def veth(self, number: int) -> Veth:
        mac = f"02:42:0a:01:00:{number:02x}"
        path = self.sandbox(number)
        return Veth(f"veth{number}", Mac(f"06{mac[2:]}"), "br-1", path, "eth0", Mac(mac), 1450)

    def attachment(self, number: int) -> Plan:
        path = self.sandbox(number)
        return establish(
            [
                Namespace(path),
                self.veth(number),
                Address(path, "eth0", Cidr(f"10.1.0.{number}/16")),
                Address(path, "eth0", Cidr(f"fd00:1::{number:x}/64")),
                Address(path, "eth0", Cidr(f"169.254.9.{number}/16")),
                Route(path, Cidr("0.0.0.0/0"), IP("10.1.0.1"), "eth0"),
                Route(path, Cidr("::/0"), IP("fd00:1::1"), "eth0"),
                Resolver(f"sandbox{number:05}{'f' * 52}", path),
            ]
        )


@pytest_asyncio.fixture(params=["fake", pytest.param("linux", marks=pytest.mark.root)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "fake":
        yield World(FakeKernel(objects=SETS), "/run/fairway/netns")
        return
    host: NetnsHost = request.getfixturevalue("host")
    kernel = host.kernel()
    await kernel.install()
    try:
        yield World(kernel, host.namespaces)
    finally:
        await kernel.close()


async def test_what_is_applied_holds(world: World) -> None:
    plan = world.network() + world.attachment(2) + world.attachment(3)
    await world.kernel.apply(plan)
    assert await world.kernel.facts() == set(plan.facts())


async def test_applying_twice_changes_nothing(world: World) -> None:
    plan = world.network() + world.attachment(2)
    await world.kernel.apply(plan)
    await world.kernel.apply(plan)
    assert await world.kernel.facts() == set(plan.facts())


async def test_inverse_leads_back(world: World) -> None:
    await world.kernel.apply(world.network())
    before = await world.kernel.facts()
    interfaces = await world.kernel.interfaces()
    await world.kernel.apply(world.attachment(2))
    assert await world.kernel.facts() != before
    await world.kernel.apply(world.attachment(2).inverse())
    assert await world.kernel.facts() == before
    assert await world.kernel.interfaces() == interfaces


async def test_withdrawing_everything_leaves_nothing(world: World) -> None:
    plan = world.network() + world.attachment(2) + world.attachment(3)
    await world.kernel.apply(plan)
    assert await world.kernel.withdraw(plan.inverse()) == []
    assert await world.kernel.facts() == frozenset()
    assert await world.kernel.interfaces() == {"lo": False}


async def test_withdrawing_what_is_absent_is_success(world: World) -> None:
    plan = world.network() + world.attachment(2)
    assert await world.kernel.withdraw(plan.inverse()) == []
    await world.kernel.apply(plan.inverse())


@pytest.mark.parametrize(
    "bad",
    [
        Route("@2", Cidr("10.9.0.0/16"), IP("192.0.2.1"), "eth0"),
        Address("@2", "eth7", Cidr("10.7.0.1/16")),
        Address("@9", "eth0", Cidr("10.7.0.1/16")),
        Element("nonesuch", ("br-1",)),
        Veth("veth9", Mac("06:00:00:00:00:09"), "br-9", "@2", "eth1", Mac("02:00:00:00:00:09"), 1500),
        Veth("veth9", Mac("06:00:00:00:00:09"), "br-1", "@9", "eth1", Mac("02:00:00:00:00:09"), 1500),
        Sysctl("@9", "net/ipv4/ip_forward", "1"),
        Resolver("x" * 64, "@9"),
        Hairpin("veth9"),
    ],
    ids=lambda bad: f"{type(bad).__name__}-{getattr(bad, 'namespace', '')}",
)
async def test_failure_in_the_middle_undoes_everything(world: World, bad: Any) -> None:
    await world.kernel.apply(world.network())
    before = await world.kernel.facts()
    if getattr(bad, "namespace", "").startswith("@"):
        bad = replace(bad, namespace=world.sandbox(int(bad.namespace[1:])))
    plan = world.attachment(2) + establish([bad, Element("masqueraded", ("br-1",))])
    with pytest.raises(System) as caught:
        await world.kernel.apply(plan)
    assert len(caught.value.message) > 20
    assert await world.kernel.facts() == before


async def test_undoing_keeps_what_was_there_before(world: World) -> None:
    element = Element("masqueraded", ("br-1",))
    before = world.network() + world.attachment(2) + establish([element])
    await world.kernel.apply(before)
    bad = Address(world.sandbox(2), "eth7", Cidr("10.7.0.1/16"))
    with pytest.raises(System, match="eth7"):
        await world.kernel.apply(before + world.attachment(3) + establish([bad]))
    assert await world.kernel.facts() == set(before.facts())


async def test_failed_withdrawal_is_undone_too(world: World) -> None:
    """apply() of a plan that takes things away and then fails gives them back."""
    held = world.network() + world.attachment(2)
    await world.kernel.apply(held)
    bad = Address(world.sandbox(9), "eth0", Cidr("10.7.0.1/16"))
    with pytest.raises(System):
        await world.kernel.apply(world.attachment(2).inverse() + establish([bad]))
    assert await world.kernel.facts() == set(held.facts())


async def test_withdraw_goes_on_and_returns_the_failures(world: World) -> None:
    plan = world.network() + world.attachment(2)
    await world.kernel.apply(plan)
    bad = Plan((Step(Address(world.sandbox(9), "eth0", Cidr("10.7.0.1/16"))),))
    failures = await world.kernel.withdraw(bad + plan.inverse())
    assert [type(f) for f in failures] == [System]
    assert await world.kernel.facts() == frozenset()


async def test_detaching_leaves_the_sandbox(world: World) -> None:
    plan = world.network() + world.attachment(2)
    await world.kernel.apply(plan)
    path = world.sandbox(2)
    leaving = [f for f in world.attachment(2).facts() if isinstance(f, Veth | Address | Route)]
    assert await world.kernel.withdraw(withdraw(leaving)) == []
    facts = await world.kernel.facts()
    assert Namespace(path) in facts
    assert not facts & set(leaving)
    await world.kernel.apply(establish(leaving))
    assert await world.kernel.facts() == set(plan.facts())


async def test_names_are_free_right_after_withdrawal(world: World) -> None:
    plan = world.network() + world.attachment(2)
    for _ in range(3):
        await world.kernel.apply(plan)
        assert await world.kernel.withdraw(plan.inverse()) == []
    await world.kernel.apply(plan)
    assert await world.kernel.facts() == set(plan.facts())


async def test_link_changes_in_place(world: World) -> None:
    """A bridge with another MTU is the same bridge: its ports and addresses stay."""
    plan = world.network() + world.attachment(2)
    await world.kernel.apply(plan)
    wider = replace(BRIDGE, mtu=1400)
    desired = [wider if f == BRIDGE else f for f in plan.facts()]
    await world.kernel.apply(difference(desired, await world.kernel.facts()))
    assert await world.kernel.facts() == set(desired)


async def test_a_bridge_is_filtered_in_place(world: World) -> None:
    plan = world.network() + world.attachment(2)
    await world.kernel.apply(plan)
    for bridge in (replace(BRIDGE, filtered=True), BRIDGE):
        desired = [bridge if f == BRIDGE else f for f in plan.facts()]
        await world.kernel.apply(difference(desired, await world.kernel.facts()))
        assert await world.kernel.facts() == set(desired)


async def test_hairpin_goes_with_its_link(world: World) -> None:
    plan = world.network() + world.attachment(2)
    hairpin = Hairpin("veth2")
    await world.kernel.apply(plan + establish([hairpin]))
    assert hairpin in await world.kernel.facts()
    await world.kernel.apply(withdraw([hairpin]))
    assert hairpin not in await world.kernel.facts()
    await world.kernel.apply(establish([hairpin]))
    leaving: list[Fact] = [world.veth(2), hairpin]
    assert await world.kernel.withdraw(withdraw(leaving)) == []
    assert hairpin not in await world.kernel.facts()
    await world.kernel.apply(difference(plan.facts(), await world.kernel.facts()))
    assert await world.kernel.facts() == set(plan.facts())
    assert await world.kernel.withdraw(withdraw([hairpin])) == []


async def test_flows_are_never_reported(world: World) -> None:
    flows = [Flows(IP("10.1.0.2")), Flows(IP("fd00:1::2"), "tcp", 80, "", 8080)]
    await world.kernel.apply(establish(flows))
    assert await world.kernel.facts() == frozenset()
    assert await world.kernel.withdraw(withdraw(flows)) == []


async def test_difference_heals(world: World) -> None:
    plan = world.network() + world.attachment(2) + world.attachment(3)
    await world.kernel.apply(plan)
    lost: list[Fact] = [world.veth(2), Element("bridges", ("br-1",)), Resolver(f"sandbox00003{'f' * 52}", "")]
    await world.kernel.withdraw(withdraw(lost))
    await world.kernel.apply(difference(plan.facts(), await world.kernel.facts()))
    assert await world.kernel.facts() == set(plan.facts())


async def test_surplus_goes(world: World) -> None:
    keep = world.network() + world.attachment(2)
    await world.kernel.apply(keep + world.attachment(3))
    await world.kernel.apply(difference(keep.facts(), await world.kernel.facts()))
    assert await world.kernel.facts() == set(keep.facts())


async def test_other_route_in_the_way_is_a_conflict(world: World) -> None:
    await world.kernel.apply(world.network() + world.attachment(2))
    other = Route(world.sandbox(2), Cidr("0.0.0.0/0"), IP("10.1.0.99"), "eth0")
    with pytest.raises(Conflict, match=r"10\.1\.0\.1 already"):
        await world.kernel.apply(establish([other]))


async def test_gateway_can_be_switched_in_one_plan(world: World) -> None:
    await world.kernel.apply(world.network() + world.attachment(2))
    old = Route(world.sandbox(2), Cidr("0.0.0.0/0"), IP("10.1.0.1"), "eth0")
    new = replace(old, gateway=IP("10.1.0.99"))
    await world.kernel.apply(withdraw([old]) + establish([new]))
    facts = await world.kernel.facts()
    assert new in facts
    assert old not in facts


async def test_peer_name_in_use_is_a_conflict(world: World) -> None:
    await world.kernel.apply(world.network() + world.attachment(2))
    second = replace(world.veth(2), name="veth7")
    with pytest.raises(Conflict, match="eth0"):
        await world.kernel.apply(establish([second]))
    assert "veth7" not in await world.kernel.interfaces()


async def test_interfaces_tell_ours(world: World) -> None:
    await world.kernel.apply(world.network() + world.attachment(2))
    assert await world.kernel.interfaces() == {"lo": False, "br-1": True, "veth2": True}


async def test_own_subnets_are_not_occupied(world: World) -> None:
    await world.kernel.apply(world.network())
    assert list(await world.kernel.occupied()) == []


async def test_addresses_of_a_bridge(world: World) -> None:
    assert await world.kernel.bridge_addresses("br-1") is None
    await world.kernel.apply(world.network() + world.attachment(2))
    found = await world.kernel.bridge_addresses("br-1") or ()
    assert [a for a in found if not a.startswith("fe80:")] == ["10.1.0.1/16", "fd00:1::1/64"]
    assert await world.kernel.bridge_addresses("veth2") is None


async def test_our_own_table_is_no_foreign_filter(world: World) -> None:
    filters = await world.kernel.foreign_filters()
    assert (filters.tables, filters.uplinks) == ((), {})


async def test_sysctl(world: World) -> None:
    key = "net/ipv4/ip_forward"
    path = world.sandbox(2)
    await world.kernel.apply(establish([Namespace(path), Sysctl(HOST, key, "0"), Sysctl(path, key, "1")]))
    assert await world.kernel.sysctl(HOST, key) == "0"
    assert await world.kernel.sysctl(path, key) == "1"
    await world.kernel.withdraw(withdraw([Sysctl(path, key, "1")]))
    assert await world.kernel.sysctl(path, key) == "1"


async def test_sysctl_errors(world: World) -> None:
    with pytest.raises(NotFound):
        await world.kernel.sysctl(HOST, "net/nonesuch")
    with pytest.raises(NotFound):
        await world.kernel.sysctl(world.sandbox(9), "net/ipv4/ip_forward")
    for key in ("../etc/passwd", "net/../../etc", "/etc/passwd", ""):
        with pytest.raises(InvalidParameter):
            await world.kernel.sysctl(HOST, key)
        with pytest.raises(InvalidParameter):
            await world.kernel.apply(establish([Sysctl(HOST, key, "1")]))


async def test_elements_change_in_one_transaction(world: World) -> None:
    names = [Element("bridges", (f"br-{n}",)) for n in range(300)]
    await world.kernel.apply(establish(names))
    await world.kernel.apply(establish(names[:5]))
    await world.kernel.apply(withdraw(names[:100]) + establish([Element("closed", ("tcp",))]))
    left = {f for f in await world.kernel.facts() if isinstance(f, Element)}
    assert left == {*names[100:], Element("closed", ("tcp",))}
    await world.kernel.apply(withdraw(names))
    assert await world.kernel.facts() == {Element("closed", ("tcp",))}


async def test_the_table_is_read_with_its_counters(world: World) -> None:
    await world.kernel.apply(world.network())
    counted = await world.kernel.counted()
    assert counted.installed
    assert counted.elements.keys() == {f for f in world.network().facts() if isinstance(f, Element)}
    own = "same"  # counts an IGMP report of the bridge itself, which comes at a time of its own
    assert {n.packets for each, n in counted.elements.items() if n and each.table_object != own} <= {0}
    listing = await world.kernel.listing()
    assert listing.startswith("table inet fairway {\n")
    assert "br-1" in listing


PORTS = tuple(HeldPort("tcp", "", port, IP("10.1.0.2"), 80) for port in range(8000, 8100))


async def test_ports_are_held(world: World) -> None:
    first = HeldPort("udp", "0.0.0.0", 53, IP("10.1.0.2"), 53)
    others = (first, replace(first, address="::", target=IP("10.1.0.3")))
    await world.kernel.apply(establish([*PORTS, *others]))
    await world.kernel.apply(establish(PORTS))
    assert await world.kernel.facts() == {*PORTS, *others}
    assert await world.kernel.withdraw(withdraw(PORTS[1:])) == []
    assert await world.kernel.withdraw(withdraw(PORTS)) == []
    assert await world.kernel.facts() == set(others)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("", "0.0.0.0:8099"),
        ("0.0.0.0", "0.0.0.0:8099"),
        ("127.0.0.1", "127.0.0.1:8099"),
        ("::", "[::]:8099"),
    ],
)
async def test_a_port_that_is_held_is_a_conflict(world: World, address: str, text: str) -> None:
    await world.kernel.apply(establish([PORTS[0]]))
    second = replace(PORTS[-1], address="" if address != "" else "127.0.0.1")
    await world.kernel.apply(establish([second]))
    wish = HeldPort("tcp", address, 8099, IP("10.1.0.7"), 80)
    with pytest.raises(Conflict, match=re.escape(f"{text}: bind: address already in use")):
        await world.kernel.apply(establish([*PORTS[:50], wish]))
    assert await world.kernel.facts() == {PORTS[0], second}


async def test_a_port_changes_its_target(world: World) -> None:
    old, new = PORTS[0], replace(PORTS[0], target=IP("10.1.0.3"))
    await world.kernel.apply(establish([old]))
    with pytest.raises(Conflict, match="address already in use"):
        await world.kernel.apply(establish([new]))
    bad = Address(world.sandbox(9), "eth0", Cidr("10.7.0.1/16"))
    with pytest.raises(System):
        await world.kernel.apply(withdraw([old]) + establish([new, bad]))
    assert await world.kernel.facts() == {old}
    await world.kernel.apply(difference([new], await world.kernel.facts()))
    assert await world.kernel.facts() == {new}


async def test_features_are_there(world: World) -> None:
    assert await world.kernel.features() == ()
