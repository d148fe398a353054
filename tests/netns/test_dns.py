"""The resolver as a process: real sockets in fresh namespaces, a real upstream server, deaths and restarts.

The test's main thread moves into a fresh network namespace, "the host": the resolver is started there and the
upstream server lives on its loopback. Each sandbox is another namespace, entered by short-lived threads.
"""

import asyncio
import os
import select
import signal
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from dnslib import EDNS0 as Edns
from dnslib import RCODE, RR, DNSRecord
from dnslib.server import BaseResolver, DNSLogger, DNSServer

from fairway.companion.messages import Hello, frame
from fairway.dns import forward, listener, messages
from fairway.dns.control import ResolverClient, SocketHandover
from fairway.dns.launch import Location
from fairway.engine.protocols import Resolver
from fairway.model.address import Address
from fairway.model.dns import NetworkNames, Zone
from fairway.model.errors import InvalidParameter, System
from thread_host import enter, in_thread, own_namespace, unshare

pytestmark = pytest.mark.root

UPSTREAM, SILENT = "127.0.0.53", "127.0.0.54"


class Sandbox:
    """A network namespace as a container would see it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.namespace = in_thread(self._create)

    @staticmethod
    def _create() -> int:
        unshare()
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    def new_socket(self, kind: socket.SocketKind) -> socket.socket:
        def create() -> socket.socket:
            enter(self.namespace)
            return socket.socket(socket.AF_INET, kind)

        sock = in_thread(create)
        sock.settimeout(8)
        return sock

    def serve(self, handover: SocketHandover) -> None:
        """What the kernel worker does when a sandbox gets its resolver."""
        with self.new_socket(socket.SOCK_DGRAM) as udp, self.new_socket(socket.SOCK_STREAM) as tcp:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            for sock in (udp, tcp):
                sock.bind(("127.0.0.11", 53))
            tcp.listen(128)
            handover.open(self.name, udp, tcp)

    def connect(self, kind: socket.SocketKind = socket.SOCK_DGRAM) -> socket.socket:
        sock = self.new_socket(kind)
        try:
            sock.connect(("127.0.0.11", 53))
        except OSError:
            sock.close()
            raise
        return sock

    def ask(self, name: str, qtype: str = "A", *, tcp: bool = False, size: int = 0) -> DNSRecord:
        question = DNSRecord.question(name, qtype)
        if size:
            question.add_ar(Edns(udp_len=size))
        with self.connect(socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as sock:
            if tcp:
                sock.sendall(framed(question))
                reply = DNSRecord.parse(read_frame(sock))
            else:
                sock.send(question.pack())
                reply = DNSRecord.parse(sock.recv(65535))
        assert reply.header.id == question.header.id
        return reply

    def addresses(self, name: str, qtype: str = "A", *, tcp: bool = False) -> set[str]:
        reply = self.ask(name, qtype, tcp=tcp)
        assert reply.header.rcode == RCODE.NOERROR, reply
        return {str(r.rdata) for r in reply.rr}

    def close(self) -> None:
        os.close(self.namespace)


def framed(record: DNSRecord) -> bytes:
    data = bytes(record.pack())
    return struct.pack("!H", len(data)) + data


def read_exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise EOFError(data)
        data += part
    return data


def read_frame(sock: socket.socket) -> bytes:
    return read_exactly(sock, struct.unpack("!H", read_exactly(sock, 2))[0])


@pytest.fixture
def host() -> Iterator[None]:
    with own_namespace():
        yield


class Zonefile(BaseResolver):  # type: ignore[misc]  # dnslib is untyped
    """The world's DNS: www.example, and big.example whose answer fits no datagram."""

    def resolve(self, request: DNSRecord, _handler: object) -> DNSRecord:
        reply = request.reply()
        name = str(request.q.qname).lower()
        if name in ("www.example.", "web.search.domain."):
            reply.add_answer(*RR.fromZone(f"{name} 60 A 198.51.100.75"))
        elif name == "big.example.":
            for i in range(200):
                reply.add_answer(*RR.fromZone(f"{name} 60 A 198.51.100.{i + 1}"))
        elif name == "broken.example.":
            reply.header.rcode = RCODE.SERVFAIL
        else:
            reply.header.rcode = RCODE.NXDOMAIN
        return reply


