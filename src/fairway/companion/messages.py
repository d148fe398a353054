"""What every companion understands, and how messages travel: one request, one reply, in order.

A message is four bytes of length, big endian, and that many bytes of MessagePack. Descriptors come as
SCM_RIGHTS with a message's first byte. A companion outlives the daemon, and so its version: a client says
``Hello`` first, and replaces a companion that speaks another version (``Hello`` and ``Shutdown`` keep their
forms for ever).
"""

import struct
from typing import TypeVar

import msgspec

from fairway.model.errors import InvalidParameter

Response = TypeVar("Response")

PREFIX = struct.Struct("!I")


class Hello(msgspec.Struct, frozen=True, tag=True):
    """Answered by ``Hello`` with the companion's version."""

    version: int


class Shutdown(msgspec.Struct, frozen=True, tag=True):
    """Answered by the end of the connection."""


class Done(msgspec.Struct, frozen=True, tag=True):
    pass


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The request was refused and changed nothing."""

    message: str


encode = msgspec.msgpack.Encoder().encode
decode_hello = msgspec.msgpack.Decoder(Hello).decode


def frame(message: msgspec.Struct) -> bytes:
    """The message with its length before it."""
    body = encode(message)
    return PREFIX.pack(len(body)) + body


def checked(response: Response) -> Response:
    """The response. Raises InvalidParameter if the companion refused."""
    if isinstance(response, Failed):
        raise InvalidParameter(response.message)
    return response
