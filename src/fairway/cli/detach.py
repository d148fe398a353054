"""The key sequence that leaves a container running: Ctrl-P Ctrl-Q unless another is asked for.

Watched for here as well as in the daemon, because only the client can tell "detached" from "ended" without
asking. Keys of a sequence not yet complete are held back, and sent on when the sequence does not go on.
"""

from __future__ import annotations

from fairway.model.errors import InvalidParameter

DEFAULT = "ctrl-p,ctrl-q"
_CONTROL = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def parse_keys(text: str) -> bytes:
    """``ctrl-a,b`` → the bytes that a terminal sends; raises ``InvalidParameter``."""
    found = bytearray()
    for key in text.split(","):
        letter = key.removeprefix("ctrl-")
        if len(key) == 1:
            found += key.encode()
        elif key.startswith("ctrl-") and len(letter) == 1 and "a" <= letter <= "z":
            found.append(ord(letter) - ord("a") + 1)
        elif key.startswith("ctrl-") and letter in _CONTROL:
            found.append(_CONTROL[letter])
        else:
            raise InvalidParameter(f"invalid detach keys ({text}): Unknown character: '{key}'")
    return bytes(found)


class DetachKeys:
    """Finds the sequence in what is typed, across reads."""

    def __init__(self, sequence: bytes) -> None:
        self._sequence, self._matched = sequence, 0

    def feed(self, typed: bytes) -> tuple[bytes, bool]:
        """What to send on, and whether the sequence is complete (then nothing of it is sent)."""
        through = bytearray()
        for byte in typed:
            if byte == self._sequence[self._matched]:
                self._matched += 1
                if self._matched == len(self._sequence):
                    self._matched = 0
                    return bytes(through), True
                continue
            through += self._sequence[: self._matched]
            self._matched = 1 if byte == self._sequence[0] else 0
            if not self._matched:
                through.append(byte)
            elif self._matched == len(self._sequence):
                self._matched = 0
                return bytes(through), True
        return bytes(through), False