@pytest.fixture
def upstream(host: None) -> Iterator[None]:
    quiet = DNSLogger(log="", logf=lambda _line: None)
    servers = [
        DNSServer(Zonefile(), port=53, address=UPSTREAM, tcp=tcp, logger=quiet) for tcp in (False, True)
    ]
    for server in servers:
        server.start_thread()
    yield
    for server in servers:
        server.stop()
        server.server.server_close()
        server.thread.join()


@pytest.fixture
def location(host: None, tmp_path: Path) -> Location:
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text(f"nameserver {UPSTREAM}\n")
    return Location(str(tmp_path / "resolver.sock"), str(tmp_path / "state"), str(resolv_conf))


@pytest.fixture
async def client(location: Location) -> AsyncIterator[ResolverClient]:
    resolver = ResolverClient(location)
    await resolver.start()
    yield resolver
    await resolver.shutdown()
    assert not Path(location.socket).exists()
    assert Path(location.state, "resolver.log").read_text() == ""


@pytest.fixture
def handover(location: Location, client: ResolverClient) -> Iterator[SocketHandover]:
    worker = SocketHandover(location)
    yield worker
    worker.disconnect()


@pytest.fixture
def box(host: None) -> Iterator[Callable[[str], Sandbox]]:
    made: list[Sandbox] = []

    def make(name: str) -> Sandbox:
        made.append(Sandbox(name))
        return made[-1]

    yield make
    for sandbox in made:
        sandbox.close()


def table(network: str, **names: str) -> NetworkNames:
    return NetworkNames(
        id=network,
        name=network,
        names={n: tuple(Address(a) for a in text.split()) for n, text in names.items()},
        reverse={Address(text.split()[0]): f"{n}.{network}" for n, text in names.items()},
    )


Boxes = Callable[[str], Sandbox]


def is_served(sandbox: Sandbox) -> bool:
    try:
        sandbox.connect(socket.SOCK_STREAM).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("tcp", [False, True])
async def test_each_sandbox_sees_its_own_names(
    client: ResolverClient, handover: SocketHandover, box: Boxes, tcp: bool
) -> None:
    one, two = box("one"), box("two")
    tables = [table("net1", web="172.18.0.2 fd00::2"), table("net2", web="172.19.0.2", db="172.19.0.3")]
    links: dict[str, tuple[Address, ...]] = {"friend": (Address("172.18.0.7"),)}
    await client.publish(
        tables,
        [Zone(sandbox="one", networks=("net1",), names=links), Zone(sandbox="two", networks=("net2",))],
    )
    for sandbox in (one, two):
        sandbox.serve(handover)
    assert one.addresses("WEB", tcp=tcp) == {"172.18.0.2"}
    assert one.addresses("web.net1", "AAAA", tcp=tcp) == {"fd00::2"}
    assert two.addresses("web", tcp=tcp) == {"172.19.0.2"}
    assert one.addresses("friend", tcp=tcp) == {"172.18.0.7"}
    assert two.addresses("web", "AAAA", tcp=tcp) == set()
    assert one.addresses("2.0.18.172.in-addr.arpa", "PTR", tcp=tcp) == {"web.net1."}
    assert two.ask("db.net2", tcp=tcp).header.rcode == RCODE.NOERROR
    assert two.ask("nobody.net2", tcp=tcp).header.rcode == RCODE.NXDOMAIN


async def test_a_new_table_is_seen_at_once(
    client: ResolverClient, handover: SocketHandover, box: Boxes
) -> None:
    one = box("one")
    await client.publish([table("net1", web="172.18.0.2")], [Zone(sandbox="one", networks=("net1",))])
    one.serve(handover)
    assert one.addresses("web") == {"172.18.0.2"}
    await client.publish([table("net1", web="172.18.0.9")], [])
    assert one.addresses("web") == {"172.18.0.9"}


