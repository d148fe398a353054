"""Bytes between our standard streams and a container's, over an upgraded connection or a log's body.

Without a terminal the daemon multiplexes: frames of ``[stream, 0, 0, 0, size (4 bytes, big endian)]
payload``, stream 1 is standard output, 2 standard error (the API page "Attach to a container", Stream
format). With a terminal there is one raw stream. The end of our input half-closes the connection; its
output still arrives.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from socket import socket

from fairway.api.client import Stream
from fairway.cli.detach import DetachKeys

_STDERR = 2
_HEADER = 8
_READ = 65536


class Demultiplexer:
    """Takes multiplexed bytes as they come, gives back ``(file descriptor, payload)`` pairs."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The payloads that are complete now."""
        self._pending += data
        found = []
        while len(self._pending) >= _HEADER:
            size = int.from_bytes(self._pending[4:_HEADER], "big")
            if len(self._pending) < _HEADER + size:
                break
            number = 2 if self._pending[0] == _STDERR else 1
            found.append((number, bytes(self._pending[_HEADER : _HEADER + size])))
            del self._pending[: _HEADER + size]
        return found


def write_all(number: int, data: bytes) -> None:
    """All of ``data`` to a file descriptor."""
    view = memoryview(data)
    while view:
        view = view[os.write(number, view) :]


def copy_out(chunks: Iterable[bytes], tty: bool) -> None:
    """A log's or an attachment's bytes to our standard output and error."""
    frames = Demultiplexer()
    for chunk in chunks:
        for number, data in [(1, chunk)] if tty else frames.feed(chunk):
            write_all(number, data)


class _Input:
    """Our standard input on its way to the daemon. What the daemon does not take yet is kept, and no more
    is read meanwhile: waiting for it to be taken would never end when the daemon in turn waits for us to
    take output.
    """

    def __init__(self, stream: Stream, keys: DetachKeys | None) -> None:
        self._stream, self._keys = stream, keys
        self._waiting = b""
        self._over = False

    @property
    def wants_read(self) -> bool:
        return not self._over and not self._waiting

    @property
    def wants_write(self) -> bool:
        return bool(self._waiting)

    def read(self) -> bool:
        """One read of our input, sent on; True for the detach keys."""
        try:
            typed = os.read(0, _READ)
        except OSError:
            # A terminal that hung up reads as an error: the end of the input, too.
            typed = b""
        if not typed:
            self._over = True
            self._stream.end_input()
            return False
        detached = False
        if self._keys is not None:
            typed, detached = self._keys.feed(typed)
        self._waiting = typed
        self.write()
        return detached

    def write(self) -> None:
        """Send what waits, as far as it goes."""
        try:
            while self._waiting and (sent := self._stream.send_some(self._waiting)):
                self._waiting = self._waiting[sent:]
        except (BrokenPipeError, ConnectionResetError):
            # The container is gone and takes no more input; what it wrote before is still to be read.
            self._waiting, self._over = b"", True


@contextmanager
def _woken_by_signals() -> Iterator[int]:
    """A file descriptor that is readable when a signal came.

    A signal between the interpreter's last look for one and the call of select would else wait for the next
    byte of output before its handler runs.
    """
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)


def pump(stream: Stream, tty: bool, stdin: bool, keys: DetachKeys | None) -> bool:
    """Copy both ways until the daemon closes its side; True when the user typed the detach keys."""
    given = _Input(stream, keys) if stdin else None
    if given is None:
        stream.end_input()
    with _woken_by_signals() as woken:
        return _copy(stream, tty, given, woken)


def _copy(stream: Stream, tty: bool, given: _Input | None, woken: int) -> bool:
    frames = Demultiplexer()
    while True:
        readers: list[socket | int] = [stream.socket, woken]
        writers: list[socket] = []
        if given and given.wants_read:
            readers.append(0)
        if given and given.wants_write:
            writers.append(stream.socket)
        readable, writable, _ = select.select(readers, writers, [], 0 if stream.pending else None)
        if woken in readable:
            os.read(woken, _READ)
        if stream.pending or stream.socket in readable:
            data = _receive(stream)
            if not data:
                return False
            for number, payload in [(1, data)] if tty else frames.feed(data):
                write_all(number, payload)
        if given and writable:
            given.write()
        if given and 0 in readable and given.read():
            return True


def _receive(stream: Stream) -> bytes:
    """Some bytes; a connection that was reset has ended as well as one that was closed."""
    try:
        return stream.receive()
    except ConnectionResetError:
        return b""
