"""The daemon's side of the port holder: two clients of its control socket.

``PortLine`` is the kernel worker's, blocking: it holds and releases. ``HolderClient`` is the event loop's: it
notices when the holder has ended, so that all ports are held again by another one.
"""

import socket
from collections.abc import Callable, Sequence

from fairway.companion.client import Client
from fairway.companion.launch import Companion
from fairway.companion.line import Line
from fairway.model.hold import Held, Hold
from fairway.ports import messages
from fairway.ports.messages import VERSION, Response


def companion(socket: str, state: str) -> Companion:
    """``socket``: path of the control socket, in a directory that exists; ``state``: see ``Companion``."""
    return Companion("port holder", "fairway.ports.holder", VERSION, socket, state)


class HolderClient(Client[Response]):
    def __init__(self, holder: Companion, on_exit: Callable[[], None] | None = None) -> None:
        super().__init__(holder, messages.decode_response, on_exit)

    async def held(self) -> Sequence[Hold]:
        response = await self.ask(messages.List())
        assert isinstance(response, messages.Holds)
        return response.holds


class PortLine(Line[Response]):
    """Implements ``kernel.holding.PortHolder``."""

    def __init__(self, holder: Companion) -> None:
        super().__init__(holder, messages.decode_response)

    def change(self, release: Sequence[Hold], hold: Sequence[Hold]) -> Sequence[Held]:
        """Release, then hold; the outcomes in this order. Raises System."""
        response = self.ask(messages.Change(tuple(release), tuple(hold)))
        assert isinstance(response, messages.Changed)
        return response.outcomes

    def keep(self, owner: socket.socket | None) -> None:
        """Have the holder keep a socket open instead of the one before, and close it here.

        Raises System.
        """
        self.ask(messages.Keep(), *([owner] if owner else []))
        if owner is not None:
            owner.close()

    def held(self) -> Sequence[Hold]:
        """All ports that are held. Raises System."""
        response = self.ask(messages.List())
        assert isinstance(response, messages.Holds)
        return response.holds
