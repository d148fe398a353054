"""Numbers in what clients send.

``str.isdigit`` takes "²" for a digit, which ``int`` refuses; ``int`` takes digits of any script, and refuses
more than 4300 of them. Neither may surface as a defect of the daemon, so what is no plain number is None.
"""

_LONGEST = 19
"""Digits of the largest 64-bit integer."""


def decimal(text: str, most: int = 2**63 - 1) -> int | None:
    """A number of ASCII digits, at most ``most``; None for anything else."""
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0") or "0"
    if len(digits) > _LONGEST or int(digits) > most:
        return None
    return int(digits)
