"""A companion's end of the control socket: requests in, responses out, for any number of callers."""

import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

import msgspec

from fairway.companion import messages
from fairway.companion.loop import READ, Loop
from fairway.companion.stream import Stream
from fairway.model.errors import Fault

Request = TypeVar("Request")


class Control(Generic[Request]):
    """Accepts callers. ``Hello`` and ``Shutdown`` are answered here, all else by the companion."""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        version: int,
        decode: Callable[[bytes], Request],
        handle: Callable[[Request, list[socket.socket]], msgspec.Struct],
    ) -> None:
        """``handle`` does what is asked, given the sockets that came along; those it keeps it takes out of
        the list. Raises Fault.
        """
        self._loop = loop
        self._sock = sock
        self._version = version
        self._decode = decode
        self._handle = handle
        loop.watch(sock.fileno(), READ, self._accept)

    def _accept(self, _events: int) -> None:
        # The caller is gone again, or descriptors ran out: then it waits until there are some.
        with suppress(OSError):
            sock, _ = self._sock.accept()
            sock.setblocking(False)
            _Caller(self._loop, sock, self.answer)

    def answer(self, message: bytes, sockets: list[socket.socket]) -> bytes:
        """The response to one request."""
        try:
            request = self._decode(message)
            match request:
                case messages.Hello():
                    return messages.encode(messages.Hello(self._version))
                case messages.Shutdown():
                    self._loop.stop()
                    return messages.encode(messages.Done())
            return messages.encode(self._handle(request, sockets))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return messages.encode(messages.Failed(f"malformed request: {error}"))
        except Fault as fault:
            return messages.encode(messages.Failed(fault.message))
        except Exception:  # noqa: BLE001  a defect in one request must not end the service of all sandboxes
            sys.excepthook(*sys.exc_info())
            return messages.encode(messages.Failed("internal error, see the companion's log"))


class _Caller(Stream):
    """A control connection; its descriptors belong to the request that they came with."""

    def __init__(
        self, loop: Loop, sock: socket.socket, answer: Callable[[bytes, list[socket.socket]], bytes]
    ) -> None:
        self._answer = answer
        self._sockets: list[socket.socket] = []
        super().__init__(
            loop, sock, messages.PREFIX, received=self._request, ended=self.finish, closed=self._drop
        )

    def _receive(self, size: int) -> bytes:
        data, descriptors, _, _ = socket.recv_fds(self._sock, size, 8, socket.MSG_CMSG_CLOEXEC)
        for at, descriptor in enumerate(descriptors):
            try:
                self._sockets.append(socket.socket(fileno=descriptor))
            except OSError:  # a descriptor of something else: this caller is none of ours
                for other in descriptors[at:]:
                    os.close(other)
                raise
        return data

    def _request(self, message: bytes) -> None:
        response = self._answer(message, self._sockets)
        self._drop()
        self.send(response)

    def _drop(self) -> None:
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()
