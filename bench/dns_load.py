"""A load of DNS queries over UDP: several under way, as little work between them as Python allows.

On two cores client and server have one each, so the rate is the server's as long as the server is slower
than this loop.
"""

import contextlib
import socket
import struct
import time
from collections.abc import Sequence

WINDOW = 64
"""Queries under way."""
PATIENCE = 0.5
"""Seconds without any answer after which the whole window is taken to be lost and sent again."""
TYPE_A = 1


def query(name: str, number: int = 7) -> bytes:
    """A recursive query for the name's IPv4 addresses (RFC 1035 §4)."""
    question = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + question + struct.pack("!xHH", TYPE_A, 1)


def rate(client: socket.socket, names: Sequence[str], seconds: float, window: int = WINDOW) -> float:
    """Answers per second on a connected socket. Raises AssertionError when an answer holds no address."""
    packets = [query(name, i) for i, name in enumerate(names)]
    packets *= -(-window // len(packets))
    client.settimeout(PATIENCE)
    _first(client, packets[0])
    answered, begin = 0, time.perf_counter()
    _fill(client, packets[:window])
    while time.perf_counter() - begin < seconds:
        with contextlib.suppress(TimeoutError):
            for packet in packets:
                client.recv(512)
                client.send(packet)
                answered += 1
            continue
        _fill(client, packets[:window])
    return answered / (time.perf_counter() - begin)


def _first(client: socket.socket, packet: bytes) -> None:
    """One query whose answer is looked at: what is measured must be a hit."""
    client.send(packet)
    answer = client.recv(512)
    code, answers = answer[3] & 15, struct.unpack_from("!H", answer, 6)[0]
    assert not code and answers, f"the resolver does not know the name: code {code}, {answers} answers"


def _fill(client: socket.socket, packets: Sequence[bytes]) -> None:
    for packet in packets:
        client.send(packet)
