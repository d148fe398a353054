"""Connections that are forgotten with what made them, seen by a client that never pauses."""

import socket
import time
from collections.abc import AsyncIterator, Iterable, Iterator

import pytest
import pytest_asyncio

from fairway.firewall.publish import flows
from fairway.kernel import conntrack, ctnetlink
from fairway.kernel.ctnetlink import Direction
from fairway.kernel.linux import LinuxKernel
from fairway.kernel.netlink import Message
from fairway.model.address import Address, Family
from fairway.model.network import PortMapping
from fairway.plan import Flows, Plan, Step, difference, establish, withdraw
from netns_host import NetnsHost
from packets import BRIEF, HOST, attached, made, network, opened, with_uplink

pytestmark = pytest.mark.root


def on_both(host_port: int, container_port: int, protocol: str = "udp") -> tuple[PortMapping, ...]:
    return tuple(
        PortMapping(
            protocol=protocol,  # type: ignore[arg-type]
            container_port=container_port,
            host_port=host_port,
            host_address=Address(address),
        )
        for address in ("0.0.0.0", "::")
    )


PORTS = (*on_both(5353, 53), *on_both(5354, 54), *on_both(8080, 80, "tcp"))
TARGETS: dict[Family, Address] = {4: Address("10.1.0.2"), 6: Address("fd00:1::2")}


