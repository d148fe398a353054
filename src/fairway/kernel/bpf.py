"""A socket filter in classic BPF (Documentation/networking/filter.rst): what a netlink socket need not hear.

The kernel runs it before it queues a message for us, so what it drops costs no wake-up and no memory. Loads
are big-endian, while netlink is in the host's order: constants are turned round.
"""

import ctypes
import socket
import struct
import sys
from collections.abc import Sequence

SO_ATTACH_FILTER = 26
_LOAD_BYTE, _LOAD_HALF, _LOAD_WORD_AT = 0x30, 0x28, 0x40
_LOAD, _LOAD_INDEX, _TO_INDEX = 0x00, 0x01, 0x07
_JUMP_EQUAL, _JUMP_SET, _RETURN = 0x15, 0x45, 0x06
_FIND_ATTRIBUTE = 0x20, 0xFFFFF000 + 12
"""``ld [SKF_AD_OFF + SKF_AD_NLATTR]``: the offset of the first attribute X from A on, 0 without."""
_INSTRUCTION = struct.Struct("=HBBI")

KEEP, DROP = "keep", "drop"
_ENDS = {KEEP: 0xFFFFFFFF, DROP: 0}

Block = Sequence[tuple[int, int, str, str]]
"""Instructions: code, operand, and for jumps where to go on if it is so, and if not (empty: the next one)."""


def load_type() -> Block:
    """Load the type of the message."""
    return [(_LOAD_HALF, 4, "", "")]


def load_byte(offset: int) -> Block:
    return [(_LOAD_BYTE, offset, "", "")]


def low_byte(offset: int) -> int:
    """Where the lowest byte of a 32-bit number lies."""
    return offset if sys.byteorder == "little" else offset + 3


def find(attribute: int, start: int) -> Block:
    """Load the offset of an attribute, 0 without it; the attributes begin at ``start``."""
    return [(_LOAD, start, "", ""), (_LOAD_INDEX, attribute, "", ""), (*_FIND_ATTRIBUTE, "", "")]


def load_found() -> Block:
    """Load the 32-bit value of the attribute that was found."""
    return [(_TO_INDEX, 0, "", ""), (_LOAD_WORD_AT, 4, "", "")]


def if_equal(value: int, then: str, otherwise: str = "") -> Block:
    return [(_JUMP_EQUAL, value, then, otherwise)]


def if_type(value: int, then: str) -> Block:
    return if_equal(socket.htons(value), then)


def if_set(bits: int, then: str, otherwise: str = "") -> Block:
    return [(_JUMP_SET, bits, then, otherwise)]


def assemble(blocks: dict[str, Sequence[Block]]) -> bytes:
    """The program; it begins with the first block. Jumps name a later block, or ``KEEP`` or ``DROP``."""
    flat = {name: [each for block in parts for each in block] for name, parts in blocks.items()}
    places, at = {}, 0
    for name, instructions in flat.items():
        places[name] = at
        at += len(instructions)
    places |= {KEEP: at, DROP: at + 1}
    program = b""
    for here, (code, operand, then, otherwise) in enumerate(i for part in flat.values() for i in part):
        jumps = [places[name] - here - 1 if name else 0 for name in (then, otherwise)]
        program += _INSTRUCTION.pack(code, *jumps, operand)
    return program + b"".join(_INSTRUCTION.pack(_RETURN, 0, 0, value) for value in _ENDS.values())


def attach(sock: socket.socket, program: bytes) -> None:
    """Raises OSError."""
    code = ctypes.create_string_buffer(program, len(program))
    length = len(program) // _INSTRUCTION.size
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", length, ctypes.addressof(code)))
