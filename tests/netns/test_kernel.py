"""The real kernel beyond the contract: packets pass, what is not ours stays, what a crash left is found."""

import asyncio
import ipaddress
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec.structs import replace

from fairway.firewall.networks import elements
from fairway.kernel import features, links, surroundings
from fairway.kernel.linux import LinuxKernel
from fairway.kernel.rtnetlink import Link, read_link
from fairway.kernel.ruleset import Ruleset
from fairway.kernel.trace import trace
from fairway.model.address import Address as IP
from fairway.model.address import Cidr, Mac
from fairway.model.errors import Conflict, InvalidParameter, System
from fairway.plan import (
    HOST,
    Address,
    Bridge,
    Element,
    Namespace,
    Overlay,
    Plan,
    Resolver,
    Route,
    Sysctl,
    Veth,
    difference,
    establish,
    withdraw,
)
from netns_host import NetnsHost

pytestmark = pytest.mark.root


def network(number: int, *, mtu: int = 1500, icc: bool = True, internal: bool = False) -> Plan:
    name = f"br-{number}"
    return establish(
        [
            Sysctl(HOST, "net/ipv4/ip_forward", "1"),
            Bridge(name, Mac(f"02:42:0a:{number:02x}:00:01"), mtu),
            Address(HOST, name, Cidr(f"10.{number}.0.1/16")),
            Address(HOST, name, Cidr(f"fd00:{number}::1/64")),
            *elements(name, icc=icc, internal=internal, masquerade=True),
        ]
    )


def attachment(path: str, net: int, number: int, *, mtu: int = 1500) -> Plan:
    mac = f":42:0a:{net:02x}:00:{number:02x}"
    return establish(
        [
            Namespace(path),
            Veth(f"veth{net}x{number}", Mac("06" + mac), f"br-{net}", path, "eth0", Mac("02" + mac), mtu),
            Address(path, "eth0", Cidr(f"10.{net}.0.{number}/16")),
            Address(path, "eth0", Cidr(f"fd00:{net}::{number}/64")),
            Route(path, Cidr("0.0.0.0/0"), IP(f"10.{net}.0.1"), "eth0"),
            Route(path, Cidr("::/0"), IP(f"fd00:{net}::1"), "eth0"),
        ]
    )


@pytest_asyncio.fixture
async def kernel(host: NetnsHost) -> AsyncIterator[LinuxKernel]:
    made = host.kernel()
    await made.install()
    try:
        yield made
    finally:
        await made.close()


def pings(host: NetnsHost, namespace: str, address: str) -> bool:
    return host.run(f"ping -n -c1 -W1 {address}", namespace).returncode == 0


async def test_sandboxes_of_a_network_reach_each_other_at_once(host: NetnsHost, kernel: LinuxKernel) -> None:
    a, b = host.sandbox("a"), host.sandbox("b")
    await kernel.apply(network(1) + attachment(a, 1, 2) + attachment(b, 1, 3))
    assert pings(host, a, "10.1.0.3")
    assert pings(host, a, "fd00:1::3")
    assert pings(host, a, "10.1.0.1")
    assert pings(host, a, "127.0.0.1")
    await kernel.withdraw(attachment(b, 1, 3).inverse())
    assert not pings(host, a, "10.1.0.3")


async def test_trace_tells_what_packets_do(host: NetnsHost, kernel: LinuxKernel) -> None:
    """Every sandbox to every address: the computed journey and the real ping agree."""
    plan = network(1) + network(2, icc=False) + network(3, internal=True)
    where: dict[str, tuple[int, int]] = {}
    for net in (1, 2, 3):
        for number in (2, 3):
            path = host.sandbox(f"n{net}c{number}")
            where[path] = (net, number)
            plan += attachment(path, net, number)
    await kernel.apply(plan)
    bridged = Path("/proc/sys/net/bridge/bridge-nf-call-iptables").exists()
    facts = await kernel.facts()
    pairs = [(s, f"10.{net}.0.{n}") for s in where for net in (1, 2, 3) for n in (1, 2, 3, 9)]
    closed = {(s, a) for s, a in pairs if where[s][0] == 2 and a in ("10.2.0.2", "10.2.0.3")}
    compared = [p for p in pairs if bridged or p not in closed]
    answers = await asyncio.gather(*(asyncio.to_thread(pings, host, s, a) for s, a in compared))
    computed = [trace(facts, s, IP(a)) for s, a in compared]
    differing = [
        (pair, answer, journey)
        for pair, answer, journey in zip(compared, answers, computed, strict=True)
        if answer != journey.arrives
    ]
    assert not differing
    assert any(answers)
    assert not all(answers)


