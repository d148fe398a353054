"""A held TCP port: every connection that arrives is relayed to the container."""

import socket
from contextlib import suppress

from fairway.companion.loop import READ
from fairway.model.hold import Hold
from fairway.ports.backend import PAUSE, RESET, Backend
from fairway.ports.relay import Relay

BATCH = 64
"""Connections accepted before others have their turn."""


class TcpPort:
    """Owns the listening socket."""

    __slots__ = ("_backend", "_relays", "_sock", "hold")

    def __init__(self, hold: Hold, sock: socket.socket, backend: Backend) -> None:
        self.hold = hold
        self._sock = sock
        self._backend = backend
        self._relays: set[Relay] | None = None  # most ports never have one
        backend.loop.watch(sock.fileno(), READ, self._accept)

    def retarget(self, hold: Hold) -> None:
        """Lead connections elsewhere; those to the former target break off."""
        if (hold.target, hold.target_port) != (self.hold.target, self.hold.target_port):
            self._break_off()
        self.hold = hold

    def close(self) -> None:
        self._backend.loop.unwatch(self._sock.fileno())
        self._sock.close()
        self._break_off()

    def _break_off(self) -> None:
        for relay in tuple(self._relays or ()):
            relay.close(reset=True)

    def _accept(self, _events: int) -> None:
        for _ in range(BATCH):
            if not self._backend.carries_more():
                self._pause()
                return
            try:
                client, name = self._sock.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # it was gone before we came
            except OSError:
                self._pause()
                return
            self._relay(client, name)

    def _relay(self, client: socket.socket, name: tuple[str, int]) -> None:
        if self._backend.is_own(name):
            _reset(client)
            return
        try:
            server = self._backend.dial("tcp", self.hold.target, self.hold.target_port)
        except OSError:  # no route, most often; as if nobody listened
            _reset(client)
            return
        if self._relays is None:
            self._relays = set()
        self._relays.add(Relay(self._backend, client, server, self._relays.discard))

    def _pause(self) -> None:
        """Out of descriptors: the listening socket stays readable, so look away for a while."""
        loop = self._backend.loop
        loop.change(self._sock.fileno(), 0)
        loop.call_at(loop.now() + PAUSE, self._resume)

    def _resume(self) -> None:
        if self._sock.fileno() >= 0:
            self._backend.loop.change(self._sock.fileno(), READ)


def _reset(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()
