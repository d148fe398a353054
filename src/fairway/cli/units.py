"""Sizes and times as people write and read them, in the words and roundings of Docker's ``go-units``.

Sizes read are powers of 1024 (``64m`` is 67108864 bytes); sizes shown are powers of 1000 (``4.26MB``).
Durations are nanoseconds, as in the API.
"""

from __future__ import annotations

import re

_SIZE = re.compile(r"^(\d+(?:\.\d+)*) ?([kKmMgGtTpP])?[iI]?[bB]?$")
_SUFFIX = re.compile(r"^[\d.]+ ?(.*)$")
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)([a-zµμ]+)")
_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
MINUTE, HOUR, DAY = 60, 3600, 86400


def parse_size(text: str) -> int:
    """Bytes of ``512``, ``64m``, ``1.5g``; ValueError with go-units' text."""
    found = _SIZE.match(text)
    if found is None or found[1].count(".") > 1:
        suffix = _SUFFIX.match(text)
        if suffix and text[:1].isdigit():
            raise ValueError(f"invalid suffix: '{suffix[1].lower()}'")
        raise ValueError(f"invalid size: '{text}'")
    return int(float(found[1]) * 1024 ** ("kmgtp".index(found[2].lower()) + 1 if found[2] else 0))


def parse_duration(text: str) -> int:
    """Nanoseconds of ``1h30m``, ``1.5s``, ``0``; ValueError with the text of Go's ``time.ParseDuration``."""
    body = text.lstrip("+-") if text[:1] in ("+", "-") else text
    sign = -1 if text.startswith("-") else 1
    if body == "0":
        return 0
    total, at = 0, 0
    for found in _DURATION.finditer(body):
        if found.start() != at:
            break
        if found[2] not in _NANOSECONDS:
            raise ValueError(f'time: unknown unit "{found[2]}" in duration "{text}"')
        total += round(float(found[1]) * _NANOSECONDS[found[2]])
        at = found.end()
    if at == len(body) and body:
        return sign * total
    missing = bool(re.fullmatch(r"[\d.]+", body[at:])) and body != "."
    raise ValueError(f'time: {"missing unit in" if missing else "invalid"} duration "{text}"')


def human_size(size: float, digits: int = 4) -> str:
    """``4.26MB``: powers of 1000, ``digits`` significant digits (go-units ``HumanSizeWithPrecision``)."""
    return _scaled(size, 1000.0, ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"), digits)


def human_bytes(size: float) -> str:
    """``4.062MiB``: powers of 1024 (go-units ``BytesSize``)."""
    return _scaled(size, 1024.0, ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"), 4)


def _scaled(size: float, base: float, names: tuple[str, ...], digits: int) -> str:
    at = 0
    while size >= base and at < len(names) - 1:
        size, at = size / base, at + 1
    return f"{size:.{digits}g}{names[at]}"


def human_duration(seconds: float) -> str:
    """``About a minute``, ``3 hours``, ``2 weeks`` (go-units ``HumanDuration``)."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < MINUTE:
        return f"{whole} seconds"
    minutes = whole // MINUTE
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / HOUR + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{int(seconds / HOUR) // 24 // 365} years"


def ellipsis(text: str, length: int) -> str:
    """``text`` cut to ``length`` characters, the last of them ``…`` when something was cut."""
    if len(text) <= length:
        return text
    return text[:length] if length < 2 else text[: length - 1] + "…"


def natural(text: str) -> list[tuple[int, int, str]]:
    """A sort key under which ``web2`` comes before ``web10`` (Docker's ``sortorder.NaturalLess``)."""
    return [
        (0, int(part), part) if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part
    ]