async def test_links_look_as_docker_makes_them(host: NetnsHost, kernel: LinuxKernel) -> None:
    a = host.sandbox("a")
    await kernel.apply(network(1, mtu=1400) + attachment(a, 1, 2, mtu=1400))
    bridge = host.run("ip -d link show br-1; cat /sys/class/net/br-1/ifalias").stdout
    assert "mtu 1400" in bridge
    assert "state UP" in bridge
    assert "forward_delay 0 " in bridge
    assert "stp_state 0 " in bridge
    assert "group 4001" in bridge
    addresses = host.run("ip addr show br-1").stdout
    assert "inet 10.1.0.1/16 brd 10.1.255.255 scope global br-1" in addresses
    assert "fd00:1::1/64 scope global nodad" in addresses
    assert "default via 10.1.0.1 dev eth0 \n" in host.run("ip route", a).stdout
    await kernel.withdraw(attachment(a, 1, 2).inverse())
    assert "mtu 1400" in host.run("ip link show br-1").stdout


async def test_link_local_addresses_have_link_scope(host: NetnsHost, kernel: LinuxKernel) -> None:
    a = host.sandbox("a")
    extra = [Address(a, "eth0", Cidr(c)) for c in ("169.254.8.8/16", "fe80::8/64", "192.0.2.4/32")]
    await kernel.apply(network(1) + attachment(a, 1, 2) + establish(extra))
    shown = host.run("ip addr show eth0", a).stdout
    assert "inet 169.254.8.8/16 brd 169.254.255.255 scope link eth0" in shown
    assert "inet6 fe80::8/64 scope link" in shown
    assert "inet 192.0.2.4/32 scope global eth0" in shown
    assert set(extra) <= await kernel.facts()


async def test_name_is_gone_when_withdraw_returns(host: NetnsHost, kernel: LinuxKernel) -> None:
    plan = network(1) + attachment(host.sandbox("a"), 1, 2)
    await kernel.apply(plan)
    await kernel.withdraw(plan.inverse())
    assert host.run("ip link show br-1").returncode != 0
    assert host.run("ip link show veth1x2").returncode != 0


async def test_foreign_links_are_never_touched(host: NetnsHost, kernel: LinuxKernel) -> None:
    host.run("ip link add br-1 address 02:00:00:00:00:77 type bridge; ip addr add 10.99.0.1/24 dev br-1")
    host.run("ip link set br-1 up; ip route add 10.98.0.0/16 via 10.99.0.7")
    with pytest.raises(Conflict, match="br-1"):
        await kernel.apply(network(1))
    assert await kernel.facts() == frozenset()
    assert await kernel.withdraw(network(1).inverse()) == []
    shown = host.run("ip -d link show br-1; ip addr show br-1").stdout
    assert "02:00:00:00:00:77" in shown
    assert "10.99.0.1/24" in shown
    assert "alias" not in shown
    assert await kernel.occupied() == ["10.98.0.0/16", "10.99.0.0/24"]
    assert await kernel.interfaces() == {"lo": False, "br-1": False}


