"""Detach keys: the key sequence that ends an attached terminal session and leaves the process running.

Written as in Docker's client configuration: comma-separated, each one printable ASCII character, ``ctrl-``
with a letter or one of ``@ [ \\ ] ^ _``, or ``DEL``.
"""

from fairway.model.errors import InvalidParameter

DEFAULT = b"\x10\x11"
"""ctrl-p, ctrl-q"""


def parse(text: str) -> bytes:
    """The bytes that a terminal sends for the keys; the default for an empty text.

    Raises InvalidParameter for a word that is no key.
    """
    if not text:
        return DEFAULT
    return bytes(_key(word) for word in text.split(","))


def _key(word: str) -> int:
    if len(word) == 1 and word.isascii():
        return ord(word)
    if word == "DEL":
        return 127
    letter = word.removeprefix("ctrl-")
    if len(word) == 6 and letter != word and (("a" <= letter <= "z") or letter in "@[\\]^_"):
        return ord(letter.upper()) - 64
    raise InvalidParameter(f"Invalid detach keys ({word}) provided")


class Scanner:
    """Watches stdin for the keys. What may be the start of them is held back until it is decided."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""
        self.found = False

    def feed(self, data: bytes) -> bytes:
        """The bytes to pass on; after the keys nothing is."""
        passed = bytearray()
        for position in range(len(data)):
            self._held += data[position : position + 1]
            if self._held == self._keys:
                self._held, self.found = b"", True
                break
            while self._held and not self._keys.startswith(self._held):
                passed += self._held[:1]
                self._held = self._held[1:]
        return bytes(passed)

    def rest(self) -> bytes:
        """What was held back when the input ended."""
        held, self._held = self._held, b""
        return held
