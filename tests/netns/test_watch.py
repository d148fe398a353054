"""Changes that others make are noticed, on the host and inside sandboxes; what we do ourselves is not."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from fairway.firewall.publish import published
from fairway.kernel.linux import LinuxKernel
from fairway.kernel.namespaces import inode
from fairway.kernel.watch import LOOK, SETTLE
from fairway.model.address import Address
from fairway.model.errors import System
from fairway.model.network import PortMapping
from fairway.plan import HOST, Element, Namespace, Sysctl, establish
from netns_host import NetnsHost
from packets import attached, made, network, with_uplink

pytestmark = pytest.mark.root
PATIENCE = 5.0
QUIET = 4 * SETTLE
"""Seconds after which nothing more is told."""
ELEMENT = "nft delete element inet fairway masqueraded '{ br-1 }'"


@pytest_asyncio.fixture
async def kernel(host: NetnsHost) -> AsyncIterator[LinuxKernel]:
    """A network with a container."""
    async with with_uplink(host) as kernel:
        await kernel.apply(made(network(1)) + attached(network(1), 2, host.sandbox("server")))
        yield kernel


async def nothing(kernel: LinuxKernel, seconds: float = QUIET) -> None:
    with pytest.raises(TimeoutError):
        told = await asyncio.wait_for(kernel.disturbed(), seconds)
        raise AssertionError(sorted(told))


async def told(kernel: LinuxKernel) -> frozenset[str]:
    return await asyncio.wait_for(kernel.disturbed(), PATIENCE)


@pytest.mark.parametrize(
    ("command", "where", "expected"),
    [
        ("ip link set br-1 down", "", "br-1 set down"),
        ("ip link del br-1", "", "br-1 deleted"),
        ("ip link set veth1x2 down", "", "veth1x2 set down"),
        ("ip link set veth1x2 nomaster", "", "veth1x2 changed"),
        ("ip link set veth1x2 mtu 1400", "", "veth1x2 changed"),
        ("ip link set br-1 address 02:42:00:00:00:99", "", "br-1 changed"),
        ("ip link del veth1x2", "", "veth1x2 deleted"),
        ("ip addr del 10.1.0.1/24 dev br-1", "", "address 10.1.0.1/24 of br-1 removed"),
        ("ip addr del fd00:1::1/64 dev br-1", "", "address fd00:1::1/64 of br-1 removed"),
        ("ip addr del 10.1.0.2/24 dev eth0", "server", "address 10.1.0.2/24 of veth1x2 removed"),
        ("ip route del default", "server", "route 0.0.0.0/0 of veth1x2 removed"),
        ("ip -6 route del default", "server", "route ::/0 of veth1x2 removed"),
        ("ip link set eth0 down", "server", "eth0, the far end of veth1x2, set down"),
        ("echo 0 > /proc/sys/net/ipv4/ip_forward", "", "forwarding turned off"),
        ("echo 0 > /proc/sys/net/ipv6/conf/all/forwarding", "", "forwarding turned off"),
        ("nft flush ruleset", "", "table fairway deleted"),
        ("nft delete table inet fairway", "", "table fairway deleted"),
        ("nft 'add table inet fairway { flags dormant; }'", "", "table fairway changed"),
        ("nft flush chain inet fairway forward", "", "rule of chain forward deleted"),
        ("nft insert rule inet fairway forward drop", "", "rule of chain forward added"),
        (ELEMENT, "", "element of masqueraded deleted"),
    ],
)
async def test_somebody_else_changes_something(
    host: NetnsHost, kernel: LinuxKernel, command: str, where: str, expected: str
) -> None:
    done = host.run(command, host.sandbox(where) if where else "")
    assert done.returncode == 0, done.stderr
    assert expected in await told(kernel)


async def test_the_file_of_a_namespace(host: NetnsHost, kernel: LinuxKernel) -> None:
    """Unmounted by somebody; and kept again, as a process still lives there."""
    path = host.sandbox("server")
    with process_in(path) as pid:
        number = inode(path)
        assert not await kernel.adopt(path, pid)
        subprocess.run(["umount", path], check=True)
        assert await told(kernel) == {f"network namespace {path} is not kept any more"}
        assert await kernel.adopt(path, pid)
        assert inode(path) == number
        assert not await kernel.adopt(path, pid)
        subprocess.run(["umount", path], check=True)
        Path(path).unlink()
        assert await told(kernel) == {f"network namespace {path} is not kept any more"}
        assert await kernel.adopt(path, pid)
        await nothing(kernel, LOOK + QUIET)
    with pytest.raises(
        System, match=f"cannot keep the network namespace of process {pid} at .*/absent: No such"
    ):
        await kernel.adopt(host.sandbox("absent"), pid)
    assert not Path(host.sandbox("absent")).exists()


async def test_a_process_in_another_namespace_is_not_taken_for_its_containers(
    host: NetnsHost, kernel: LinuxKernel
) -> None:
    """A privileged container may send its first process to the host's, or to a neighbour's."""
    path = host.sandbox("server")
    await kernel.apply(establish([Namespace(host.sandbox("client"))]))
    subprocess.run(["umount", path], check=True)
    for other in (host.file, host.sandbox("client")):
        with process_in(other) as pid, pytest.raises(System, match="in a namespace that is not its"):
            await kernel.adopt(path, pid)
    assert inode(path) not in (inode(host.file), inode(host.sandbox("client")))


@contextlib.contextmanager
def process_in(path: str) -> Iterator[int]:
    """The pid of a process in a namespace."""
    command = ["nsenter", f"--net={path}", "sh", "-c", "echo; exec sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


async def test_what_we_do_ourselves(host: NetnsHost, kernel: LinuxKernel) -> None:
    """Containers and networks come and go, ports are published, rules are written, a thousand elements."""
    ports = (PortMapping(container_port=80, host_port=8080),)
    plan = made(network(2)) + attached(network(2), 2, host.sandbox("other"), ports)
    addresses = {4: Address("10.1.0.2"), 6: Address("fd00:1::2")}
    many = [PortMapping(container_port=n, host_port=n) for n in range(10000, 11000)]
    elements = establish(f for f in published(many, addresses) if isinstance(f, Element))  # type: ignore[arg-type]
    listening = asyncio.create_task(kernel.disturbed())
    for _ in range(2):
        await kernel.apply(plan)
        await kernel.apply(elements)
        await kernel.withdraw(elements.inverse())
        await kernel.withdraw(plan.inverse())
    await kernel.uninstall()
    assert await kernel.install()
    await kernel.facts()  # everything is deleted that was to be
    await asyncio.sleep(LOOK + QUIET)
    assert not listening.done(), listening.result()
    listening.cancel()


@pytest.mark.parametrize(
    "command",
    [
        "nft add rule inet fairway user_forward accept; nft flush chain inet fairway user_forward",
        "nft add set inet fairway mine '{ type mark; }'; nft add element inet fairway mine '{ 1 }'",
        "nft add table inet fairway2; nft add chain inet fairway2 forward; nft delete table inet fairway2",
        "nft add table ip filter; nft add chain ip filter x; nft flush table ip filter",
        "ip addr add 10.99.0.1/24 dev up0; ip addr del 10.99.0.1/24 dev up0",
        "ip route add 10.98.0.0/16 via 192.0.2.9; ip route del 10.98.0.0/16",
        "ip link add foreign type veth peer name foreign2; ip link del foreign",
    ],
)
async def test_what_is_not_ours(host: NetnsHost, kernel: LinuxKernel, command: str) -> None:
    done = host.run(command)
    assert done.returncode == 0, done.stderr
    await nothing(kernel)
    assert await kernel.intact()


async def test_more_at_once_than_can_be_told(host: NetnsHost, kernel: LinuxKernel) -> None:
    """Messages were lost, so something may have changed; and links that were made meanwhile are known."""
    kernel._executor.watch._route.setsockopt(1, 33, 1)  # SO_RCVBUFFORCE: the smallest buffer that there is
    await kernel.apply(attached(network(1), 3, host.sandbox("second")))
    assert host.run("for n in 1 2 3 4; do ip link set veth1x2 mtu 140$n; done").returncode == 0
    assert "more changed at once than can be told" in await told(kernel)
    host.run("ip route del default", host.sandbox("second"))
    assert "route 0.0.0.0/0 of veth1x3 removed" in await told(kernel)


async def test_changes_before_the_first_call(host: NetnsHost) -> None:
    kernel = host.kernel()
    try:
        await kernel.install()
        host.run("nft flush chain inet fairway forward")
        assert await told(kernel) == {"rule of chain forward deleted"}
    finally:
        await kernel.close()


async def test_rules_are_written_again_when_one_is_missing(host: NetnsHost, kernel: LinuxKernel) -> None:
    assert await kernel.intact()
    assert not await kernel.install()
    before, facts = host.tables(), await kernel.facts()
    for command in (
        "nft insert rule inet fairway forward drop",
        "nft flush chain inet fairway between",
        "nft add chain inet fairway forward '{ policy drop; }'",
        "nft 'add table inet fairway { flags dormant; }'",
        "nft flush chain inet fairway version",
        "nft flush chain bridge fairway guard",
    ):
        done = host.run(command)
        assert done.returncode == 0, done.stderr
        assert not await kernel.intact(), command
        assert await kernel.install()
        assert await kernel.intact()
        assert host.tables() == before
    host.run("nft flush ruleset")
    assert not await kernel.intact()
    host.run("nft add rule inet fairway user_forward accept")
    assert await kernel.install()
    another = host.kernel()  # a daemon that was started again
    try:
        assert await another.intact()
        assert not await another.install()
    finally:
        await another.close()
    assert facts > await kernel.facts()


async def test_sysctls_that_differ(host: NetnsHost, kernel: LinuxKernel) -> None:
    inside = host.sandbox("server")
    host.run("echo 0 > /proc/sys/net/ipv4/ip_forward")
    wanted = [
        Sysctl(HOST, "net/ipv4/ip_forward", "1"),
        Sysctl(inside, "net/ipv6/conf/eth0/disable_ipv6", "0"),
        Sysctl(HOST, "net/ipv6/conf/all/forwarding", "1"),
        Sysctl(inside, "net/ipv4/conf/eth9/forwarding", "1"),
        Sysctl(host.sandbox("gone"), "net/ipv4/ip_forward", "1"),
    ]
    assert set(await kernel.differing(wanted)) == {
        Sysctl(HOST, "net/ipv4/ip_forward", "0"),
        Sysctl(inside, "net/ipv4/conf/eth9/forwarding", ""),
        Sysctl(host.sandbox("gone"), "net/ipv4/ip_forward", ""),
    }
    assert await kernel.differing([]) == []