@pytest.mark.parametrize("tcp", [False, True])
async def test_strangers_are_asked_upstream(
    upstream: None, client: ResolverClient, handover: SocketHandover, box: Boxes, tcp: bool
) -> None:
    one, inner = box("one"), box("inner")
    await client.publish([], [Zone(sandbox="one"), Zone(sandbox="inner", forward=False)])
    for sandbox in (one, inner):
        sandbox.serve(handover)
    assert one.addresses("www.example", tcp=tcp) == {"198.51.100.75"}
    assert one.addresses("web.search.domain", tcp=tcp) == {"198.51.100.75"}
    assert one.ask("stranger", tcp=tcp).header.rcode == RCODE.NXDOMAIN
    assert one.ask("broken.example", tcp=tcp).header.rcode == RCODE.SERVFAIL
    assert inner.ask("www.example", tcp=tcp).header.rcode == RCODE.NXDOMAIN


async def test_long_answers(
    upstream: None, client: ResolverClient, handover: SocketHandover, box: Boxes
) -> None:
    one = box("one")
    many = " ".join(f"10.0.0.{i}" for i in range(1, 101))
    await client.publish([table("net1", many=many)], [Zone(sandbox="one", networks=("net1",))])
    one.serve(handover)
    short = one.ask("many")
    assert (short.header.tc, len(short.pack()) <= 512) == (1, True)
    assert len(one.ask("many", size=4096).rr) == 100
    assert len(one.addresses("many", tcp=True)) == 100
    assert len(one.addresses("big.example", tcp=True)) == 200
    assert one.ask("big.example").header.tc == 1
    assert len(one.ask("big.example", size=8192).rr) == 200


async def test_a_dead_first_server_is_passed_over(
    upstream: None, client: ResolverClient, handover: SocketHandover, box: Boxes
) -> None:
    one, two = box("one"), box("two")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((SILENT, 53))
        await client.publish(
            [],
            [
                Zone(sandbox="one", upstreams=(SILENT, UPSTREAM)),
                Zone(sandbox="two", upstreams=("127.0.0.99", UPSTREAM)),
            ],
        )
        for sandbox in (one, two):
            sandbox.serve(handover)
            begin = time.monotonic()
            assert sandbox.addresses("www.example") == {"198.51.100.75"}
            assert time.monotonic() - begin < 2


async def test_resolv_conf_is_followed(
    upstream: None, location: Location, client: ResolverClient, handover: SocketHandover, box: Boxes
) -> None:
    one = box("one")
    Path(location.resolv_conf).write_text("nameserver 127.0.0.99\n")
    await client.publish([], [Zone(sandbox="one")])
    one.serve(handover)
    assert one.ask("www.example").header.rcode == RCODE.SERVFAIL
    Path(location.resolv_conf).write_text(f"nameserver {UPSTREAM}\nsearch changed.example\n")
    until = time.monotonic() + 5
    while one.ask("www.example").header.rcode != RCODE.NOERROR:
        assert time.monotonic() < until
        await asyncio.sleep(0.1)


async def test_names_resolve_while_the_daemon_is_down(
    location: Location, client: ResolverClient, handover: SocketHandover, box: Boxes
) -> None:
    one = box("one")
    await client.publish([table("net1", web="172.18.0.2")], [Zone(sandbox="one", networks=("net1",))])
    one.serve(handover)
    pid = client.pid
    await client.close()
    handover.disconnect()
    assert one.addresses("web") == {"172.18.0.2"}
    assert await client.start() is False, "it is the same one"
    assert client.pid == pid
    assert await client.sandboxes() == {"one"}
    assert handover.sandboxes() == {"one"}


