"""The daemon's side of the resolver: two clients of its control socket.

``ResolverClient`` is the engine's, asynchronous: names and zones. ``SocketHandover`` is the kernel worker's,
blocking: the sockets of sandboxes. They share nothing but the process, so neither waits for the other.

Both start the resolver when there is none. Whoever finds that it died (``on_exit``) publishes all zones again
and has all sockets opened again.
"""

import socket
from collections.abc import Callable, Sequence

from fairway.companion.client import Client
from fairway.companion.line import Line
from fairway.dns import messages
from fairway.dns.launch import Location
from fairway.dns.messages import Response
from fairway.model.dns import NetworkNames, Zone


class ResolverClient(Client[Response]):
    """Publishes names; implements the engine's ``Resolver``."""

    def __init__(self, location: Location, on_exit: Callable[[], None] | None = None) -> None:
        super().__init__(location.companion(), messages.decode_response, on_exit)

    async def publish(self, networks: Sequence[NetworkNames], zones: Sequence[Zone]) -> None:
        """Swap tables and zones, all at once. Raises InvalidParameter if an upstream is no address."""
        await self.ask(messages.Publish(tuple(networks), tuple(zones)))

    async def withdraw(self, sandbox: str) -> None:
        """Forget the sandbox's zone. Its sockets stay until the kernel worker closes them."""
        await self.ask(messages.Withdraw(sandbox))

    async def sandboxes(self) -> frozenset[str]:
        """Sandboxes that have a zone or sockets."""
        response = await self.ask(messages.List())
        assert isinstance(response, messages.Sandboxes)
        return frozenset(response.zones + response.sockets)


class SocketHandover(Line[Response]):
    """Gives sandboxes' sockets to the resolver."""

    def __init__(self, location: Location) -> None:
        super().__init__(location.companion(), messages.decode_response)

    def open(self, sandbox: str, udp: socket.socket, tcp: socket.socket) -> None:
        """Have the resolver serve the sandbox on these, replacing those it had.

        ``udp`` is bound and ``tcp`` listens, both inside the sandbox. The resolver has its own descriptors
        afterwards, and these are closed; after an exception they are still the caller's. The resolver's keep
        the namespace alive until ``close``.
        """
        self.ask(messages.Open(sandbox), udp, tcp)
        udp.close()
        tcp.close()

    def close(self, sandbox: str) -> None:
        """Have the sandbox's sockets closed; no error if there are none."""
        self.ask(messages.Close(sandbox))

    def sandboxes(self) -> frozenset[str]:
        """Sandboxes that have sockets."""
        response = self.ask(messages.List())
        assert isinstance(response, messages.Sandboxes)
        return frozenset(response.sockets)
