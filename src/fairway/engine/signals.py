"""Signals by the names and numbers that users give."""

import re
import signal as signals

from fairway.model.errors import InvalidParameter
from fairway.model.number import decimal


def parse_signal(text: str) -> int:
    """``SIGTERM``, ``TERM``, ``15`` → 15. Raises InvalidParameter with Docker's text."""
    name = text.upper().removeprefix("SIG")
    if name.isdigit():
        if number := decimal(name, 64):
            return number
    elif f"SIG{name}" in signals.Signals.__members__:
        return signals.Signals[f"SIG{name}"].value
    elif realtime := re.fullmatch(r"RTM(IN|AX)([+-]\d{1,2})?", name):
        base = 34 if realtime[1] == "IN" else 64
        number = base + int(realtime[2] or 0)
        if 34 <= number <= 64:
            return number
    raise InvalidParameter(f"invalid signal: {text}")
