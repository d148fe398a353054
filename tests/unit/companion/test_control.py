"""The control socket: what callers send that no daemon would."""

import os
import socket
from collections.abc import Iterator

import msgspec
import pytest

from fairway.companion.control import Control
from fairway.companion.loop import Loop
from fairway.companion.messages import PREFIX, Done, Failed, Hello, Shutdown, encode

Request = Hello | Shutdown | Done


class Companion:
    """Answers ``Done`` by a defect."""

    def __init__(self) -> None:
        self.loop = Loop()
        listening, self._client = socket.socketpair()
        self.control: Control[Request] = Control(
            self.loop, listening, 1, msgspec.msgpack.Decoder(Request).decode, self._handle
        )
        self._listening = listening

    def _handle(self, _request: Request, _sockets: list[socket.socket]) -> msgspec.Struct:
        raise KeyError("a defect")

    def answer(self, message: bytes) -> Failed | Hello:
        return msgspec.msgpack.decode(self.control.answer(message, []), type=Failed | Hello)

    def close(self) -> None:
        self.loop.close()
        self._listening.close()
        self._client.close()


@pytest.fixture
def companion() -> Iterator[Companion]:
    made = Companion()
    yield made
    made.close()


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xc1",
        b"\x81\xa4type\xa3\xff\xff\xff",
        b"\x82\xa4type\xa5Hello\xa1z" + b"\x91" * 100_000,
        b"\x82\xa4type\xa5Hello\xa7version\xa1x",
    ],
)
def test_what_is_no_request_is_told(companion: Companion, message: bytes) -> None:
    answer = companion.answer(message)
    assert isinstance(answer, Failed)
    assert answer.message.startswith("malformed request: ")


def test_a_defect_ends_one_request(companion: Companion, capsys: pytest.CaptureFixture[str]) -> None:
    answer = companion.answer(encode(Done()))
    assert answer == Failed("internal error, see the companion's log")
    assert "KeyError: 'a defect'" in capsys.readouterr().err
    assert companion.answer(encode(Hello(1))) == Hello(1)


def test_descriptors_that_are_no_sockets_are_closed(tmp_path: os.PathLike[str]) -> None:
    path = f"{tmp_path}/control"
    loop, listening = Loop(), socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    Control(loop, listening, 1, msgspec.msgpack.Decoder(Request).decode, lambda _r, _s: Done())
    read, write = os.pipe()
    before = len(os.listdir("/proc/self/fd"))
    with socket.socket(socket.AF_UNIX) as caller, listening:
        caller.connect(path)
        body = encode(Hello(1))
        socket.send_fds(caller, [PREFIX.pack(len(body)) + body], [caller.fileno(), read, write])
        for _ in range(3):
            loop.call_at(0.0, loop.stop)
            loop.run()
        assert caller.recv(1) == b"", "the caller is left"
        assert len(os.listdir("/proc/self/fd")) == before + 1
    os.close(read)
    os.close(write)
    loop.close()
