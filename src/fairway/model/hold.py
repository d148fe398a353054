"""Ports of the host that are held for containers, as the port holder and those who ask it speak of them."""

import errno
from typing import NamedTuple

_REASONS = {
    errno.EACCES: "permission denied",
    errno.EADDRINUSE: "address already in use",
    errno.EADDRNOTAVAIL: "cannot assign requested address",
    errno.EAFNOSUPPORT: "address family not supported by protocol",
    errno.EINVAL: "invalid argument",
    errno.ENODEV: "no such device",
    errno.ENOMEM: "cannot allocate memory",
    errno.EPERM: "operation not permitted",
}
"""As Go's ``syscall`` package words them."""


class Hold(NamedTuple):
    """A port of the host to listen on, and where the connections go that arrive there."""

    protocol: str
    address: str
    """Empty for all addresses of both families, else ``0.0.0.0``, ``::`` or one."""
    port: int
    target: str
    target_port: int

    @property
    def key(self) -> tuple[str, str, int]:
        """What only one can hold."""
        return self[:3]


class Held(NamedTuple):
    """What became of one wish to hold or to release a port."""

    changed: bool
    """False: it was so already, or it could not be."""
    error: int = 0
    """Why it could not be (errno)."""
    text: str = ""
    """The same in words."""


CHANGED, UNCHANGED = Held(True), Held(False)


def refused(protocol: str, address: str, port: int, error: int) -> Held:
    """That a port cannot be listened on, worded as Go words it: Docker's clients look for these texts."""
    family = 6 if ":" in address else 4
    place = f"[{address}]:{port}" if family == 6 else f"{address or '0.0.0.0'}:{port}"
    reason = _REASONS.get(error, errno.errorcode.get(error, str(error)))
    return Held(False, error, f"listen {protocol}{family} {place}: bind: {reason}")


def in_use(hold: Hold, address: str = "") -> Held:
    """That somebody else listens there."""
    return refused(hold.protocol, address or hold.address, hold.port, errno.EADDRINUSE)