async def test_a_killed_resolver_is_noticed_and_replaced(location: Location, box: Boxes) -> None:
    one, died = box("one"), asyncio.Event()
    client, handover = ResolverClient(location, died.set), SocketHandover(location)
    zone, net = Zone(sandbox="one", networks=("net1",)), table("net1", web="172.18.0.2")
    assert await client.start() is True
    try:
        await client.publish([net], [zone])
        one.serve(handover)
        first = client.pid
        os.kill(first, signal.SIGKILL)
        await asyncio.wait_for(died.wait(), 5)
        assert await client.start() is True
        assert client.pid != first
        assert await client.sandboxes() == frozenset()
        assert not is_served(one)
        await client.publish([net], [zone])
        one.serve(handover)
        assert one.addresses("web") == {"172.18.0.2"}
    finally:
        await client.shutdown()
        handover.disconnect()


async def test_an_operation_that_meets_a_dead_resolver_succeeds(
    client: ResolverClient, handover: SocketHandover, box: Boxes
) -> None:
    one = box("one")
    one.serve(handover)
    process = os.pidfd_open(client.pid)
    os.kill(client.pid, signal.SIGKILL)
    assert select.select([process], [], [], 5)[0]
    os.close(process)
    one.serve(handover)
    await client.publish([table("net1", web="172.18.0.2")], [Zone(sandbox="one", networks=("net1",))])
    assert one.addresses("web") == {"172.18.0.2"}


async def test_many_start_one(location: Location) -> None:
    clients = [ResolverClient(location) for _ in range(4)]
    try:
        started = await asyncio.gather(*(c.start() for c in clients))
        assert len({c.pid for c in clients}) == 1
        assert started.count(True) == 1
    finally:
        for client in clients[1:]:
            await client.close()
        await clients[0].shutdown()


async def test_a_resolver_of_another_version_is_replaced(location: Location) -> None:
    Path(location.state).mkdir()
    old = socket.socket(socket.AF_UNIX)
    old.bind(location.socket)
    old.listen()

    def serve() -> None:
        connection, _ = old.accept()
        with connection, old:
            connection.recv(100)
            connection.sendall(frame(Hello(messages.VERSION + 1)))
            assert b"Shutdown" in connection.recv(100)

    thread = threading.Thread(target=serve)
    thread.start()
    client = ResolverClient(location)
    try:
        assert await client.start() is True
        assert await client.sandboxes() == frozenset()
    finally:
        thread.join()
        await client.shutdown()


async def test_withdrawn_and_closed_sandboxes_are_gone(
    client: ResolverClient, handover: SocketHandover, box: Boxes
) -> None:
    one, two = box("one"), box("two")
    await client.publish([], [Zone(sandbox="one"), Zone(sandbox="two")])
    for sandbox in (one, two):
        sandbox.serve(handover)
    await client.withdraw("one")
    assert await client.sandboxes() == {"one", "two"}, "the sockets are still there"
    assert one.ask("x.example").header.rcode == RCODE.SERVFAIL
    handover.close("one")
    handover.close("one")
    assert await client.sandboxes() == {"two"}
    assert not is_served(one)
    assert is_served(two)


async def test_bad_requests_are_refused(client: ResolverClient, handover: SocketHandover, box: Boxes) -> None:
    with pytest.raises(InvalidParameter, match="invalid DNS server: 'nonsense'"):
        await client.publish([], [Zone(sandbox="one", upstreams=("nonsense",))])
    one = box("one")
    with (
        one.new_socket(socket.SOCK_STREAM) as a,
        one.new_socket(socket.SOCK_STREAM) as b,
        pytest.raises(InvalidParameter, match="expected a UDP and a TCP socket"),
    ):
        handover.open("one", a, b)
    assert await client.sandboxes() == frozenset()


async def test_a_resolver_that_cannot_start_says_why(host: None, tmp_path: Path) -> None:
    client = ResolverClient(Location(str(tmp_path / "missing" / "sock"), str(tmp_path / "state")))
    with pytest.raises(System, match="FileNotFoundError"):
        await client.start()


