"""The reachability matrix: every cell a real packet, compared with the specification and what was computed.

Two scenes on the real kernel, each before and after containers lose a network and published ports: one with
these networks alone, one beside 200 others and with bridged frames kept from the rules where the network does
not ask for them. ``tests/scenarios/test_reachability.py`` asks the same of a running daemon.
"""

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from fairway.companion import launch
from fairway.firewall import guard
from fairway.firewall.ruleset import RULESET
from fairway.kernel.fake import FakeKernel
from fairway.kernel.linux import LinuxKernel
from fairway.kernel.trace import Protocol, Scene
from fairway.model.address import Address as AddressText
from fairway.plan import HOST, Address, Fact, Sysctl, difference
from fairway.ports.control import PortLine, companion
from netns_host import NetnsHost
from reachability import wire
from reachability.cells import Cell, cells
from reachability.probing import Probers, probers
from reachability.specification import places
from reachability.verdicts import PATIENCE, ask, broken, unforeseen
from reachability.world import ROUTED, UPLINK, UPLINK_ADDRESSES, WORLD, World, everywhere, facts, plan

pytestmark = pytest.mark.root

SCENES = {
    "alone": WORLD,
    "beside 200 others, bridges unfiltered": replace(WORLD, others=200, bridged_frames_filtered=False),
}
LEAST_CELLS = 400
PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp")


@pytest.mark.parametrize("before", SCENES.values(), ids=SCENES)
async def test_every_packet_goes_where_it_should(host: NetnsHost, before: World) -> None:
    after = before.disconnected("both", "app").disconnected("other", "app")
    after = after.unpublished("server", 8081).unpublished("shut_a", 8083)
    fake = FakeKernel(foreign={UPLINK: UPLINK_ADDRESSES})
    start = plan(before, host.sandbox)
    sysctls = [fact for fact in start.facts() if isinstance(fact, Sysctl)]
    with linux_kernel(host) as kernel:
        await kernel.install()
        try:
            await kernel.apply(wire.namespaces(host))
            wire.connect(host)
            for each in (kernel, fake):
                await each.apply(start)
            with running_probers(host, before) as asked:
                check(host, before, asked, fake.scene(), reported(await kernel.facts(), sysctls))
                change = difference(facts(after, host.sandbox), facts(before, host.sandbox))
                for each in (kernel, fake):
                    await each.apply(change)
                check(host, after, asked, fake.scene(), reported(await kernel.facts(), sysctls))
        finally:
            await kernel.close()


async def test_link_local_addresses_lead_as_far_as_others(host: NetnsHost) -> None:
    """The kernel does not forward from them, so the port holder answers; but not internal networks."""
    fake = FakeKernel()
    with linux_kernel(host) as kernel:
        await kernel.install()
        world = replace(WORLD, ports={"server": everywhere(8080), "old": everywhere(8085)})
        try:
            for each in (kernel, fake):
                await each.apply(plan(world, host.sandbox))
            with running_probers(host, world, "host", *world.members) as asked:
                promised = dict(link_local(host, world))
                outcomes = asked.ask(list(promised), PATIENCE)
                assert {cell: outcomes[cell].by for cell in promised} == promised
                bare = {c: replace(c, address=AddressText(c.address.partition("%")[0])) for c in promised}
                known = {bare[cell]: outcome for cell, outcome in outcomes.items()}
                assert "\n".join(unforeseen(fake.scene(), host.sandbox, known)) == ""
        finally:
            await kernel.close()


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "if the chain were empty"])
async def test_no_container_reaches_the_loopback_of_the_host(host: NetnsHost, guarded: bool) -> None:
    """``route_localnet`` of the bridges would let it: without the chain ``spoofed`` it does."""
    rules = RULESET if guarded else re.sub(r"(chain loopback \{\n).*?\n", r"\1", RULESET)
    world = replace(WORLD, ports={})
    matrix = [Cell("client", AddressText("127.0.0.1"), protocol, 7000) for protocol in PROTOCOLS]
    with linux_kernel(host, rules) as kernel:
        await kernel.install()
        try:
            await kernel.apply(plan(world, host.sandbox))
            wire.covet_loopback(host, "client", world.nets["web"].gateway(4))
            with running_probers(host, world, "host", "client") as asked:
                kinds = {outcome.kind for outcome in asked.ask(matrix, PATIENCE).values()}
                assert kinds == {"silent" if guarded else "answered"}
        finally:
            await kernel.close()


def link_local(host: NetnsHost, world: World) -> Iterator[tuple[Cell, str]]:
    """Packets to the bridges' link-local addresses, and who shall answer them; empty for nobody."""
    for source in ("client", "other", "shut_b", "inner", ROUTED):
        net = world.nets[next(iter(world.members[source]))]
        usable(host, "eth0", host.sandbox(source))
        address = usable(host, net.bridge)
        for port, by in ((7000, "host"), (8080, "server"), (8085, "old")):
            for protocol in PROTOCOLS:
                cell = Cell(source, AddressText(f"{address}%eth0"), protocol, port)
                yield cell, "" if net.internal and by != "host" else by


def usable(host: NetnsHost, link: str, namespace: str = "") -> str:
    """A link-local address of the link, once the kernel is sure that nobody else has any (RFC 4862)."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        shown = host.run(f"ip -6 -o address show dev {link} scope link", namespace).stdout
        if "inet6 fe80" in shown and "tentative" not in shown:
            return shown.split()[3].partition("/")[0]
        time.sleep(0.05)
    raise AssertionError(f"{link} has no link-local address")


def check(host: NetnsHost, world: World, asked: Probers, *scenes: Scene) -> None:
    matrix = cells(world)
    assert len(matrix) >= LEAST_CELLS
    outcomes = ask(asked, world, matrix)
    assert "\n".join(broken(world, outcomes)) == ""
    for scene in scenes:
        assert "\n".join(unforeseen(scene, host.sandbox, outcomes)) == ""


def reported(facts: frozenset[Fact], sysctls: Iterable[Fact]) -> Scene:
    """What the real kernel says that holds, and what it is never asked for: sysctls, others' addresses."""
    return Scene((*facts, *sysctls, *(Address(HOST, UPLINK, cidr) for cidr in UPLINK_ADDRESSES)))


@contextmanager
def linux_kernel(host: NetnsHost, rules: str = RULESET) -> Iterator[LinuxKernel]:
    """A kernel with a port holder of its own, which proxies."""
    holder = companion(str(host.root / "ports.sock"), str(host.root / "ports"))
    line = PortLine(holder)
    try:
        yield LinuxKernel(
            "test",
            ruleset=rules + guard.RULES,
            namespaces=host.namespaces,
            mounts=[str(host.root)],
            listeners=host.listeners,
            ports=line,
            host_namespace=host.file,
        )
    finally:
        line.disconnect()
        launch.shutdown(holder)


@contextmanager
def running_probers(host: NetnsHost, world: World, *only: str) -> Iterator[Probers]:
    def enter(name: str) -> list[str]:
        return ["nsenter", f"--net={host.file if name == 'host' else host.sandbox(name)}"]

    there = {name: ports for name, ports in places(world).items() if name in (only or places(world))}
    with probers({name: (enter(name), ports) for name, ports in there.items()}) as made:
        yield made
