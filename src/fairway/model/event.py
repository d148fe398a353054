"""Events as ``GET /events`` reports them."""

from typing import Literal

import msgspec

EventType = Literal["container", "image", "network", "volume", "daemon"]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    type: EventType
    action: str
    id: str
    """Container, network or image id; volume name."""
    attributes: dict[str, str]
    time: int
    """Nanoseconds since the epoch."""
    scope: str = "local"
