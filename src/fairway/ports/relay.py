"""One proxied TCP connection: what a client sends goes to the container, and the other way round.

Each end is read only while the other has taken everything, so that a slow reader slows the sender down and
little is kept here. An end that sends no more (FIN) may still read: the other is told by a FIN, too. The pair
is closed when neither direction has anything left to carry. What an end sent before it was reset still
arrives.

The kernel reports a hang-up for as long as it lasts (EPOLLHUP and EPOLLERR cannot be switched off), so an end
that hung up and is not to be read yet is taken out of epoll until it is.
"""

import socket
from collections.abc import Callable
from contextlib import suppress

from fairway.companion.loop import READ, WRITE
from fairway.ports.backend import RESET, Backend


class Relay:
    """Owns both sockets."""

    __slots__ = ("_backend", "_client", "_closed", "_server", "open")

    def __init__(
        self,
        backend: Backend,
        client: socket.socket,
        server: socket.socket,
        closed: Callable[["Relay"], None],
    ) -> None:
        """``server`` comes from ``Backend.dial`` and may be connecting still."""
        self._backend = backend
        self._closed = closed
        self.open = True
        backend.proxying += 1
        for sock in (client, server):
            sock.setblocking(False)
            with suppress(OSError):  # the client may be gone already
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._client, self._server = _End(self, backend, client), _End(self, backend, server)
        self._client.peer, self._server.peer = self._server, self._client
        self._server.connecting = True
        self.update()

    def update(self) -> None:
        """Close what is over, and tell epoll what is waited for."""
        if not self.open:
            return
        for end in (self._client, self._server):
            end.pass_on_end()
        if self._client.finished and self._server.finished:
            self.close()
            return
        for end in (self._client, self._server):
            end.watch()

    def close(self, *, reset: bool = False) -> None:
        """``reset``: the ends are told that the connection broke off."""
        if not self.open:
            return
        self.open = False
        for end in (self._client, self._server):
            end.unwatch()
            if reset:
                with suppress(OSError):
                    end.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._backend.hang_up(self._server.sock)
        self._client.sock.close()
        self._backend.proxying -= 1
        self._closed(self)


class _End:
    __slots__ = (
        "_backend",
        "_muted",
        "_relay",
        "_unsent",
        "_watched",
        "connecting",
        "deaf",
        "ended",
        "peer",
        "sock",
        "told",
    )

    peer: "_End"

    def __init__(self, relay: Relay, backend: Backend, sock: socket.socket) -> None:
        self._relay = relay
        self._backend = backend
        self.sock = sock
        self.connecting = False
        self.ended = False
        """Nothing more is read from it."""
        self.told = False
        """It was told that nothing more comes."""
        self.deaf = False
        """Nothing more can be written to it."""
        self._unsent = memoryview(b"")
        self._muted = False
        """It hung up while it may not be read."""
        self._watched: int | None = None
        """What epoll waits for; None while it does not know this end."""

    @property
    def finished(self) -> bool:
        """Whether all that was for it is done with."""
        return self.peer.ended and (self.told or self.deaf)

    @property
    def _full(self) -> bool:
        """Whether it takes nothing more for now."""
        return self.connecting or bool(self._unsent)

    @property
    def _readable(self) -> bool:
        return not self.ended and not self.peer._full

    def pass_on_end(self) -> None:
        if self.peer.ended and not (self._full or self.told or self.deaf):
            self.told = True
            try:
                self.sock.shutdown(socket.SHUT_WR)
            except OSError:
                self.deaf = True

    def watch(self) -> None:
        events = (READ if self._readable else 0) | (WRITE if self._full else 0)
        if events:
            self._muted = False
        wanted = None if self._muted else events
        if wanted == self._watched:
            return
        if wanted is None:
            self._backend.loop.unwatch(self.sock.fileno())
        elif self._watched is None:
            self._backend.loop.watch(self.sock.fileno(), wanted, self._ready)
        else:
            self._backend.loop.change(self.sock.fileno(), wanted)
        self._watched = wanted

    def unwatch(self) -> None:
        if self._watched is not None:
            self._backend.loop.unwatch(self.sock.fileno())
            self._watched = None

    def _ready(self, events: int) -> None:
        if self.connecting and not self._connected():
            self._relay.close(reset=True)
            return
        if events & ~WRITE:
            if self._readable:
                self._read()
            elif self.ended and not self.told:
                self._lose()  # it had sent its FIN: only a reset can follow
            else:
                self._muted = True
        if events & WRITE and self._unsent:
            self._send(self._unsent)
        self._relay.update()

    def _connected(self) -> bool:
        self.connecting = False
        return not self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def _read(self) -> None:
        try:
            size = self.sock.recv_into(self._backend.buffer)
        except BlockingIOError:
            return
        except OSError:
            self.ended = True
            self._lose()
            return
        if size:
            self.peer._send(self._backend.buffer[:size])
        else:
            self.ended = True

    def _send(self, data: memoryview) -> None:
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lose()
            return
        rest = data[sent:]
        if rest and data.obj is self._backend.buffer.obj:
            rest = memoryview(bytes(rest))  # the buffer is everybody's
        self._unsent = rest

    def _lose(self) -> None:
        """It was reset: what is for it is dropped. What it sent before may still be read."""
        self.deaf = True
        self._unsent = memoryview(b"")
        self.peer.ended = True
