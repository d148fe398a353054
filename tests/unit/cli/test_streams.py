"""Multiplexed streams and detach keys, cut at every possible place."""

import pytest

from fairway.cli.detach import DetachKeys, parse_keys
from fairway.cli.stdio import Demultiplexer
from fairway.model.errors import InvalidParameter


def frame(number: int, data: bytes) -> bytes:
    return bytes([number, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 100])
def test_frames_are_found_however_they_arrive(size: int) -> None:
    wire = frame(1, b"out") + frame(2, b"err") + frame(1, b"") + frame(1, b"more")
    frames = Demultiplexer()
    found = [pair for at in range(0, len(wire), size) for pair in frames.feed(wire[at : at + size])]
    assert found == [(1, b"out"), (2, b"err"), (1, b""), (1, b"more")]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("a", b"a"),
        ("ctrl-@,ctrl-[,ctrl-_", b"\x00\x1b\x1f"),
        ("ctrl-a,x", b"\x01x"),
    ],
)
def test_key_names(text: str, keys: bytes) -> None:
    assert parse_keys(text) == keys


@pytest.mark.parametrize("text", ["foo", "ctrl-", "ctrl-!", ""])
def test_wrong_key_names(text: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid detach keys"):
        parse_keys(text)


@pytest.mark.parametrize("size", [1, 2, 3, 9])
@pytest.mark.parametrize(
    ("typed", "through", "detached"),
    [
        (b"ab", b"ab", False),
        (b"a\x10\x11b", b"a", True),
        (b"\x10x", b"\x10x", False),
        (b"\x10\x10\x11", b"\x10", True),
        (b"x\x11\x10", b"x\x11", False),
    ],
)
def test_the_sequence_is_found(size: int, typed: bytes, through: bytes, detached: bool) -> None:
    keys, sent, found = DetachKeys(b"\x10\x11"), b"", False
    for at in range(0, len(typed), size):
        part, found = keys.feed(typed[at : at + size])
        sent += part
        if found:
            break
    assert (sent, found) == (through, detached)


def test_a_sequence_of_one_key() -> None:
    assert DetachKeys(b"q").feed(b"abqc") == (b"ab", True)
