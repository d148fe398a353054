"""A loop whose time stands still, and servers on the loopback as containers."""

import socket
from collections.abc import Callable, Iterator

import pytest

from fairway.companion.loop import Loop
from fairway.ports.backend import Backend

TURNS = 20
"""The loopback delivers at once, so that a few turns of the loop carry everything through."""


class StillLoop(Loop):
    time = 0.0

    def now(self) -> float:
        return self.time

    def turn(self, turns: int = TURNS) -> None:
        """Handle what is ready; never waits."""
        for _ in range(turns):
            self.call_at(self.time, self.stop)
            self.run()


@pytest.fixture
def loop() -> Iterator[StillLoop]:
    made = StillLoop()
    yield made
    made.close()


@pytest.fixture
def backend(loop: StillLoop) -> Backend:
    return Backend(loop, 1024)


Listen = Callable[..., socket.socket]


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Makes sockets that listen (TCP) or are bound (UDP) to a port of the loopback."""
    made: list[socket.socket] = []

    def make(kind: socket.SocketKind = socket.SOCK_STREAM, address: str = "127.0.0.1") -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, kind)
        made.append(sock)
        sock.bind((address, 0))
        sock.settimeout(5)
        if kind == socket.SOCK_STREAM:
            sock.listen()
        return sock

    yield make
    for each in made:
        each.close()
