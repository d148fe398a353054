"""The rows that a store keeps: kind, id, and the object."""

from typing import Literal

import msgspec

Kind = Literal["network", "container", "endpoint", "sandbox", "volume", "meta"]


class Put(msgspec.Struct, frozen=True):
    """Insert or replace one object; ``data`` is its JSON."""

    kind: Kind
    id: str
    data: bytes


class Delete(msgspec.Struct, frozen=True):
    """Remove one object; removing what is not there is no error."""

    kind: Kind
    id: str


Change = Put | Delete
