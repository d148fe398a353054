"""How many connections and streams are served: as many as leave the daemon descriptors for its own work.

Whatever the daemon does needs descriptors: the store, netlink, pipes to the runtime. Clients must not use
them up, so a part of what the process may open (RLIMIT_NOFILE) is kept from them: an eighth from all, a
quarter from streams, which need up to six each (exec) and last, half from connections over TCP, which have
still to show a certificate. Too many are refused with 503, and all others go on.

Counting what each client uses was rejected: the kernel gives the lowest free number, so the next number tells
how many are in use, whoever uses them.
"""

import os
import resource
import sys
from dataclasses import dataclass

from fairway.model.errors import Unavailable


@dataclass(frozen=True)
class Budget:
    """Numbers of descriptors from which on nothing more is served, of ``limit`` that there can be."""

    limit: int

    @property
    def connections(self) -> int:
        return self.limit - self.limit // 8

    @property
    def streams(self) -> int:
        return self.limit - self.limit // 4

    @property
    def network(self) -> int:
        return self.limit // 2

    def check_stream(self, connection: int) -> None:
        """Raises Unavailable when one more stream is too many; ``connection`` is any open descriptor."""
        following = os.dup(connection)
        os.close(following)
        if following >= self.streams:
            raise Unavailable(
                f"too many streams: the daemon has {following} of {self.limit} files open and keeps the rest "
                "for other work; end some (attach, exec, logs, events, stats), or raise the LimitNOFILE= of "
                "its service"
            )


def budget() -> Budget:
    """That of this process."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Budget(sys.maxsize if soft == resource.RLIM_INFINITY else soft)
