"""The netlink wire (RFC 3549, linux/netlink.h): messages, attributes, and a socket that sends many at once.

A plan's steps become messages; as many as possible leave in one ``send``. The kernel works through all of
them before ``send`` returns, so a batch is done even if this process is killed right after. Every message
asks for an acknowledgement, and extended acknowledgements carry the kernel's own words for what is wrong.

Rejected: pyroute2 on this path. It needs 3–9 ms for an attach that takes 2 ms here, forks to work inside a
namespace, and its synchronous calls raise inside a running event loop. The tests decode what is encoded here
with pyroute2's decoder.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP_INTR = 0x10
NLM_F_DUMP = 0x300
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_CAPPED = 0x100
NLM_F_ACK_TLVS = 0x200
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLMSGERR_ATTR_MSG = 1
NLA_F_NESTED = 0x8000
NLA_TYPE_MASK = 0x3FFF
SOL_NETLINK = 270
NETLINK_NETFILTER = 12
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11
SO_RCVBUFFORCE = 33

BATCH = 64
"""Messages per send. Each acknowledgement takes its place in the receive buffer before we read the first."""
RECEIVE_BUFFER = 4 << 20
DATAGRAM = 1 << 18

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_INT = struct.Struct("=i")


def attribute(kind: int, data: bytes) -> bytes:
    """One attribute: length and type (16 bits each, host order), data, padding to 4 bytes."""
    return _ATTRIBUTE.pack(4 + len(data), kind) + data + bytes(-len(data) % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    return attribute(kind | NLA_F_NESTED, b"".join(attributes))


def u8(kind: int, value: int) -> bytes:
    return attribute(kind, bytes([value]))


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes of a message's tail by type, flags stripped; a repeated one overrides."""
    found: dict[int, bytes] = {}
    at, last = 0, len(data) - 4
    while at <= last:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < 4:
            break
        found[kind & NLA_TYPE_MASK] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def attribute_list(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes in their order, also those of which there are several."""
    at, last = 0, len(data) - 4
    while at <= last:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < 4:
            break
        yield kind & NLA_TYPE_MASK, data[at + 4 : at + length]
        at += (length + 3) & ~3


@dataclass(frozen=True, slots=True)
class Message:
    """A request: type, flags beyond REQUEST and ACK, and the body after the netlink header."""

    kind: int
    flags: int
    body: bytes

    def encode(self, sequence: int) -> bytes:
        flags = self.flags | NLM_F_REQUEST | (0 if self.flags & NLM_F_DUMP == NLM_F_DUMP else NLM_F_ACK)
        data = _HEADER.pack(16 + len(self.body), self.kind, flags, sequence, 0) + self.body
        return data + bytes(-len(data) % 4)


@dataclass(slots=True)
class Answer:
    """What the kernel said to one request: 0 or an errno, its explanation, and the objects asked for."""

    code: int = 0
    reason: str = ""
    objects: list[bytes] = field(default_factory=list)
    interrupted: bool = False

    def __str__(self) -> str:
        words = os.strerror(self.code)
        return f"{words} ({self.reason})" if self.reason else words


def packets(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(type, flags, sequence, body) of each message in a datagram."""
    while len(data) >= 16:
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data)
        yield kind, flags, sequence, data[16:length]
        data = data[(length + 3) & ~3 :]


def envelopes(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(type, port number of the sender, body) of each message that nobody asked for in a datagram.

    The sender is the socket whose request it is about, 0 for the kernel itself.
    """
    while len(data) >= 16:
        length, kind, _, _, sender = _HEADER.unpack_from(data)
        yield kind, sender, data[16:length]
        data = data[(length + 3) & ~3 :]


def read_error(flags: int, body: bytes, answer: Answer) -> None:
    """Fill in an answer from an NLMSG_ERROR body: errno, the request's header, then extended attributes."""
    answer.code = -_INT.unpack_from(body)[0]
    if flags & NLM_F_ACK_TLVS:
        (length,) = struct.unpack_from("=I", body, 4)
        tail = body[20:] if flags & NLM_F_CAPPED else body[4 + ((length + 3) & ~3) :]
        reason = attributes(tail).get(NLMSGERR_ATTR_MSG, b"")
        answer.reason = reason.rstrip(b"\0").decode(errors="replace")


class Channel:
    """A netlink socket in the network namespace of the thread that made it. Used by one thread at a time."""

    def __init__(self, protocol: int = socket.NETLINK_ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._sequence = 0
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
            for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK):
                self._socket.setsockopt(SOL_NETLINK, option, 1)
            self._socket.bind((0, 0))
        except OSError:
            self._socket.close()
            raise
        self.number: int = self._socket.getsockname()[0]
        """The socket's port number, which tells our own requests in events."""

    def exchange(self, messages: Sequence[Message]) -> list[Answer]:
        """Send all, in as few sends as fit, and return their answers in order.

        A message after a failed one is still carried out. Raises OSError only if the socket itself fails.
        """
        answers: list[Answer] = []
        for start in range(0, len(messages), BATCH):
            answers += self._exchange(messages[start : start + BATCH])
        return answers

    def dump(self, message: Message) -> list[bytes]:
        """All objects of one kind. Repeats when the kernel says that they changed meanwhile.

        Raises OSError when the kernel refuses.
        """
        while True:
            (answer,) = self._exchange([message])
            if answer.code:
                raise OSError(answer.code, str(answer))
            if not answer.interrupted:
                return answer.objects

    def close(self) -> None:
        self._socket.close()

    def _exchange(self, messages: Sequence[Message]) -> list[Answer]:
        first = self._sequence + 1
        self._sequence += len(messages)
        answers = [Answer() for _ in messages]
        self._socket.send(b"".join(m.encode(first + i) for i, m in enumerate(messages)))
        waiting = set(range(len(messages)))
        while waiting:
            for kind, flags, sequence, body in packets(self._socket.recv(DATAGRAM)):
                position = sequence - first
                if position not in waiting:
                    continue
                if _take(kind, flags, body, answers[position]):
                    waiting.discard(position)
        return answers


def _take(kind: int, flags: int, body: bytes, answer: Answer) -> bool:
    """Note one reply; whether it was the request's last."""
    answer.interrupted |= bool(flags & NLM_F_DUMP_INTR)
    if kind == NLMSG_ERROR:
        read_error(flags, body, answer)
    elif kind == NLMSG_DONE:
        answer.code = -_INT.unpack_from(body)[0] if len(body) >= 4 else 0
    else:
        answer.objects.append(body)
        return False
    return True


def absent(answer: Answer) -> bool:
    """Whether a deletion failed only because there was nothing to delete."""
    return answer.code in (errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENXIO)


def failed(answers: Iterable[Answer]) -> Answer | None:
    """The first answer that reports an error."""
    return next((a for a in answers if a.code), None)
