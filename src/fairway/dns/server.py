"""The resolver process: ``python -m fairway.dns.server``; options are in ``companion.process``, and

--resolv-conf PATH    the host's, /etc/resolv.conf unless told otherwise
"""

import socket
import sys
from collections.abc import Mapping

import msgspec

from fairway.companion import process
from fairway.companion.control import Control
from fairway.companion.loop import Loop
from fairway.companion.messages import Done
from fairway.dns import messages
from fairway.dns.directory import Directory
from fairway.dns.forward import Forwarder
from fairway.dns.listener import Backend, Listener
from fairway.dns.messages import Request
from fairway.dns.upstreams import HostServers
from fairway.model.errors import InvalidParameter

DESCRIPTORS_PER_QUESTION = 4
"""Of a forwarded question: a UDP socket for each of three servers, and one over TCP."""


class Resolver:
    """All sandboxes, and the control socket through which they come and go."""

    def __init__(self, loop: Loop, control: socket.socket, options: Mapping[str, str]) -> None:
        """Half of the descriptors that this process may have open are for forwarding."""
        descriptors = process.raise_descriptor_limit()
        self._directory = Directory()
        self._listeners: dict[str, Listener] = {}
        self._backend = Backend(
            loop,
            self._directory,
            HostServers(options.get("resolv-conf") or "/etc/resolv.conf", loop.now),
            Forwarder(loop, descriptors // 2 // DESCRIPTORS_PER_QUESTION),
        )
        Control(loop, control, messages.VERSION, messages.decode_request, self.handle)

    def handle(self, request: Request, sockets: list[socket.socket]) -> msgspec.Struct:
        """Do what is asked; ``sockets`` are those that came with it. Raises Fault."""
        match request:
            case messages.Publish(networks, zones):
                self._directory.publish(networks, zones)
            case messages.Withdraw(sandbox):
                self._directory.withdraw(sandbox)
            case messages.Open(sandbox):
                self._open(sandbox, sockets)
            case messages.Close(sandbox):
                self._close(sandbox)
            case messages.List():
                return messages.Sandboxes(tuple(self._directory.sandboxes()), tuple(self._listeners))
        return Done()

    def _open(self, sandbox: str, sockets: list[socket.socket]) -> None:
        kinds = [sock.type for sock in sockets]
        if kinds != [socket.SOCK_DGRAM, socket.SOCK_STREAM]:
            raise InvalidParameter(f"sandbox {sandbox}: expected a UDP and a TCP socket")
        self._close(sandbox)
        self._listeners[sandbox] = Listener(sandbox, sockets[0], sockets[1], self._backend)
        sockets.clear()

    def _close(self, sandbox: str) -> None:
        listener = self._listeners.pop(sandbox, None)
        if listener is not None:
            listener.close()


if __name__ == "__main__":
    sys.exit(process.main("resolver", "fairway-dns", Resolver, sys.argv[1:]))
