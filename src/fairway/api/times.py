"""Times as the API writes and reads them. Inside Fairway a time is nanoseconds since the epoch, 0 for never.

Written as RFC 3339 with up to nine fractional digits (Go's ``RFC3339Nano``); read as Go durations before now,
RFC 3339 and its shorter forms, or Unix seconds with a fraction (API, ``ContainerLogs`` and ``SystemEvents``).
"""

import re
from datetime import UTC, datetime
from functools import lru_cache

from fairway.model.errors import InvalidParameter

SECOND = 1_000_000_000
NEVER = "0001-01-01T00:00:00Z"
_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_PART = re.compile(r"(\d{1,18}(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_DURATION = re.compile(r"[+-]?(?:(?:\d{1,18}(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+")
_UNIX = re.compile(r"(-?\d{1,19})(?:\.(\d{1,9})\d*)?")
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9})\d*)?)?)?)?(Z|[+-]\d\d:\d\d)?"
)


def rfc3339(ns: int) -> str:
    """``2024-05-01T10:00:00.5Z``; Go's zero time for 0."""
    return moment(ns) if ns else NEVER


def moment(ns: int) -> str:
    """The same of a time that always is one, 0 the epoch: the times of files."""
    seconds, fraction = divmod(ns, SECOND)
    digits = f"{fraction:09d}".rstrip("0")
    return f"{_second(seconds)}.{digits}Z" if digits else f"{_second(seconds)}Z"


def rfc3339_fixed(ns: int) -> str:
    """Always nine fractional digits, as in ``docker logs --timestamps``."""
    seconds, fraction = divmod(ns, SECOND)
    return f"{_second(seconds)}.{fraction:09d}Z"


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def duration(text: str) -> int | None:
    """Nanoseconds of a Go duration (``1h30m``, ``1.5s``); None if it is not one."""
    if not _DURATION.fullmatch(text):
        return None
    total = sum(int(float(number) * _UNITS[unit]) for number, unit in _PART.findall(text))
    return -total if text.startswith("-") else total


def parse(text: str, now: int) -> int:
    """A moment given by a client, in ns; empty and ``0`` give 0.

    Raises InvalidParameter quoting the text.
    """
    if text in ("", "0"):
        return 0
    ago = duration(text)
    if ago is not None:
        return now - ago
    unix = _UNIX.fullmatch(text)
    if unix:
        return int(unix[1]) * SECOND + int((unix[2] or "0").ljust(9, "0"))
    return _calendar(text)


def _calendar(text: str) -> int:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise InvalidParameter(f'failed to parse value as time or duration: "{text}"')
    day, hour, minute, second, fraction, zone = match.groups()
    clock = f"{hour or '00'}:{minute or '00'}:{second or '00'}"
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{(zone or 'Z').replace('Z', '+00:00')}")
    except ValueError as error:
        raise InvalidParameter(f'parsing time "{text}": {error}') from None
    return int(moment.timestamp()) * SECOND + int((fraction or "0").ljust(9, "0"))


def ago(ns: int) -> str:
    """A span of time as Docker tells it (``units.HumanDuration``): ``3 seconds``, ``About an hour``."""
    seconds = ns / SECOND
    minutes, hours = int(seconds / 60), int(seconds / 3600 + 0.5)
    days = hours // 24
    if seconds < 1:
        return "Less than a second"
    if seconds < 60:
        return "1 second" if int(seconds) == 1 else f"{int(seconds)} seconds"
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{days} days"
    if hours < 24 * 30 * 2:
        return f"{days // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{days // 30} months"
    return f"{int(seconds / 3600) // 24 // 365} years"
