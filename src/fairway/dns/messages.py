"""What daemon and resolver say to one another (see ``companion.messages``)."""

import msgspec

from fairway.companion.messages import Done, Failed, Hello, Shutdown
from fairway.model.dns import NetworkNames, Zone

VERSION = 1


class Publish(msgspec.Struct, frozen=True, tag=True):
    networks: tuple[NetworkNames, ...]
    zones: tuple[Zone, ...]


class Withdraw(msgspec.Struct, frozen=True, tag=True):
    sandbox: str


class Open(msgspec.Struct, frozen=True, tag=True):
    """With it come the bound UDP socket and the listening TCP socket of the sandbox, in this order."""

    sandbox: str


class Close(msgspec.Struct, frozen=True, tag=True):
    sandbox: str


class List(msgspec.Struct, frozen=True, tag=True):
    """Answered by ``Sandboxes``."""


Request = Hello | Publish | Withdraw | Open | Close | List | Shutdown


class Sandboxes(msgspec.Struct, frozen=True, tag=True):
    zones: tuple[str, ...]
    """Sandboxes that have a zone."""
    sockets: tuple[str, ...]
    """Sandboxes that have sockets."""


Response = Hello | Done | Sandboxes | Failed

decode_request = msgspec.msgpack.Decoder(Request).decode
decode_response = msgspec.msgpack.Decoder(Response).decode
