"""What is programmed for a network, a container, or the host as a whole, in words."""

from typing import Literal

import msgspec

Form = Literal["list", "commands", "save"]
"""How iptables' notation is laid out: ``-L``, ``-S``, or as ``iptables-save`` prints it."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happens to packets. ``origin`` and ``to`` are interfaces, addresses, or ports."""

    kind: Literal["network", "container", "host"]
    id: str = ""
    name: str = ""
    """Of the network or container; empty for the host."""
    rule: str
    origin: str
    to: str
    verdict: str
    packets: int | None = None
    """None where the kernel does not count this alone."""
    bytes: int | None = None
