"""Resolver and port holder as processes, fed what no daemon sends: they go on, and keep nothing of it."""

import os
import random
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from dnslib import DNSRecord
from hypothesis import strategies as st

from fairway.companion import launch
from fairway.companion.launch import Companion
from fairway.companion.messages import Done, frame
from fairway.dns import messages as dns
from fairway.dns.launch import Location
from fairway.model.address import Address
from fairway.model.dns import NetworkNames, Zone
from fairway.ports import messages as ports
from fairway.ports.control import companion
from fuzz.documents import ANYTHING
from fuzz.running import fuzz
from fuzz.test_dns import ANY
from thread_host import own_namespace

pytestmark = pytest.mark.root
MESSAGES = {"resolver": dns, "port holder": ports}

TEXTS = st.sampled_from(
    (
        "",
        "s",
        "tcp",
        "udp",
        "sctp",
        "icmp",
        "0.0.0.0",
        "::",
        "127.0.0.1",
        "::1",
        "fe80::1%lo",
        "x",
        "a..b",
        "x" * 300,
        "\0",
        "1.2.3.4:99999",
    )
)
NUMBERS = st.sampled_from((0, 1, 8080, 8081, 65535, 65536, -1, 2**40))
HOLDS = st.lists(st.tuples(TEXTS, TEXTS, NUMBERS, TEXTS, NUMBERS), max_size=4)
TABLES = st.dictionaries(TEXTS, st.lists(TEXTS, max_size=2), max_size=3)
NETWORKS = st.lists(st.fixed_dictionaries({"id": TEXTS, "name": TEXTS, "names": TABLES, "reverse": st.dictionaries(TEXTS, TEXTS, max_size=2)}), max_size=2)  # fmt: skip
ZONES = st.lists(st.fixed_dictionaries({"sandbox": TEXTS, "networks": st.lists(TEXTS, max_size=2), "names": TABLES, "upstreams": st.lists(TEXTS, max_size=2)}), max_size=2)  # fmt: skip


def _tagged(tag: str, **members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(tag), **members})


REQUESTS = st.one_of(
    _tagged("Change", release=HOLDS, hold=HOLDS),
    _tagged("Publish", networks=NETWORKS, zones=ZONES),
    _tagged("Open", sandbox=TEXTS),
    _tagged("Close", sandbox=TEXTS),
    _tagged("Withdraw", sandbox=TEXTS),
    _tagged("Hello", version=NUMBERS),
    _tagged("Change", release=ANYTHING, hold=ANYTHING),
)


def _encoded(value: Any) -> bytes:
    try:
        return msgspec.msgpack.encode(value)
    except (OverflowError, UnicodeEncodeError):
        return b"\xc1"


DEEP = b"\x82\xa4type\xa4List\xa1z" + b"\x91" * 3000
BODIES = st.one_of(REQUESTS.map(_encoded), ANYTHING.map(_encoded), st.binary(max_size=40), st.sampled_from((DEEP, b"\x91" * 5000, b"\x82\xa4type\xa5Close\xa7sandbox\xa1\xff")))  # fmt: skip
LENGTHS = st.sampled_from((0, 0, 0, 0, 1, -1, 2**31))
"""How far the length before a message is from the truth."""
SOCKETS = st.lists(st.sampled_from(("udp", "tcp", "pipe", "unix")), max_size=3)


@pytest.fixture(params=MESSAGES)
def process(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Companion]:
    control, state = str(tmp_path / "control"), str(tmp_path / "state")
    made = (
        companion(control, state) if request.param == "port holder" else Location(control, state).companion()
    )
    with own_namespace():
        connection, _ = launch.connect(made)
        connection.close()
        yield made
        launch.shutdown(made)


