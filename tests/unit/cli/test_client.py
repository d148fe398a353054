"""The HTTP client against bytes on a socket."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairway.api.client import ApiError, Client, Unreachable, quote
from fairway.model.errors import InvalidParameter, System


class Peer:
    """Answers one connection with ``parts``, each its own write, and keeps what it was sent."""

    def __init__(self, path: Path) -> None:
        self.host = f"unix://{path}"
        self.parts: list[bytes] = []
        self.received = b""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)

    def answers(self, *parts: bytes) -> Client:
        """A client whose next request gets ``parts``."""
        self.parts = list(parts)
        self._thread.start()
        return Client(self.host)

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            while b"\r\n\r\n" not in self.received:
                self.received += connection.recv(4096)
            for part in self.parts:
                connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
            while more := connection.recv(4096):
                self.received += more

    def close(self) -> None:
        self._listener.close()
        if self._thread.ident:
            self._thread.join()


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    made = Peer(tmp_path / "s")
    yield made
    made.close()


def test_a_body_of_known_length(peer: Peer) -> None:
    client = peer.answers(b"HTTP/1.1 200 OK\r\nContent-Le", b'ngth: 8\r\n\r\n{"a"', b": 1}", b"more")
    assert client.get("/x", {"all": True, "no": False, "none": None, "f": ["a b", "c"]}) == {"a": 1}
    assert peer.received.startswith(b"GET /x?all=1&f=a%20b&f=c HTTP/1.1\r\n")


def test_a_chunked_body_cut_anywhere(peer: Peer) -> None:
    body = b"4\r\n[1, \r\n3;ext=1\r\n2]\n\r\n0\r\nTrailer: x\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    client = peer.answers(*(bytes([byte]) for byte in head + body))
    assert client.get("/") == [1, 2]


def test_a_body_until_the_end(peer: Peer) -> None:
    client = peer.answers(b"HTTP/1.1 200 OK\r\n\r\nto the", b" end")
    assert client.request("GET", "/").read() == b"to the end"


def test_a_stream_of_json_values(peer: Peer) -> None:
    client = peer.answers(b"HTTP/1.1 200 OK\r\n\r\n", b'{"a":', b'1}\n{"b":"\xc3', b'\xa9"}{"c":3}\n')
    assert list(client.request("GET", "/").json_stream()) == [{"a": 1}, {"b": "é"}, {"c": 3}]


def test_a_streamed_request(peer: Peer) -> None:
    client = peer.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert client.request("POST", "/", data=[b"ab", b"", b"c"]).json() is None
    peer._thread.join()
    assert peer.received.endswith(b"\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"message":"no such thing\\n"}', "no such thing"),
        (b"plain", "plain"),
        (b"", "request returned HTTP status 404"),
    ],
)
def test_errors_of_the_daemon(peer: Peer, body: bytes, message: str) -> None:
    client = peer.answers(b"HTTP/1.1 404 Not Found\r\n\r\n" + body)
    with pytest.raises(ApiError) as caught:
        client.get("/")
    assert (caught.value.status, caught.value.message) == (404, message)


def test_an_upgrade_keeps_bytes_that_came_with_the_head(peer: Peer) -> None:
    client = peer.answers(b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nearly", b" late")
    stream = client.hijack("/attach", body={"a": 1})
    assert stream.pending
    received = b""
    while part := stream.receive():
        received += part
    assert stream.send_some(b"typed") == 5
    stream.end_input()
    stream.close()
    peer._thread.join()
    assert received == b"early late"
    assert b"Upgrade: tcp\r\n" in peer.received
    assert peer.received.endswith(b'{"a":1}typed')


def test_a_stream_that_breaks_off(peer: Peer) -> None:
    answer = peer.answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n").request(
        "GET", "/"
    )
    stream = answer.json_stream()
    assert next(stream) == {}
    with pytest.raises(System, match="unexpected EOF"):
        next(stream)


def test_an_answer_that_breaks_off(peer: Peer) -> None:
    client = peer.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
    with pytest.raises(System, match="unexpected EOF"):
        client.request("GET", "/").read()


def test_no_answer_at_all(peer: Peer) -> None:
    client = peer.answers()
    with pytest.raises(System, match="error during connect: GET /x: EOF"):
        client.get("/x")


def test_hosts(tmp_path: Path) -> None:
    with pytest.raises(
        Unreachable, match=r"Cannot connect to the Fairway daemon at unix:///.*/none\. Is fairwayd"
    ):
        Client(f"unix://{tmp_path}/none").get("/")
    with pytest.raises(InvalidParameter, match="invalid bind address format: foo://"):
        Client("foo://")


def test_versions_and_quoting(peer: Peer) -> None:
    peer.answers(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert Client(peer.host, version="1.43").post(f"/networks/{quote('a/ü')}/x") is None
    assert peer.received.startswith(b"POST /v1.43/networks/a%2F%C3%BC/x HTTP/1.1\r\n")
