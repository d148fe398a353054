"""What all held ports share."""

import socket
import struct
from contextlib import suppress

from fairway.companion.loop import Loop

CHUNK = 1 << 16
"""Bytes moved at once; what one direction of a connection may keep while its reader is slow."""
SPARE = 256
"""Descriptors kept free of held ports and of proxied traffic, each, so that the daemon is always heard."""
PROXIED_PART = 4
"""Proxied traffic has at most one of so many parts of the descriptors: whoever opens connections, and any
user of the host may, does not keep ports from being held."""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER (``struct linger``: on, 0 seconds): closing tells the other end that the connection broke off."""
PAUSE = 0.5
"""Seconds without accepting after descriptors ran out."""


class Backend:
    """The loop, a buffer that all reads go through, and the books of descriptors and of own connections."""

    def __init__(self, loop: Loop, descriptors: int) -> None:
        """``descriptors``: how many this process may have open."""
        self.loop = loop
        self.buffer = memoryview(bytearray(CHUNK))
        self.limit = descriptors
        self.listening = 0
        """Sockets of held ports."""
        self.proxying = 0
        """Sockets of clients and to containers."""
        self._spare = min(SPARE, descriptors // 8)
        self._names: dict[socket.socket, tuple[str, int]] = {}
        self._own: set[tuple[str, int]] = set()
        """Addresses and ports of our ends of connections to containers."""

    def holds_more(self) -> bool:
        """Whether another port can be held."""
        return self.listening + self.proxying < self.limit - 2 * self._spare

    def carries_more(self) -> bool:
        """Whether there are descriptors for another connection."""
        left = self.limit - self._spare - self.listening
        return self.proxying + 2 < min(left, self.limit // PROXIED_PART)

    def dial(self, protocol: str, target: str, port: int) -> socket.socket:
        """A socket that is being connected to a container, TCP or UDP. Raises OSError."""
        family = socket.AF_INET6 if ":" in target else socket.AF_INET
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        sock = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            with suppress(BlockingIOError):
                sock.connect((target, port))
            name = sock.getsockname()[:2]
        except OSError:
            sock.close()
            raise
        self._names[sock] = name
        self._own.add(name)
        self.proxying += 1
        return sock

    def hang_up(self, sock: socket.socket) -> None:
        """Close what ``dial`` made."""
        self._own.discard(self._names.pop(sock))
        sock.close()
        self.proxying -= 1

    def is_own(self, client: tuple[str, int]) -> bool:
        """Whether it comes from ourselves: a target that leads back here would go round for ever."""
        return (client[0].removeprefix("::ffff:"), client[1]) in self._own