def test_no_message_ends_a_companion(process: Companion) -> None:
    first, _ = launch.connect(process)
    pid = launch.process_id(first)
    open_before = len(os.listdir(f"/proc/{pid}/fd"))

    def check(case: tuple[bytes, int, list[str]]) -> None:
        body, lie, kinds = case
        sent = [_descriptor(kind) for kind in kinds]
        connection = launch.attempt(process)
        assert connection is not None
        message = struct.pack("!I", (len(body) + lie) % 2**32) + body
        with connection:
            connection.settimeout(5)
            with suppress(ConnectionError, EOFError):  # who sends nonsense may be cut off
                socket.send_fds(connection, [message], sent)
                if not lie:
                    launch.receive(connection)
        for descriptor in sent:
            os.close(descriptor)
        assert _answers(first, process), "it is another process now, or does not answer"

    fuzz(check, st.tuples(BODIES, LENGTHS, SOCKETS), 150, shrink=False)
    _forget_all(first, process)
    assert launch.process_id(first) == pid
    assert len(os.listdir(f"/proc/{pid}/fd")) == open_before
    first.close()


def _descriptor(kind: str) -> int:
    if kind == "pipe":
        read, write = os.pipe()
        os.close(write)
        return read
    family = socket.AF_UNIX if kind == "unix" else socket.AF_INET
    return socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM).detach()


def _answers(connection: socket.socket, process: Companion) -> Any:
    """What it says to ``List``."""
    messages = MESSAGES[process.name]
    connection.settimeout(5)
    return messages.decode_response(launch.call(connection, frame(messages.List())))


def _forget_all(connection: socket.socket, process: Companion) -> None:
    known = _answers(connection, process)
    if isinstance(known, ports.Holds):
        requests: list[msgspec.Struct] = [ports.Change(known.holds, ())]
    else:
        requests = [dns.Withdraw(name) for name in known.zones] + [dns.Close(name) for name in known.sockets]
    for request in requests:
        launch.call(connection, frame(request))


def test_a_resolver_that_hears_noise_still_answers(tmp_path: Path) -> None:
    """Datagrams and streams of any bytes, upstream answers that are none, and honest questions among them."""
    process = Location(str(tmp_path / "control"), str(tmp_path / "state")).companion()
    with own_namespace(), _socket("udp") as udp, _socket("tcp") as tcp, _socket("udp") as upstream:
        control, _ = launch.connect(process)
        zone = Zone(sandbox="s", networks=("n",), upstreams=(f"127.0.0.1:{upstream.getsockname()[1]}",))
        names = NetworkNames(id="n", name="net1", names={"web": (Address("172.18.0.2"),)})
        launch.call(control, frame(dns.Publish((names,), (zone,))))
        socket.send_fds(control, [frame(dns.Open("s"))], [udp.fileno(), tcp.fileno()])
        assert isinstance(dns.decode_response(launch.receive(control)), Done)
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.settimeout(5)

        def check(noise: list[bytes]) -> None:
            client.connect(udp.getsockname())
            for each in noise:
                client.send(each)
            _mislead(upstream, noise)
            with socket.create_connection(tcp.getsockname(), 5) as stream, suppress(ConnectionError):
                stream.sendall(b"".join(struct.pack("!H", len(each)) + each for each in noise) + noise[0])
            _ask(client)

        fuzz(check, st.lists(ANY, min_size=1, max_size=8), 60, shrink=False)
        client.close()
        control.close()
        launch.shutdown(process)
    assert (tmp_path / "state" / "resolver.log").read_text() == ""


def _socket(kind: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    if kind == "tcp":
        made.listen()
    return made


def _mislead(upstream: socket.socket, noise: list[bytes]) -> None:
    """Answer what was forwarded with noise under the right id."""
    upstream.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            asked, client = upstream.recvfrom(65535)
            for each in noise:
                with suppress(OSError):
                    upstream.sendto(asked[:2] + each[2:], client)
                    upstream.sendto(asked[:2] + b"\x81\x80" + asked[4:12] + asked[12:] + each, client)


def _ask(client: socket.socket) -> None:
    question = DNSRecord.question("web.net1")
    question.header.id = random.randrange(65536)
    client.send(question.pack())
    while True:
        data = client.recv(65535)
        if data[:2] == question.pack()[:2] and data[12:] != b"":
            reply = DNSRecord.parse(data)
            if str(reply.q.qname) == "web.net1.":
                assert [str(each.rdata) for each in reply.rr] == ["172.18.0.2"]
                return