async def test_queries_are_pipelined_over_tcp(
    upstream: None, client: ResolverClient, handover: SocketHandover, box: Boxes
) -> None:
    one = box("one")
    await client.publish([table("net1", web="172.18.0.2")], [Zone(sandbox="one", networks=("net1",))])
    one.serve(handover)
    names = ["web", "www.example", "web.net1", "stranger.net1"] * 50
    questions = [DNSRecord.question(name) for name in names]
    with one.connect(socket.SOCK_STREAM) as sock:
        stream = b"".join(framed(q) for q in questions)
        for at in range(0, len(stream), 7):
            sock.sendall(stream[at : at + 7])
        sock.shutdown(socket.SHUT_WR)
        replies = [DNSRecord.parse(read_frame(sock)) for _ in questions]
        assert sock.recv(1) == b"", "closed once all is answered"
    assert sorted(r.header.id for r in replies) == sorted(q.header.id for q in questions)


async def test_tcp_connections_are_limited_per_sandbox(
    client: ResolverClient, handover: SocketHandover, box: Boxes
) -> None:
    greedy, other = box("greedy"), box("other")
    net = table("net1", web="172.18.0.2")
    await client.publish([net], [Zone(sandbox=s, networks=("net1",)) for s in ("greedy", "other")])
    for sandbox in (greedy, other):
        sandbox.serve(handover)
    held = [greedy.connect(socket.SOCK_STREAM) for _ in range(listener.MAX_CONNECTIONS)]
    try:
        with greedy.connect(socket.SOCK_STREAM) as refused:
            assert refused.recv(1) == b""
        assert other.addresses("web", tcp=True) == {"172.18.0.2"}
        assert greedy.addresses("web") == {"172.18.0.2"}
    finally:
        for sock in held:
            sock.close()


async def test_a_flood_of_forwarded_queries_harms_only_its_sandbox(
    upstream: None, client: ResolverClient, handover: SocketHandover, box: Boxes
) -> None:
    greedy, other = box("greedy"), box("other")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((SILENT, 53))
        await client.publish([], [Zone(sandbox="greedy", upstreams=(SILENT,)), Zone(sandbox="other")])
        for sandbox in (greedy, other):
            sandbox.serve(handover)
        with greedy.connect() as sock:
            sent = 0
            while not select.select([sock], [], [], 0.001)[0]:
                sock.send(DNSRecord.question(f"x{sent}.example").pack())
                sent += 1
            assert DNSRecord.parse(sock.recv(65535)).header.rcode == RCODE.REFUSED
            assert sent > forward.PER_SANDBOX
            assert other.addresses("www.example") == {"198.51.100.75"}


