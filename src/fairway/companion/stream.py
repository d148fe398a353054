"""Length-prefixed messages over a stream socket: DNS over TCP (RFC 1035 section 4.2.2) and control.

Incoming messages are handed on as they complete, so requests can be pipelined. A peer that does not read its
replies is not read from either: what is kept for it stays bounded.
"""

import socket
import struct
from collections.abc import Callable

from fairway.companion.loop import READ, WRITE, Loop

HIGH_WATER = 1 << 18
"""Bytes of unsent replies above which no more requests are read."""

_CHUNK = 1 << 14


class Stream:
    """One connection, non-blocking. After ``closed`` was called nothing else is."""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        prefix: struct.Struct,
        *,
        received: Callable[[bytes], None],
        ended: Callable[[], None],
        closed: Callable[[], None],
        connecting: bool = False,
    ) -> None:
        """``ended``: the peer sends no more but may still read. ``closed``: the socket is gone."""
        self._loop = loop
        self._sock = sock
        self._prefix = prefix
        self._received = received
        self._ended = ended
        self._closed = closed
        self._in = bytearray()
        self._out = bytearray()
        self._events = 0
        self._connecting = connecting
        self._reading = True
        self._finishing = False
        self.open = True
        loop.watch(sock.fileno(), 0, self._ready)
        self._update()

    def send(self, message: bytes) -> None:
        """Send one message, or close if the peer is gone."""
        if not self.open:
            return
        self._out += self._prefix.pack(len(message)) + message
        if not self._connecting:
            self._flush()

    def finish(self) -> None:
        """Close once everything is sent."""
        self._finishing = True
        if self.open and not self._out:
            self.close()

    def close(self) -> None:
        if self.open:
            self.open = False
            self._loop.unwatch(self._sock.fileno())
            self._sock.close()
            self._closed()

    def _ready(self, events: int) -> None:
        if events & ~(READ | WRITE) and not events & READ:
            self.close()
            return
        if events & WRITE:
            self._connecting = False
            self._flush()
        if events & READ and self.open:
            self._read()

    def _read(self) -> None:
        try:
            data = self._receive(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not data:
            self._reading = False
            self._update()
            self._ended()
            return
        self._in += data
        self._deliver()
        self._update()

    def _receive(self, size: int) -> bytes:
        return self._sock.recv(size)

    def _deliver(self) -> None:
        """Hand on every complete message; what is left is the start of the next."""
        at, size = 0, self._prefix.size
        while self.open and len(self._in) >= at + size:
            (length,) = self._prefix.unpack_from(self._in, at)
            end = at + size + length
            if len(self._in) < end:
                break
            message = bytes(memoryview(self._in)[at + size : end])
            at = end
            self._received(message)
        del self._in[:at]

    def _flush(self) -> None:
        try:
            del self._out[: self._sock.send(self._out)]
        except BlockingIOError:
            pass  # the rest goes when the socket is writable
        except OSError:
            self.close()
            return
        if self._finishing and not self._out:
            self.close()
        else:
            self._update()

    def _update(self) -> None:
        """Tell epoll what we are waiting for now."""
        if not self.open:
            return
        events = READ if self._reading and len(self._out) < HIGH_WATER else 0
        if self._out or self._connecting:
            events |= WRITE
        if events != self._events:
            self._events = events
            self._loop.change(self._sock.fileno(), events)
