"""A held UDP port: each client has a flow of its own to the container, until there is no answer for a while.

Answers leave from the address that the client asked, see ``sockets``.
"""

import socket
import struct
from contextlib import suppress
from typing import Any

from fairway.companion.loop import READ, Timer
from fairway.model.hold import Hold
from fairway.ports.backend import Backend
from fairway.ports.sockets import IP_PKTINFO

BATCH = 64
"""Datagrams taken before others have their turn."""
IDLE = 90.0
"""Seconds without an answer after which a flow is forgotten, as dockerd's proxy does."""
MAX_FLOWS = 1024
"""Of one port. The one that waited longest for an answer makes room: senders may be forged."""

_ANCILLARY = socket.CMSG_SPACE(20)
"""Bytes of ``struct in6_pktinfo``, the larger one."""

Control = tuple[int, int, bytes]
"""An ancillary message: level, type, data."""


class UdpPort:
    """Owns the bound socket."""

    __slots__ = ("_backend", "_flows", "_sock", "hold")

    def __init__(self, hold: Hold, sock: socket.socket, backend: Backend) -> None:
        self.hold = hold
        self._sock = sock
        self._backend = backend
        self._flows: dict[Any, _Flow] | None = None  # by client; most ports never have one
        backend.loop.watch(sock.fileno(), READ, self._receive)

    def retarget(self, hold: Hold) -> None:
        """Lead datagrams elsewhere."""
        if (hold.target, hold.target_port) != (self.hold.target, self.hold.target_port):
            self._forget_all()
        self.hold = hold

    def close(self) -> None:
        self._backend.loop.unwatch(self._sock.fileno())
        self._sock.close()
        self._forget_all()

    def answer(self, flow: "_Flow", data: memoryview) -> None:
        """Send what the container sent, and keep the flow."""
        assert self._flows is not None
        self._flows[flow.client] = self._flows.pop(flow.client)
        with suppress(OSError):  # a full buffer or a client that cannot be reached: as lost as any datagram
            self._sock.sendmsg([data], flow.origin, 0, flow.client)

    def forget(self, flow: "_Flow") -> None:
        assert self._flows is not None
        del self._flows[flow.client]
        flow.close()

    def _forget_all(self) -> None:
        for flow in tuple((self._flows or {}).values()):
            self.forget(flow)

    def _receive(self, _events: int) -> None:
        buffer = self._backend.buffer
        for _ in range(BATCH):
            try:
                size, control, _, client = self._sock.recvmsg_into([buffer], _ANCILLARY)
            except OSError:
                return  # drained
            flow = (self._flows or {}).get(client) or self._begin(client, control)
            if flow is not None:
                flow.send(buffer[:size])

    def _begin(self, client: Any, control: list[Control]) -> "_Flow | None":
        """A flow for a client that has none; None if there cannot be one."""
        if self._backend.is_own(client):
            return None
        if self._flows is None:
            self._flows = {}
        if len(self._flows) >= MAX_FLOWS or (self._flows and not self._backend.carries_more()):
            self.forget(next(iter(self._flows.values())))
        if not self._backend.carries_more():
            return None
        try:
            sock = self._backend.dial("udp", self.hold.target, self.hold.target_port)
        except OSError:  # no route
            return None
        self._flows[client] = flow = _Flow(self, self._backend, sock, client, _reversed(control))
        return flow


class _Flow:
    __slots__ = ("_backend", "_last", "_port", "_sock", "_timer", "client", "origin")

    def __init__(
        self, port: UdpPort, backend: Backend, sock: socket.socket, client: Any, origin: list[Control]
    ) -> None:
        """``origin`` makes answers leave from the address that the client asked."""
        self._port = port
        self._backend = backend
        self._sock = sock
        self.client = client
        self.origin = origin
        self._last = backend.loop.now()
        self._timer: Timer = backend.loop.call_at(self._last + IDLE, self._check)
        backend.loop.watch(sock.fileno(), READ, self._receive)

    def send(self, data: memoryview) -> None:
        # Refused by an earlier datagram's ICMP error, or lost: clients of UDP expect as much.
        with suppress(OSError):
            self._sock.send(data)

    def close(self) -> None:
        self._timer.cancel()
        self._backend.loop.unwatch(self._sock.fileno())
        self._backend.hang_up(self._sock)

    def _receive(self, _events: int) -> None:
        buffer = self._backend.buffer
        for _ in range(BATCH):
            try:
                size = self._sock.recv_into(buffer)
            except BlockingIOError:
                return
            except OSError:
                continue  # nobody listens there, at the moment; reading has cleared the error
            self._last = self._backend.loop.now()
            self._port.answer(self, buffer[:size])

    def _check(self) -> None:
        if self._backend.loop.now() - self._last >= IDLE:
            self._port.forget(self)
        else:
            self._timer = self._backend.loop.call_at(self._last + IDLE, self._check)


def _reversed(control: list[Control]) -> list[Control]:
    """The address that a datagram was sent to, as the one that answers leave from (ip(7), ipv6(7)).

    The interface is left to the routes, but for link-local addresses, which mean nothing without it.
    """
    for level, kind, data in control:
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
            _, local, _ = struct.unpack("=I4s4s", data[:12])
            return [(level, kind, struct.pack("=I4s4s", 0, local, bytes(4)))]
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            address, index = struct.unpack("=16sI", data[:20])
            local = address[:1] == b"\xfe" and address[1] & 0xC0 == 0x80
            return [(level, kind, struct.pack("=16sI", address, index if local else 0))]
    return []
