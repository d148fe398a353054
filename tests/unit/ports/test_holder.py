"""Holding and releasing: outcomes, other sockets on the same port, proxying by what is held."""

import contextlib
import errno
import socket
from collections.abc import Iterator

import pytest

from fairway.model.hold import CHANGED, UNCHANGED, Hold
from fairway.ports import sockets, udp
from fairway.ports.backend import PROXIED_PART
from fairway.ports.holder import Holder, Reservation
from fairway.ports.udp import UdpPort
from unit.ports.conftest import Listen, StillLoop

KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


@pytest.fixture
def holder(loop: StillLoop) -> Iterator[Holder]:
    made = Holder(loop, 2048)
    yield made
    made.change(made.held(), ())
    assert (made._backend.listening, made._backend.proxying) == (0, 0)


def hold(protocol: str, address: str, port: int, target: tuple[str, int] = ("127.0.0.1", 9)) -> Hold:
    return Hold(protocol, address, port, target[0], target[1])


def free(kind: socket.SocketKind) -> int:
    """A port that nobody has on any address."""
    with socket.socket(socket.AF_INET6, kind) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", 0))
        return int(sock.getsockname()[1])


def binds(protocol: str, address: str, port: int, *options: int) -> bool:
    """Whether a process like ours can listen there."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, KINDS[protocol]) as sock:
        if ":" in address:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for option in options:
            sock.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            sock.bind((address, port))
        except OSError as error:
            assert error.errno == errno.EADDRINUSE
            return False
        return True


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize(
    ("address", "kept", "left"),
    [
        ("", ["0.0.0.0", "127.0.0.1", "::", "::1"], []),
        ("0.0.0.0", ["0.0.0.0", "127.0.0.1"], ["::", "::1"]),
        ("::", ["::", "::1"], ["0.0.0.0", "127.0.0.1"]),
        ("127.0.0.1", ["127.0.0.1", "0.0.0.0"], ["::1", "127.0.0.2"]),
        ("::1", ["::1", "::"], ["0.0.0.0"]),
    ],
)
def test_what_is_held_nobody_else_gets(
    holder: Holder, protocol: str, address: str, kept: list[str], left: list[str]
) -> None:
    port = free(KINDS[protocol])
    wish = hold(protocol, address, port)
    assert holder.change((), [wish]) == [CHANGED]
    assert holder.held() == [wish]
    for each in kept:
        for options in ((), (socket.SO_REUSEADDR,), (socket.SO_REUSEADDR, socket.SO_REUSEPORT)):
            assert not binds(protocol, each, port, *options), (each, options)
    for each in left:
        assert binds(protocol, each, port), each
    assert holder.change([wish], ()) == [CHANGED]
    for each in kept:
        assert binds(protocol, each, port), each


def test_twice_is_once(holder: Holder) -> None:
    wish = hold("tcp", "", free(socket.SOCK_STREAM))
    assert holder.change((), [wish, wish]) == [CHANGED, UNCHANGED]
    assert holder.change([wish, wish], ()) == [CHANGED, UNCHANGED]


def test_another_target_is_a_conflict_unless_the_old_one_goes(holder: Holder, listen: Listen) -> None:
    port = free(socket.SOCK_STREAM)
    old, new = (hold("tcp", "", port, ("127.0.0.1", n)) for n in (1, 2))
    assert holder.change((), [old]) == [CHANGED]
    (outcome,) = holder.change((), [new])
    assert outcome.error == errno.EADDRINUSE
    assert holder.change([new], ()) == [UNCHANGED]
    sock = holder._ports[old.key]
    assert holder.change([old], [new]) == [CHANGED, CHANGED]
    assert holder._ports[old.key] is sock
    assert holder.held() == [new]


@pytest.mark.parametrize(
    ("taken", "wanted", "text"),
    [
        ("0.0.0.0", "", "listen tcp4 0.0.0.0:{}: bind: address already in use"),
        ("127.0.0.1", "", "listen tcp4 0.0.0.0:{}: bind: address already in use"),
        ("::1", "", "listen tcp6 [::]:{}: bind: address already in use"),
        ("127.0.0.1", "127.0.0.1", "listen tcp4 127.0.0.1:{}: bind: address already in use"),
        ("::1", "::", "listen tcp6 [::]:{}: bind: address already in use"),
    ],
)
def test_a_port_of_somebody_else(holder: Holder, listen: Listen, taken: str, wanted: str, text: str) -> None:
    port = listen(socket.SOCK_STREAM, taken).getsockname()[1]
    other = hold("udp", "", free(socket.SOCK_DGRAM))
    refused, held = holder.change((), [hold("tcp", wanted, port), other])
    assert (refused.error, refused.text) == (errno.EADDRINUSE, text.format(port))
    assert held == CHANGED


def test_an_address_that_the_host_has_not(holder: Holder) -> None:
    (outcome,) = holder.change((), [hold("udp", "192.0.2.77", 9999)])
    assert outcome.text == "listen udp4 192.0.2.77:9999: bind: cannot assign requested address"


def test_a_host_without_ipv6(holder: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    bound = sockets._bound

    def without_ipv6(wish: Hold, address: str, *, dual: bool) -> socket.socket:
        if ":" in address:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return bound(wish, address, dual=dual)

    monkeypatch.setattr(sockets, "_bound", without_ipv6)
    port = free(socket.SOCK_STREAM)
    assert holder.change((), [hold("tcp", "", port)]) == [CHANGED]
    assert not binds("tcp", "0.0.0.0", port)
    assert binds("tcp", "::", port)


def test_sctp_is_held_where_the_kernel_has_it(holder: Holder) -> None:
    wish = hold("sctp", "", 9999)
    assert holder.change((), [wish]) == [CHANGED]
    assert isinstance(holder._ports[wish.key], Reservation)
    assert holder.held() == [wish]


def test_descriptors_are_left_for_connections(loop: StillLoop) -> None:
    holder = Holder(loop, 16)
    wishes = [hold("tcp", "", free(socket.SOCK_STREAM)) for _ in range(16)]
    outcomes = holder.change((), wishes)
    assert [outcome.changed for outcome in outcomes] == [True] * 12 + [False] * 4
    assert outcomes[-1].error == errno.EMFILE
    assert "not have more than 16 files open" in outcomes[-1].text
    holder.change(holder.held(), ())


@pytest.mark.parametrize("client", ["127.0.0.1", "::1"])
def test_tcp_is_proxied(holder: Holder, loop: StillLoop, listen: Listen, client: str) -> None:
    container, port = listen(), free(socket.SOCK_STREAM)
    wish = hold("tcp", "", port, container.getsockname())
    holder.change((), [wish])
    with socket.create_connection((client, port), 5) as sock:
        loop.turn()
        accepted, _ = container.accept()
        with accepted:
            sock.send(b"question")
            loop.turn()
            assert accepted.recv(100) == b"question"
            holder.change([wish], ())
            with pytest.raises(ConnectionResetError):
                sock.recv(1)


def test_connections_wait_while_descriptors_are_short(
    holder: Holder, loop: StillLoop, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    container, port = listen(), free(socket.SOCK_STREAM)
    holder.change((), [hold("tcp", "", port, container.getsockname())])
    with monkeypatch.context() as patch, socket.create_connection(("127.0.0.1", port), 5):
        patch.setattr(holder._backend, "limit", 0)
        loop.turn()
        assert holder._backend.proxying == 0
        patch.undo()
        loop.turn()
        assert holder._backend.proxying == 0, "it looks away for a while"
        loop.time += 1
        loop.turn()
        assert holder._backend.proxying == 2


def test_a_flood_of_connections_keeps_no_port_from_being_held(loop: StillLoop, listen: Listen) -> None:
    holder, container, port = Holder(loop, 64), listen(), free(socket.SOCK_STREAM)
    holder.change((), [hold("tcp", "", port, container.getsockname())])
    with contextlib.ExitStack() as flood:
        for _ in range(40):
            flood.enter_context(socket.create_connection(("127.0.0.1", port), 5))
        loop.turn()
        assert 0 < holder._backend.proxying < 64 // PROXIED_PART
        more = [hold("tcp", "", free(socket.SOCK_STREAM), container.getsockname()) for _ in range(30)]
        assert all(outcome.changed for outcome in holder.change((), more))
    holder.change(holder.held(), ())


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_target_that_is_the_port_itself_does_not_go_round(
    holder: Holder, loop: StillLoop, protocol: str
) -> None:
    port = free(KINDS[protocol])
    holder.change((), [hold(protocol, "", port, ("127.0.0.1", port))])
    with socket.socket(socket.AF_INET, KINDS[protocol]) as client:
        client.connect(("127.0.0.1", port))
        client.send(b"round and round")
        loop.turn(100)
        assert holder._backend.proxying <= 2


class Clients:
    """UDP clients of a held port, and the container behind it."""

    def __init__(self, holder: Holder, listen: Listen, address: str = "") -> None:
        self.listen = listen
        self.container = listen(socket.SOCK_DGRAM)
        self.port = free(socket.SOCK_DGRAM)
        self.wish = hold("udp", address, self.port, self.container.getsockname())
        holder.change((), [self.wish])
        held = holder._ports[self.wish.key]
        assert isinstance(held, UdpPort)
        self.held = held

    def client(self, address: str) -> socket.socket:
        sock = self.listen(socket.SOCK_DGRAM, address)
        sock.connect((address, self.port))
        return sock

    def flows(self) -> int:
        return len(self.held._flows or ())


@pytest.fixture
def clients(holder: Holder, listen: Listen) -> Clients:
    return Clients(holder, listen)


@pytest.mark.parametrize(
    ("held", "address"),
    [
        ("", "127.0.0.1"),
        ("", "127.0.0.2"),
        ("", "::1"),
        ("0.0.0.0", "127.0.0.2"),
        ("127.0.0.2", "127.0.0.2"),
        ("::", "::1"),
    ],
)
def test_udp_is_proxied_and_answers_come_from_where_it_was_asked(
    loop: StillLoop, holder: Holder, listen: Listen, held: str, address: str
) -> None:
    clients = Clients(holder, listen, held)
    one, two = clients.client(address), clients.client(address)
    for sock in (one, two):
        sock.send(b"question")
        loop.turn()
        data, flow = clients.container.recvfrom(100)
        assert data == b"question"
        clients.container.sendto(b"answer", flow)
        loop.turn()
        assert sock.recv(100) == b"answer", "a connected socket takes it from the address asked only"
    assert clients.flows() == 2


def test_a_flow_without_answers_is_forgotten(loop: StillLoop, clients: Clients) -> None:
    sock = clients.client("127.0.0.1")
    sock.send(b"question")
    loop.turn()
    _, flow = clients.container.recvfrom(100)
    loop.time = udp.IDLE - 1
    clients.container.sendto(b"answer", flow)
    loop.turn()
    loop.time = 2 * udp.IDLE - 2
    loop.turn()
    assert clients.flows() == 1
    loop.time = 2 * udp.IDLE
    loop.turn()
    assert clients.flows() == 0


def test_the_oldest_flow_makes_room(
    loop: StillLoop, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp, "MAX_FLOWS", 2)
    first, second, third = (clients.client("127.0.0.1") for _ in range(3))
    for sock in (first, second):
        sock.send(b"question")
        loop.turn()
    _, flow = clients.container.recvfrom(100)
    clients.container.sendto(b"answer", flow)
    loop.turn()
    third.send(b"question")
    loop.turn()
    assert clients.flows() == 2
    assert {c[1] for c in clients.held._flows or ()} == {s.getsockname()[1] for s in (first, third)}


def test_a_container_that_does_not_listen_yet(loop: StillLoop, clients: Clients, listen: Listen) -> None:
    name = clients.container.getsockname()
    clients.container.close()
    sock = clients.client("127.0.0.1")
    for _ in range(3):
        with contextlib.suppress(ConnectionRefusedError):
            sock.send(b"question")
        loop.turn()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
        back.bind(name)
        back.settimeout(5)
        sock.send(b"again")
        loop.turn()
        assert back.recv(100) == b"again"


def test_another_target_starts_flows_anew(
    loop: StillLoop, holder: Holder, clients: Clients, listen: Listen
) -> None:
    sock, other = clients.client("::1"), listen(socket.SOCK_DGRAM)
    sock.send(b"one")
    loop.turn()
    new = hold("udp", "", clients.port, other.getsockname())
    assert holder.change([clients.wish], [new]) == [CHANGED, CHANGED]
    sock.send(b"two")
    loop.turn()
    assert other.recv(100) == b"two"