class Flood:
    """Questions from one sandbox, of all kinds, without a pause and without a look at the answers."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox, self._over = sandbox, threading.Event()
        self.sent = {"known": 0, "strange": 0, "tcp": 0}
        self._threads = [
            threading.Thread(target=self._datagrams, args=("known", "web")),
            threading.Thread(target=self._datagrams, args=("strange", "x.example")),
            threading.Thread(target=self._stream),
        ]

    def _datagrams(self, kind: str, name: str) -> None:
        question = DNSRecord.question(name).pack()
        with self._sandbox.connect() as sock:
            while not self._over.is_set():
                sock.send(question)
                self.sent[kind] += 1

    def _stream(self) -> None:
        question = framed(DNSRecord.question("web")) * 50
        while not self._over.is_set():
            with self._sandbox.connect(socket.SOCK_STREAM) as sock:
                sock.settimeout(0.05)
                with suppress(TimeoutError, ConnectionError):
                    while not self._over.is_set():
                        sock.sendall(question)
                        self.sent["tcp"] += 1

    def __enter__(self) -> "Flood":
        for thread in self._threads:
            thread.start()
        while not all(self.sent.values()):
            time.sleep(0.001)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


async def test_a_flood_from_one_sandbox_leaves_the_others_answered(
    upstream: None, client: ResolverClient, handover: SocketHandover, box: Boxes
) -> None:
    greedy, other = box("greedy"), box("other")
    # The flood of forwarded questions has a server of its own: it is our resolver that is to stand it.
    zones = [Zone(sandbox="greedy", networks=("net1",), upstreams=(SILENT,))]
    zones.append(Zone(sandbox="other", networks=("net1",)))
    await client.publish([table("net1", web="172.18.0.2")], zones)
    for sandbox in (greedy, other):
        sandbox.serve(handover)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent, Flood(greedy) as flood:
        silent.bind((SILENT, 53))
        for _ in range(4):
            before = dict(flood.sent)
            assert other.addresses("web") == {"172.18.0.2"}
            assert other.addresses("web", tcp=True) == {"172.18.0.2"}
            assert other.addresses("www.example") == {"198.51.100.75"}
            assert flood.sent["known"] > before["known"], "answered while the flood goes on"
            assert flood.sent["strange"] > before["strange"]
        assert flood.sent["tcp"]


async def test_rubbish_harms_nobody(client: ResolverClient, handover: SocketHandover, box: Boxes) -> None:
    one = box("one")
    await client.publish([table("net1", web="172.18.0.2")], [Zone(sandbox="one", networks=("net1",))])
    one.serve(handover)
    with one.connect() as datagrams, one.connect(socket.SOCK_STREAM) as stream:
        for i in range(300):
            datagrams.send(os.urandom(i))
        stream.sendall(os.urandom(20000))
        reset = struct.pack("ii", 1, 0)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    assert one.addresses("web") == {"172.18.0.2"}
    assert one.addresses("web", tcp=True) == {"172.18.0.2"}


async def test_a_forged_answer_is_not_believed(
    client: ResolverClient, handover: SocketHandover, box: Boxes
) -> None:
    one = box("one")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((SILENT, 53))
        server.settimeout(5)
        await client.publish([], [Zone(sandbox="one", upstreams=(SILENT,))])
        one.serve(handover)
        with one.connect() as sock:
            question = DNSRecord.question("www.example")
            sock.send(question.pack())
            data, resolver = server.recvfrom(512)
            right, wrong_id, wrong_name = (DNSRecord.parse(data).reply() for _ in range(3))
            wrong_name.q.qname = "evil.example"
            wrong_id.header.id ^= 1
            for forged in (wrong_name, wrong_id):
                forged.add_answer(*RR.fromZone("www.example 60 A 192.0.2.66"))
                server.sendto(forged.pack(), resolver)
            right.add_answer(*RR.fromZone("www.example 60 A 198.51.100.75"))
            server.sendto(right.pack(), resolver)
            reply = DNSRecord.parse(sock.recv(512))
    assert reply.header.id == question.header.id
    assert [str(r.rdata) for r in reply.rr] == ["198.51.100.75"]


async def test_it_is_small_and_belongs_to_nobody(client: ResolverClient) -> None:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{client.pid}/status").read_text().splitlines())
    assert int(status["VmRSS"].split()[0]) < 20 * 1024
    assert int(status["PPid"]) != os.getpid()
    assert os.getsid(client.pid) != os.getsid(0)


async def test_a_client_that_does_not_read_costs_little(
    client: ResolverClient, handover: SocketHandover, box: Boxes
) -> None:
    one = box("one")
    many = " ".join(f"10.0.{i // 250}.{i % 250 + 1}" for i in range(1000))
    await client.publish([table("net1", many=many)], [Zone(sandbox="one", networks=("net1",))])
    one.serve(handover)
    with one.connect(socket.SOCK_STREAM) as sock:
        sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            while True:
                sock.sendall(framed(DNSRecord.question("many")) * 100)
        assert one.addresses("many", tcp=True)
        status = Path(f"/proc/{client.pid}/status").read_text()
        assert int(status.split("VmRSS:")[1].split()[0]) < 64 * 1024


def test_the_client_is_what_the_engine_needs(location: Location) -> None:
    resolver: Resolver = ResolverClient(location)
    assert resolver.publish is not None