async def test_links_with_nothing_of_their_own_are_not_looked_at(
    host: NetnsHost, kernel: LinuxKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each container adds a veth to the host: what others use must not cost more with each."""
    pairs = "".join(
        f"ip link add v{i} type veth peer w{i}; ip link set v{i} up; ip link set w{i} up;" for i in range(20)
    )
    host.run(f"{pairs} ip addr add 10.99.0.1/24 dev v0; ip addr add fd99::1/64 dev v1 nodad")
    host.run("ip route add default via 10.99.0.7; ip -6 route add default via fd99::7; ip link set lo up")
    read = []

    def counted(body: bytes) -> Link:
        read.append(read_link(body))
        return read[-1]

    monkeypatch.setattr(surroundings, "read_link", counted)
    assert await kernel.occupied() == ["10.99.0.0/24", "fd99::/64"]
    assert (await kernel.foreign_filters()).uplinks == {4: "v0", 6: "v1"}
    assert {link.name for link in read} == {"lo", "v0", "v1"}


async def test_other_programs_tables_with_a_flag_can_be_read(host: NetnsHost, kernel: LinuxKernel) -> None:
    """libnftables 1.0.6 lists the flag as whatever lies in memory."""
    host.run("nft 'add table inet theirs { flags dormant; }'")
    host.run("nft add chain inet theirs f '{ type filter hook forward priority 0; policy drop; }'")
    (table,) = (await kernel.foreign_filters()).tables
    assert (table.name, table.policies) == ("inet theirs", {"f": "drop"})


async def test_two_daemons_do_not_see_each_other(host: NetnsHost, kernel: LinuxKernel) -> None:
    other = host.kernel("another")
    try:
        await kernel.apply(establish(f for f in network(1).facts() if isinstance(f, Bridge)))
        assert not [f for f in await other.facts() if isinstance(f, Bridge)]
        await other.withdraw(network(1).inverse())
        assert (await kernel.interfaces())["br-1"]
        assert not (await other.interfaces())["br-1"]
    finally:
        await other.close()


async def test_another_process_takes_over(host: NetnsHost, kernel: LinuxKernel) -> None:
    plan = network(1) + attachment(host.sandbox("a"), 1, 2)
    plan += establish([Resolver("a", host.sandbox("a"))])
    await kernel.apply(plan)
    await kernel.close()
    later = host.kernel()
    try:
        kept = {f for f in plan.facts() if not isinstance(f, Sysctl)}
        assert await later.facts() == kept
        assert await later.withdraw(plan.inverse()) == []
        assert await later.facts() == frozenset()
    finally:
        await later.close()


async def test_links_that_a_crash_left_half_deleted_are_found(host: NetnsHost, kernel: LinuxKernel) -> None:
    await kernel.apply(network(1) + attachment(host.sandbox("a"), 1, 2))
    host.run("ip link set veth1x2 down; ip link set veth1x2 name gone-5 group 77")
    host.run("ip link set br-1 down; ip link set br-1 name gone-2 group 77")
    await kernel.apply(difference([], await kernel.facts()))
    assert await kernel.facts() == frozenset()
    assert await kernel.interfaces() == {"lo": False}


async def test_links_set_down_by_hand_are_healed_in_place(host: NetnsHost, kernel: LinuxKernel) -> None:
    a, b = host.sandbox("a"), host.sandbox("b")
    plan = network(1) + attachment(a, 1, 2) + attachment(b, 1, 3)
    await kernel.apply(plan)
    before = host.run("cat /sys/class/net/br-1/ifindex /sys/class/net/veth1x2/ifindex").stdout
    host.run("ip link set br-1 down; ip link set veth1x2 nomaster; ip link set veth1x2 down")
    host.run("ip link set eth0 down", b)
    await kernel.apply(difference(plan.facts(), await kernel.facts()))
    assert set(await kernel.facts()) == {f for f in plan.facts() if not isinstance(f, Sysctl)}
    assert host.run("cat /sys/class/net/br-1/ifindex /sys/class/net/veth1x2/ifindex").stdout == before
    assert pings(host, a, "10.1.0.3")


async def test_deleted_bridge_is_healed(host: NetnsHost, kernel: LinuxKernel) -> None:
    a, b = host.sandbox("a"), host.sandbox("b")
    plan = network(1) + attachment(a, 1, 2) + attachment(b, 1, 3)
    await kernel.apply(plan)
    host.run("ip link del br-1; ip link del veth1x2")
    await kernel.apply(difference(plan.facts(), await kernel.facts()))
    assert pings(host, a, "10.1.0.3")
    assert pings(host, b, "10.1.0.1")


async def test_flushed_ruleset_is_installed_again(host: NetnsHost, kernel: LinuxKernel) -> None:
    plan = network(1)
    await kernel.apply(plan)
    host.run("nft add table ip foreign; nft flush ruleset; nft add table ip foreign")
    await kernel.apply(difference(plan.facts(), await kernel.facts()))
    assert await kernel.facts() == {f for f in plan.facts() if not isinstance(f, Sysctl)}
    assert "hook forward" in host.run("nft list table inet fairway").stdout
    await kernel.uninstall()
    await kernel.uninstall()
    assert host.run("nft list tables").stdout == "table ip foreign\n"


async def test_install_keeps_the_administrators_rules(host: NetnsHost, kernel: LinuxKernel) -> None:
    host.run("nft add rule inet fairway user_forward counter drop")
    await kernel.install()
    await kernel.apply(network(1))
    await kernel.withdraw(network(1).inverse())
    assert "drop" in host.run("nft list chain inet fairway user_forward").stdout


@pytest.mark.parametrize(
    "harm",
    [
        "flush table inet fairway",
        "flush chain inet fairway version",
        "flush table bridge fairway",
        "flush chain bridge fairway version",
    ],
)
async def test_rules_that_are_not_ours_any_more_are_written_anew(
    host: NetnsHost, kernel: LinuxKernel, harm: str
) -> None:
    """After ``nft flush table``, or when an earlier version wrote it; elements and user chains stay."""
    await kernel.apply(network(1))
    before = host.run("nft -s list ruleset").stdout
    assert host.run(f"nft {harm}").returncode == 0
    host.run("nft flush chain inet fairway user_forward; nft add rule inet fairway user_forward counter drop")
    if "version" in harm:
        host.run("nft add rule inet fairway forward drop")
    assert not (await kernel.counted()).installed
    await kernel.install()
    counted = await kernel.counted()
    assert counted.installed
    assert counted.user["user_forward"] == 1
    after = host.run("nft -s list ruleset").stdout
    assert "drop" in host.run("nft list chain inet fairway user_forward").stdout
    host.run("nft flush chain inet fairway user_forward")
    assert after != before
    assert host.run("nft -s list ruleset").stdout == before


async def test_what_tells_frames_apart_is_restored(host: NetnsHost, kernel: LinuxKernel) -> None:
    """The group of a port, and that a bridge does not learn from LLDP: changed in place."""
    a = host.sandbox("a")
    plan = network(1) + attachment(a, 1, 2)
    await kernel.apply(plan)
    index = host.run("cat /sys/class/net/veth1x2/ifindex").stdout
    host.run("ip link set veth1x2 group 5; ip link set br-1 type bridge no_linklocal_learn 0")
    await kernel.apply(difference(plan.facts(), await kernel.facts()))
    shown = host.run("ip -d link show br-1; ip link show veth1x2").stdout
    assert "no_linklocal_learn 1" in shown and "group 5 " not in shown
    assert host.run("cat /sys/class/net/veth1x2/ifindex").stdout == index
    assert {f for f in plan.facts() if not isinstance(f, Sysctl)} == await kernel.facts()


async def test_a_kernel_without_nftables_for_bridges(
    host: NetnsHost, kernel: LinuxKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks work without the guard."""
    await kernel.uninstall()
    monkeypatch.setattr(Ruleset, "_bridges", lambda _: False)
    bare = host.kernel()
    try:
        await bare.install()
        assert "bridge fairway" not in host.run("nft list tables").stdout
        plan = establish([Element("port_mac", ("veth1", "02:42:00:00:00:01")), Element("bridges", ("br-1",))])
        await bare.apply(plan)
        assert await bare.facts() == set(plan.facts()), "nobody need mend what cannot be"
        await bare.apply(plan)
        await bare.apply(plan.inverse())
        assert await bare.facts() == frozenset()
        assert (await bare.counted()).installed
        guarding = plan.steps[:1]
        await bare.apply(Plan(guarding))
        assert await bare.facts() == {guarding[0].fact}
    finally:
        await bare.close()


async def test_what_lacks_without_nftables_for_bridges_is_named(
    kernel: LinuxKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = features._nftables
    monkeypatch.setattr(
        features, "_nftables", lambda kind, text: "no such family" if kind == "bridge" else real(kind, text)
    )
    (missing,) = await kernel.features()
    assert missing.optional
    assert "fairway.spoof_guard" in str(missing) and "CONFIG_NF_TABLES_BRIDGE" in str(missing)


async def test_maps_verdicts_and_conflicts(host: NetnsHost) -> None:
    ruleset = """table inet fairway {
        chain deny { drop; }
        map publish { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
        map icc { type ifname : verdict; }
        set learned { type ipv4_addr; flags timeout; }
    }"""
    kernel = host.kernel(ruleset=ruleset)
    published = Element("publish", ("192.0.2.1", "tcp", "8080"), "10.1.0.2 . 80")
    plan = establish([published, Element("icc", ("br-1",), "goto deny"), Element("icc", ("80",), "accept")])
    try:
        await kernel.apply(plan)
        host.run("nft add element inet fairway learned '{ 10.0.0.1 timeout 1h }'")
        assert await kernel.facts() == set(plan.facts())
        other = Element("publish", published.key, "10.1.0.3 . 80")
        with pytest.raises(Conflict, match="8080 is in publish already"):
            await kernel.apply(establish([Element("icc", ("new",), "accept"), other]))
        assert await kernel.facts() == set(plan.facts())
        await kernel.apply(withdraw([published]) + establish([other]))
        assert other in await kernel.facts()
        with pytest.raises(System, match="publish"):
            await kernel.apply(establish([Element("publish", ("1", "2"), "3")]))
    finally:
        await kernel.close()


async def test_overlay(host: NetnsHost, kernel: LinuxKernel) -> None:
    layers = [host.root / "layers" / f"{n:064d}" for n in range(60)]
    for place in (*layers, *(host.root / n for n in ("upper dir", "work", "few", "many"))):
        place.mkdir(parents=True)
    (layers[0] / "file").write_text("top")
    (layers[59] / "file").write_text("bottom")
    upper, work = str(host.root / "upper dir"), str(host.root / "work")
    for name, count in (("few", 2), ("many", 60)):
        lower = tuple(str(layer) for layer in layers[:count])
        overlay = Overlay(str(host.root / name), lower, upper, work)
        await kernel.apply(establish([overlay]))
        assert (host.root / name / "file").read_text() == "top"
        assert await kernel.facts() == {overlay}
        await kernel.apply(establish([overlay]))
        with pytest.raises(Conflict, match="something else is mounted"):
            await kernel.apply(establish([Overlay(overlay.target, overlay.lower[:1], upper, work)]))
        assert await kernel.withdraw(withdraw([overlay])) == []
        assert await kernel.withdraw(withdraw([overlay])) == []
        assert await kernel.facts() == frozenset()
    with pytest.raises(System, match="nowhere does not exist"):
        await kernel.apply(establish([Overlay(str(host.root / "few"), ("/nowhere",), upper, work)]))


async def test_resolver_listens_inside_and_moves_to_a_new_namespace(
    host: NetnsHost, kernel: LinuxKernel
) -> None:
    a = host.sandbox("a")
    plan = establish([Namespace(a), Resolver("a", a)])
    await kernel.apply(plan)
    shown = host.run("cat /proc/net/tcp /proc/net/udp", a).stdout
    assert shown.count("0B00007F:0035") == 2
    assert not any(s.getblocking() for s in host.listeners.held["a"])
    first = host.listeners.held["a"]
    await kernel.apply(plan)
    assert host.listeners.held["a"] is first
    await kernel.withdraw(withdraw([Namespace(a)]))
    assert Resolver("a", a) in await kernel.facts()
    await kernel.apply(establish([Namespace(a)]))
    assert Resolver("a", a) not in await kernel.facts()
    await kernel.apply(plan)
    assert host.listeners.held["a"] is not first
    assert await kernel.facts() == set(plan.facts())


async def test_namespaces_disappear(host: NetnsHost, kernel: LinuxKernel) -> None:
    plan = network(1) + attachment(host.sandbox("a"), 1, 2)
    for _ in range(3):
        await kernel.apply(plan)
        await kernel.withdraw(plan.inverse())
    assert host.leftovers() == []
    assert os.listdir(host.namespaces) == []


async def test_install_sweeps_files_that_hold_no_namespace(host: NetnsHost, kernel: LinuxKernel) -> None:
    a, stale = host.sandbox("a"), Path(host.sandbox("stale"))
    await kernel.apply(establish([Namespace(a)]))
    stale.touch()
    assert await kernel.facts() == {Namespace(a)}
    await kernel.install()
    assert not stale.exists()
    assert await kernel.facts() == {Namespace(a)}


async def test_many_in_one_plan(host: NetnsHost, kernel: LinuxKernel) -> None:
    """More messages than a receive buffer of the usual size has room for."""
    a = host.sandbox("a")
    first = ipaddress.IPv4Address("10.200.0.1")
    many = [Address(a, "eth0", Cidr(f"{first + n}/32")) for n in range(500)]
    plan = network(1) + attachment(a, 1, 2)
    await kernel.apply(plan + establish(many))
    assert set(many) <= await kernel.facts()
    await kernel.apply(withdraw(many))
    assert not set(many) & await kernel.facts()


async def test_the_calling_thread_stays_in_its_namespace(host: NetnsHost, kernel: LinuxKernel) -> None:
    before = os.readlink("/proc/thread-self/ns/net")
    await kernel.apply(network(1) + attachment(host.sandbox("a"), 1, 2))
    assert os.readlink("/proc/thread-self/ns/net") == before
    await kernel.close()
    await kernel.close()
    assert host.run("ip link show br-1").returncode == 0


async def test_names_cannot_smuggle_nft_commands(host: NetnsHost, kernel: LinuxKernel) -> None:
    for name in ('x" }\nflush', "a;b", "a}b", 'q"', "a#b"):
        with pytest.raises(InvalidParameter, match="invalid element of bridges"):
            await kernel.apply(establish([Element("bridges", (name,))]))
    odd = Element("bridges", ("a.b-c_d@é",))
    await kernel.apply(establish([odd]))
    assert await kernel.facts() == {odd}


async def test_malformed_values_are_refused_and_undone(host: NetnsHost, kernel: LinuxKernel) -> None:
    good = Bridge("br-7", Mac("02:42:0a:00:00:07"), 1500)
    for bad in (
        Bridge("br-8", Mac("no mac"), 1500),
        Bridge("br-8", Mac("02:42:0a:00:00:08"), -1),
        Address(HOST, "br-7", Cidr("10.1.0.900/16")),
    ):
        with pytest.raises(InvalidParameter):
            await kernel.apply(establish([good, bad]))
        assert await kernel.facts() == frozenset()
    for refused in (Bridge("b" * 16, good.mac, 1500), Bridge("br-9", Mac("ff:ff:ff:ff:ff:ff"), 1500)):
        with pytest.raises(System, match="cannot create bridge b"):
            await kernel.apply(establish([good, refused]))
        assert await kernel.interfaces() == {"lo": False}


async def test_mtu_that_the_kernel_refuses_leaves_no_link(host: NetnsHost, kernel: LinuxKernel) -> None:
    with pytest.raises(System, match=r"cannot set up bridge br-7: Invalid argument \(.*mtu"):
        await kernel.apply(establish([Bridge("br-7", Mac("02:42:0a:00:00:07"), 70000)]))
    assert await kernel.interfaces() == {"lo": False}


async def test_without_br_netfilter_a_closed_network_is_refused(
    host: NetnsHost, kernel: LinuxKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel would take the bridge's setting and let all frames pass."""
    for module in (links, features):
        monkeypatch.setattr(module, "BRIDGE_NETFILTER", host.root / "nowhere")
    bridge = Bridge("br-7", Mac("02:42:0a:00:00:07"), 1500)
    await kernel.apply(establish([bridge]))
    for refused in (replace(bridge, filtered=True), replace(bridge, name="br-8", filtered=True)):
        with pytest.raises(System, match="CONFIG_BRIDGE_NETFILTER, try: modprobe br_netfilter"):
            await kernel.apply(establish([refused]))
    assert await kernel.facts() == {bridge}
    (missing,) = await kernel.features()
    assert missing.optional
    assert "icc=false" in str(missing)


async def test_sets_of_the_administrator_are_not_ours(host: NetnsHost, kernel: LinuxKernel) -> None:
    host.run("nft add set inet fairway mine '{ type ipv4_addr; elements = { 10.0.0.1 } }'")
    assert await kernel.facts() == frozenset()


VICTIM = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from netns_host import NetnsHost
from netns.test_kernel import attachment, network

async def main():
    host = NetnsHost(Path(sys.argv[2]))
    kernel = host.kernel()
    plan = network(1) + attachment(host.sandbox("a"), 1, 2) + attachment(host.sandbox("b"), 1, 3)
    print("ready", flush=True)
    while True:
        await kernel.apply(plan)
        await kernel.withdraw(plan.inverse())

asyncio.run(main())
"""


async def test_killed_at_any_instruction_nothing_leaks(host: NetnsHost, kernel: LinuxKernel) -> None:
    """Kill a process that attaches and detaches; the next one finds and removes whatever is there."""
    chance = random.Random(7)
    tests = str(Path(__file__).parents[1])
    for _ in range(8):
        victim = subprocess.Popen(
            [sys.executable, "-c", VICTIM, tests, str(host.root)], stdout=subprocess.PIPE
        )
        try:
            assert victim.stdout is not None
            assert await asyncio.to_thread(victim.stdout.readline) == b"ready\n"
            await asyncio.sleep(chance.uniform(0, 0.05))
        finally:
            victim.kill()
            victim.communicate()
        await kernel.install()
        await kernel.apply(difference([], await kernel.facts()))
        assert await kernel.facts() == frozenset()
        assert await kernel.interfaces() == {"lo": False}
        assert host.leftovers() == []
        assert os.listdir(host.namespaces) == []
