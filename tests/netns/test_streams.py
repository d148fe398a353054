"""Connections that are under way lose nothing while somebody flushes the packet filter, and hardly pause."""

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from fairway.kernel.linux import LinuxKernel
from fairway.kernel.translation import NAME, lacks
from fairway.model.address import Address
from fairway.model.network import ANY_IPV6_ADDRESS, PortMapping
from fairway.plan import Element, HeldPort, Plan, establish
from netns_host import NetnsHost
from packets import HOST, OUTSIDE, attached, inside, made, network, opened, with_uplink

pytestmark = pytest.mark.root
PORTS = (
    PortMapping(container_port=80, host_port=8080),
    PortMapping(container_port=80, host_port=8080, host_address=ANY_IPV6_ADDRESS),
)
COUNTER = struct.Struct("!Q")
PAUSE = 0.002
SLACK = 2.0
"""Seconds that a stream may pause on a busy machine. A connection that was torn never goes on."""


class Direction:
    """Counts from one socket to another, until it is told to end; what arrives must be what was sent."""

    def __init__(self, name: str, source: socket.socket, target: socket.socket) -> None:
        self.name = name
        self.sent = self.received = 0
        self.longest = 0.0
        self.error = ""
        self._source, self._target = source, target
        self._threads = [
            threading.Thread(target=self._guarded, args=(w,)) for w in (self._send, self._receive)
        ]

    def start(self, ending: threading.Event) -> None:
        self._ending = ending
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _guarded(self, work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except OSError as error:
            self.error = str(error)

    def _send(self) -> None:
        while not self._ending.wait(PAUSE):
            self._source.sendall(COUNTER.pack(self.sent))
            self.sent += 1
        self._source.shutdown(socket.SHUT_WR)

    def _receive(self) -> None:
        last = time.monotonic()
        rest = b""
        while data := self._target.recv(1 << 16):
            now = time.monotonic()
            last, self.longest = now, max(self.longest, now - last)
            rest += data
            whole = len(rest) // COUNTER.size * COUNTER.size
            for (number,) in COUNTER.iter_unpack(rest[:whole]):
                if number != self.received:
                    raise OSError(f"{number} instead of {self.received}")
                self.received += 1
            rest = rest[whole:]


@contextlib.contextmanager
def connected(
    host: NetnsHost, client: str, address: str, port: int, server: str
) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection to a server that listens on port 80 in a sandbox."""
    with opened(host, client, address) as near:
        with opened(host, server, address) as listening:
            listening.bind(("::" if ":" in address else "0.0.0.0", 80))
            listening.listen()
            near.connect((address, port))
            far = listening.accept()[0]
        with far:
            far.settimeout(5)
            yield near, far


async def flush_and_heal(host: NetnsHost, kernel: LinuxKernel, plan: Plan) -> None:
    """As somebody does, and as the reconciler puts it right, a while later."""
    assert host.run("nft flush ruleset").returncode == 0
    assert "inet fairway {" not in host.run("nft list tables; nft list ruleset").stdout
    await asyncio.sleep(0.3)
    assert await kernel.install()
    await kernel.apply(establish(f for f in plan.facts() if isinstance(f, Element)))


STREAMS = (
    ("outside", HOST[4], 8080, "server"),
    ("outside", HOST[6], 8080, "server"),
    ("", "127.0.0.1", 8080, "server"),
    ("", HOST[6], 8080, "server"),
    ("other", HOST[4], 8080, "server"),
    ("server", HOST[4], 8080, "server"),
    ("other", OUTSIDE[4], 80, "outside"),
    ("other", OUTSIDE[6], 80, "outside"),
)
"""Client, address, port, and where the server is: into containers, between them, and out of them."""


@pytest.fixture(autouse=True)
def _owned_tables(host: NetnsHost) -> None:
    if why := inside(host, "", lacks):
        pytest.skip(
            f"CONFIG_NF_TABLES of Linux 6.9 or newer is missing (NFT_TABLE_F_OWNER with _PERSIST): {why}"
        )
    host.run(f"nft delete table inet {NAME}")


async def test_streams_survive_a_flush(host: NetnsHost) -> None:
    web, app = network(1), network(2)
    async with with_uplink(host) as kernel:
        plan = made(web) + made(app)
        plan += attached(web, 2, host.sandbox("server"), PORTS) + attached(app, 4, host.sandbox("other"))
        await kernel.apply(plan)
        directions: list[Direction] = []
        ending = threading.Event()
        with contextlib.ExitStack() as stack:
            for client, address, port, server in STREAMS:
                near, far = stack.enter_context(connected(host, client, address, port, server))
                name = f"{client or 'host'} and {address}:{port}"
                directions += [Direction(f"{name}, there", near, far), Direction(f"{name}, back", far, near)]
            for direction in directions:
                direction.start(ending)
            await asyncio.sleep(0.2)
            await flush_and_heal(host, kernel, plan)
            await asyncio.sleep(0.3)
            ending.set()
            for direction in directions:
                await asyncio.to_thread(direction.join)
    print({d.name: f"{d.received} numbers, longest pause {d.longest * 1000:.0f} ms" for d in directions})
    assert [(d.name, d.error) for d in directions if d.error] == []
    assert [d.name for d in directions if d.received != d.sent] == []
    assert all(d.received > 100 and d.longest < SLACK for d in directions)


async def test_connections_that_begin_without_rules(host: NetnsHost) -> None:
    """Their first packet leaves untranslated and is not answered; the next one is, once rules are back."""
    app = network(2)
    async with with_uplink(host) as kernel:
        plan = made(app) + attached(app, 4, host.sandbox("other"))
        await kernel.apply(plan)
        with opened(host, "outside", OUTSIDE[4]) as listening, opened(host, "other", OUTSIDE[4]) as client:
            listening.bind((OUTSIDE[4], 80))
            listening.listen()
            assert host.run("nft flush ruleset").returncode == 0
            connecting = asyncio.create_task(asyncio.to_thread(client.connect, (OUTSIDE[4], 80)))
            await asyncio.sleep(0.1)
            assert await kernel.install()
            await kernel.apply(establish(f for f in plan.facts() if isinstance(f, Element)))
            await connecting
            with listening.accept()[0] as accepted:
                assert accepted.getpeername()[0] == HOST[4]


async def test_the_table_that_translates(host: NetnsHost) -> None:
    """Nobody can flush or delete it; it outlives daemon and port holder, and goes when it is uninstalled."""
    listed = f"nft list table inet {NAME}"
    kernel = host.kernel()
    await kernel.install()
    shown = host.run(listed).stdout
    assert "flags owner" in shown
    assert json.loads(host.run("nft -j list ruleset").stdout), "what others read is JSON"
    assert host.run(f"nft flush ruleset; nft delete table inet {NAME}").returncode != 0
    await kernel.close()
    assert host.run(listed).stdout == shown
    kernel = host.kernel()
    try:
        assert await kernel.install(), "the main table was flushed"
        assert not await kernel.install()
        assert (await kernel.foreign_filters()).tables == ()
        assert NAME not in await kernel.listing()
        host.ports.keep(None)  # as when the port holder ends
        assert host.run(listed).returncode == 0
        await kernel.apply(establish([HeldPort("tcp", "", 8080, Address("10.1.0.2"), 80)]))
        assert host.run(f"nft delete table inet {NAME}").returncode != 0
        host.ports.keep(None)
        assert host.run("nft flush ruleset; nft list tables").stdout == ""
        assert await kernel.install()
        assert host.run(listed).stdout == shown
        await kernel.uninstall()
        assert host.run("nft list tables").stdout == ""
        await kernel.uninstall()
        await kernel.install()
        without = host.kernel(ruleset="")
        try:
            assert await without.install()
            assert host.run("nft list tables").stdout == ""
            assert not await without.install()
        finally:
            await without.close()
    finally:
        await kernel.close()
