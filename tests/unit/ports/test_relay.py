"""One proxied connection: both directions, slow readers, ends, resets."""

import errno
import socket
import struct
from collections.abc import Iterator

import pytest

from fairway.ports.backend import CHUNK, Backend
from fairway.ports.relay import Relay
from unit.ports.conftest import Listen, StillLoop


class Line:
    """A client and a container with a relay between them."""

    def __init__(self, loop: StillLoop, backend: Backend, listen: Listen) -> None:
        self.loop, self.backend = loop, backend
        front, behind = listen(), listen()
        self.client = socket.create_connection(front.getsockname())
        accepted, _ = front.accept()
        server = backend.dial("tcp", *behind.getsockname())
        self.ended: list[Relay] = []
        self.relay = Relay(backend, accepted, server, self.ended.append)
        self.container, _ = behind.accept()
        for sock in (self.client, self.container):
            sock.setblocking(False)

    def send_all(self, sender: socket.socket, data: bytes) -> int:
        """Bytes that the line takes while nobody reads."""
        sent = 0
        while sent < len(data):
            try:
                sent += sender.send(data[sent : sent + CHUNK])
            except BlockingIOError:
                before = sent
                self.loop.turn()
                try:
                    sent += sender.send(data[sent : sent + CHUNK])
                except BlockingIOError:
                    return before
        self.loop.turn()
        return sent

    def receive(self, receiver: socket.socket) -> tuple[bytes, bool]:
        """What is there, and whether the end followed."""
        data = bytearray()
        while True:
            self.loop.turn(2)
            try:
                part = receiver.recv(CHUNK)
            except BlockingIOError:
                return bytes(data), False
            if not part:
                return bytes(data), True
            data += part

    def close(self) -> None:
        self.relay.close()
        self.client.close()
        self.container.close()


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.fixture
def line(loop: StillLoop, backend: Backend, listen: Listen) -> Iterator[Line]:
    made = Line(loop, backend, listen)
    yield made
    made.close()
    assert backend.proxying == 0


def test_both_directions(line: Line) -> None:
    line.client.send(b"question")
    assert line.receive(line.container) == (b"question", False)
    line.container.send(b"answer")
    assert line.receive(line.client) == (b"answer", False)


def test_what_is_sent_before_the_container_answers_waits(line: Line) -> None:
    line.client.send(b"early")
    assert line.receive(line.container) == (b"early", False)


@pytest.mark.parametrize("first", ["client", "container"])
def test_an_end_that_sends_no_more_still_reads(line: Line, first: str) -> None:
    ends = [line.client, line.container]
    ended, other = ends if first == "client" else ends[::-1]
    ended.send(b"last words")
    ended.shutdown(socket.SHUT_WR)
    assert line.receive(other) == (b"last words", True)
    assert line.relay.open
    other.send(b"a late answer")
    assert line.receive(ended) == (b"a late answer", False)
    other.shutdown(socket.SHUT_WR)
    assert line.receive(ended) == (b"", True)
    assert line.ended == [line.relay]


def test_a_slow_reader_slows_the_sender_down(line: Line) -> None:
    data = bytes(range(256)) * (1 << 17)
    taken = line.send_all(line.client, data)
    assert taken < len(data), "32 MB do not fit the buffers of sockets"
    assert sum(len(end._unsent) for end in (line.relay._client, line.relay._server)) <= CHUNK
    received, _ = line.receive(line.container)
    assert received == data[: len(received)]
    assert len(received) == taken


def test_the_end_follows_what_a_slow_reader_has_not_read(line: Line) -> None:
    taken = line.send_all(line.client, bytes(1 << 25))
    line.client.close()
    received, _ = line.receive(line.container)
    assert len(received) == taken
    line.container.shutdown(socket.SHUT_WR)
    line.loop.turn()
    assert not line.relay.open


def test_what_was_sent_before_a_reset_arrives(line: Line) -> None:
    line.client.send(b"last words")
    line.loop.turn()
    reset(line.client)
    assert line.receive(line.container) == (b"last words", True)
    assert not line.relay.open


def test_a_reset_of_the_container_ends_the_client(line: Line) -> None:
    line.loop.turn()
    reset(line.container)
    assert line.receive(line.client) == (b"", True)
    assert not line.relay.open


def test_a_client_that_sent_its_end_and_is_reset_is_noticed(line: Line) -> None:
    line.client.shutdown(socket.SHUT_WR)
    assert line.receive(line.container) == (b"", True)
    reset(line.client)
    line.loop.turn()
    assert not line.relay.open


def test_a_hang_up_does_not_wake_the_loop_while_the_other_end_is_slow(line: Line) -> None:
    line.send_all(line.client, bytes(1 << 25))
    reset(line.client)
    line.loop.turn()
    assert line.relay.open, "the container has not read everything"
    assert line.relay._client._watched is None
    received, _ = line.receive(line.container)
    assert received
    assert not line.relay.open


def test_nobody_listens_in_the_container(loop: StillLoop, backend: Backend, listen: Listen) -> None:
    front, gone = listen(), listen()
    target = gone.getsockname()
    gone.close()
    with socket.create_connection(front.getsockname()) as client:
        accepted, _ = front.accept()
        ended: list[Relay] = []
        relay = Relay(backend, accepted, backend.dial("tcp", *target), ended.append)
        loop.turn()
        assert ended == [relay]
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert backend.proxying == 0


def test_breaking_off_resets_both(line: Line) -> None:
    line.loop.turn()
    line.relay.close(reset=True)
    for sock in (line.client, line.container):
        with pytest.raises(OSError) as caught:
            sock.recv(1)
        assert caught.value.errno == errno.ECONNRESET
