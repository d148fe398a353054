"""What daemon and resolver say to one another: one request, one reply, in order, over a unix stream socket.

A message is four bytes of length, big endian, and that many bytes of MessagePack. ``Open`` carries two
descriptors as SCM_RIGHTS with its first byte. The resolver outlives the daemon, and so its version: a client
says ``Hello`` first, and replaces a resolver that speaks another version (``Shutdown`` keeps its form for
ever).
"""

import struct

import msgspec

from fairway.model.dns import NetworkNames, Zone

VERSION = 1

PREFIX = struct.Struct("!I")


class Hello(msgspec.Struct, frozen=True, tag=True):
    """Answered by ``Hello`` with the resolver's version."""

    version: int = VERSION


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


class Shutdown(msgspec.Struct, frozen=True, tag=True):
    pass


Request = Hello | Publish | Withdraw | Open | Close | List | Shutdown


class Done(msgspec.Struct, frozen=True, tag=True):
    pass


class Sandboxes(msgspec.Struct, frozen=True, tag=True):
    zones: tuple[str, ...]
    """Sandboxes that have a zone."""
    sockets: tuple[str, ...]
    """Sandboxes that have sockets."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The request was refused and changed nothing."""

    message: str


Response = Hello | Done | Sandboxes | Failed

encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(Request).decode
decode_response = msgspec.msgpack.Decoder(Response).decode


def frame(message: Request | Response) -> bytes:
    """The message with its length before it."""
    body = encode(message)
    return PREFIX.pack(len(body)) + body