@pytest.fixture(params=["the kernel matches", "matched in a dump", "the kernel cannot match"])
def _ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All ways to find connections."""
    if request.param == "matched in a dump":
        monkeypatch.setattr(conntrack, "FEW", 0)
    elif request.param == "the kernel cannot match":
        delete = ctnetlink.delete_matching

        def refused(original: Direction, reply: Direction) -> Message:
            """As Linux before 6.8 takes it: a pattern that is no whole connection."""
            message = delete(original, reply)
            start = message.body.index(b"\x19\x80") - 2  # CTA_FILTER, whose length goes before
            length = int.from_bytes(message.body[start : start + 2], "little")
            body = message.body[:start] + message.body[start + length :]
            return Message(message.kind, message.flags, body)

        monkeypatch.setattr(ctnetlink, "delete_matching", refused)


@pytest_asyncio.fixture
async def kernel(host: NetnsHost) -> AsyncIterator[LinuxKernel]:
    async with with_uplink(host) as kernel:
        await kernel.apply(made(network(1)) + attached(network(1), 2, host.sandbox("server"), PORTS))
        yield kernel


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    made: list[socket.socket] = []
    yield made
    for each in made:
        each.close()


class Talk:
    """A UDP client outside and a server in a container, which hears it or does not."""

    def __init__(
        self,
        host: NetnsHost,
        sockets: list[socket.socket],
        kind: int,
        port: int,
        on: int,
        server: str = "server",
    ) -> None:
        self._host, self._sockets, self._on = host, sockets, on
        self._any = "::" if kind == 6 else "0.0.0.0"
        self._client = self._opened("outside")
        self._server = self._opened(server)
        self._server.bind((self._any, on))
        self._client.connect((HOST[kind], port))

    def _opened(self, where: str) -> socket.socket:
        made = opened(self._host, where, self._any, socket.SOCK_DGRAM)
        self._sockets.append(made)
        return made

    def move(self, sandbox: str) -> None:
        """The server listens in another sandbox from now on."""
        self._server.close()
        self._server = self._opened(sandbox)
        self._server.bind((self._any, self._on))

    def heard(self) -> bool:
        """Tried again: what is sent right after a port came up may be lost."""
        return any(not self.unheard(0.05) for _ in range(100))

    def unheard(self, patience: float = BRIEF) -> bool:
        self._server.settimeout(patience)
        try:
            self._client.send(b"x")
            self._server.recv(9)
        except (TimeoutError, ConnectionRefusedError):
            return True
        return False


def without_flows(plan: Plan) -> Plan:
    return Plan(tuple(s for s in plan if not isinstance(s.fact, Flows)))


@pytest.mark.usefixtures("_ways")
@pytest.mark.parametrize("kind", [4, 6])
async def test_a_reused_address_is_not_reached_by_the_predecessors_clients(
    host: NetnsHost, kernel: LinuxKernel, sockets: list[socket.socket], kind: int
) -> None:
    await kernel.apply(attached(network(1), 3, host.sandbox("bystander"), on_both(5355, 55)))
    talk, other = Talk(host, sockets, kind, 5353, 53), Talk(host, sockets, kind, 5355, 55, "bystander")
    assert talk.heard()
    assert other.heard()
    before = attached(network(1), 2, host.sandbox("server"), PORTS)
    after = attached(network(1), 2, host.sandbox("successor"))
    assert await kernel.withdraw(without_flows(before.inverse())) == []
    await kernel.apply(after)
    talk.move("successor")
    assert talk.heard()  # this is what forgetting connections is for
    tracked = host.run("cat /proc/net/nf_conntrack").stdout.count("dport=5355")
    assert await kernel.withdraw(withdraw(f for f in after.facts() if isinstance(f, Flows))) == []
    await kernel.facts()  # when all is forgotten
    assert talk.unheard()
    assert host.run("cat /proc/net/nf_conntrack").stdout.count("dport=5355") == tracked > 0


async def test_detaching_forgets(host: NetnsHost, kernel: LinuxKernel, sockets: list[socket.socket]) -> None:
    talk = Talk(host, sockets, 4, 5353, 53)
    assert talk.heard()
    assert await kernel.withdraw(attached(network(1), 2, host.sandbox("server"), PORTS).inverse()) == []
    await kernel.apply(attached(network(1), 2, host.sandbox("successor")))
    talk.move("successor")
    assert talk.unheard()


@pytest.mark.parametrize("kind", [4, 6])
async def test_what_a_crash_left_is_forgotten_with_its_address(
    host: NetnsHost, kernel: LinuxKernel, sockets: list[socket.socket], kind: int
) -> None:
    talk = Talk(host, sockets, kind, 5353, 53)
    assert talk.heard()
    await kernel.apply(difference(made(network(1)).facts(), await kernel.facts()))
    await kernel.apply(attached(network(1), 2, host.sandbox("successor")))
    talk.move("successor")
    assert talk.unheard()


@pytest.mark.usefixtures("_ways")
@pytest.mark.parametrize("kind", [4, 6])
async def test_unpublishing_a_port_forgets_its_connections_only(
    host: NetnsHost, kernel: LinuxKernel, sockets: list[socket.socket], kind: int
) -> None:
    gone, stays = Talk(host, sockets, kind, 5353, 53), Talk(host, sockets, kind, 5354, 54)
    assert gone.heard()
    assert stays.heard()
    tracked = host.run("cat /proc/net/nf_conntrack").stdout.count("dport=5354")
    full = attached(network(1), 2, host.sandbox("server"), PORTS)
    part = attached(network(1), 2, host.sandbox("server"), PORTS[2:])
    plan = Plan(tuple(Step(s.fact, False) for s in reversed(full.steps) if s not in part.steps))
    await kernel.apply(plan)
    assert gone.heard()  # the translation of a connection outlives the element that made it
    facts = [flow for port in PORTS[:2] for flow in flows(port, TARGETS)]
    await kernel.apply(withdraw(facts))
    await kernel.facts()
    assert gone.unheard()
    assert stays.heard()
    assert host.run("cat /proc/net/nf_conntrack").stdout.count("dport=5354") == tracked


async def test_ten_thousand_ports_at_once(
    host: NetnsHost, kernel: LinuxKernel, sockets: list[socket.socket]
) -> None:
    gone, stays = Talk(host, sockets, 4, 5353, 53), Talk(host, sockets, 4, 5354, 54)
    assert gone.heard()
    assert stays.heard()
    others = [Flows(TARGETS[4], "udp", 10000 + n, "", 20000 + n) for n in range(10000)]
    assert await kernel.withdraw(withdraw([*others, Flows(TARGETS[4], "udp", 53, "", 5353)])) == []
    await kernel.facts()
    tracked = host.run("cat /proc/net/nf_conntrack").stdout
    assert "dport=5353" not in tracked
    assert "dport=5354" in tracked


async def test_establishing_forgets_nothing(
    host: NetnsHost, kernel: LinuxKernel, sockets: list[socket.socket]
) -> None:
    talk = Talk(host, sockets, 4, 5353, 53)
    assert talk.heard()
    await kernel.apply(establish([Flows(TARGETS[4]), Flows(TARGETS[6])]))
    assert "dport=5353" in host.run("cat /proc/net/nf_conntrack").stdout


async def test_an_address_given_out_again_waits_for_its_predecessor(
    host: NetnsHost, kernel: LinuxKernel, sockets: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    forget, done = conntrack.Table.forget, list[str]()

    def slowly(table: conntrack.Table, flows: Iterable[Flows]) -> None:
        time.sleep(0.1)
        forget(table, flows)
        done.append("forgotten")

    monkeypatch.setattr(conntrack.Table, "forget", slowly)
    await kernel.apply(withdraw([Flows(TARGETS[4])]))
    assert not done
    await kernel.apply(establish([Flows(TARGETS[4])]))
    assert done


async def test_what_cannot_be_forgotten_is_told(
    host: NetnsHost, kernel: LinuxKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(conntrack.Table, "forget", refused)
    failures = list(await kernel.withdraw(withdraw([Flows(TARGETS[4])])))
    await kernel.facts()
    monkeypatch.undo()
    failures += await kernel.withdraw(withdraw([Flows(TARGETS[6])]))
    (fault,) = failures
    assert "cannot delete tracked connections" in fault.message
    assert await kernel.withdraw(withdraw([Flows(TARGETS[6])])) == []


async def test_where_connections_cannot_be_asked_for_nothing_fails(
    host: NetnsHost, kernel: LinuxKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel without CONFIG_NF_CT_NETLINK: said by ``features`` at start, not at each stop."""

    def none(_protocol: int) -> object:
        raise OSError(93, "Protocol not supported")

    monkeypatch.setattr(conntrack, "Channel", none)
    other = host.kernel("other")
    try:
        assert await other.withdraw(withdraw([Flows(TARGETS[4])])) == []
    finally:
        await other.close()
