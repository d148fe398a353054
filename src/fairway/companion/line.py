"""The kernel worker's connection to a companion: blocking, with sockets to hand over."""

import socket
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from fairway.companion import launch, messages
from fairway.companion.launch import Companion
from fairway.model.errors import System

Response = TypeVar("Response")


class Line(Generic[Response]):
    """To be used from one thread at a time. Starts the companion when there is none."""

    def __init__(self, companion: Companion, decode: Callable[[bytes], Response]) -> None:
        self._companion = companion
        self._decode = decode
        self._connection: socket.socket | None = None

    def ask(self, request: msgspec.Struct, *sockets: socket.socket) -> Response:
        """The companion's response; asked once more if the one that we knew has ended.

        The companion gets descriptors of its own for the sockets. Raises InvalidParameter if it refused,
        System.
        """
        for known in (self._connection is not None, False):
            try:
                return messages.checked(self._decode(self._exchange(request, sockets)))
            except (EOFError, ConnectionError) as error:
                self.disconnect()
                if not known:
                    raise System(f"the {self._companion.name} has ended: {launch.reason(error)}") from None
            except OSError as error:
                self.disconnect()
                raise System(f"the {self._companion.name} does not answer: {launch.reason(error)}") from None
        raise AssertionError("unreachable: the second turn returns or raises")

    def disconnect(self) -> None:
        """The companion goes on."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, request: msgspec.Struct, sockets: Sequence[socket.socket]) -> bytes:
        if self._connection is None:
            self._connection, _ = launch.connect(self._companion)
        frame = messages.frame(request)
        if not sockets:
            return launch.call(self._connection, frame)
        sent = socket.send_fds(self._connection, [frame], [sock.fileno() for sock in sockets])
        return launch.call(self._connection, frame[sent:])
