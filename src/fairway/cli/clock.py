"""The API's times (RFC 3339, up to nanoseconds) as numbers and as Go prints them.

Docker shows a time in the local zone, ``2024-05-01 10:00:00 +0200 CEST``; relative ones count from now.
"""

from __future__ import annotations

import re
import time

from fairway.model.errors import InvalidParameter

_STAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)$")


def parse_stamp(text: str) -> tuple[int, int] | None:
    """Seconds since 1970 and nanoseconds of an RFC 3339 time; None when ``text`` is none."""
    found = _STAMP.match(text)
    if found is None:
        return None
    import calendar

    year, month, day, hour, minute, second = (int(found[n]) for n in range(1, 7))
    seconds = calendar.timegm((year, month, day, hour, minute, second))
    return seconds - _offset(found[8]), int((found[7] or "").ljust(9, "0"))


def _offset(zone: str) -> int:
    if zone == "Z":
        return 0
    size = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
    return -size if zone[0] == "-" else size


def go_time(text: str) -> str:
    """The time as Go's ``Time.String`` prints it, in its own zone: ``2024-05-01 10:00:00.123 +0000 UTC``."""
    found = _STAMP.match(text)
    if found is None:
        return text
    fraction = (found[7] or "").rstrip("0")
    zone = "+0000 UTC" if found[8] == "Z" else f"{found[8].replace(':', '')} {found[8].replace(':', '')}"
    return f"{text[:10]} {text[11:19]}{'.' + fraction if fraction else ''} {zone}"


def local_time(seconds: int) -> str:
    """Seconds since 1970 as Go prints a local time: ``2024-05-01 10:00:00 +0200 CEST``."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(seconds))


def local_nano(seconds: int, nanoseconds: int) -> str:
    """RFC 3339 with nine digits in the local zone, as ``events`` prints it."""
    local = time.localtime(seconds)
    zone = time.strftime("%z", local)
    zone = "Z" if local.tm_gmtoff == 0 else f"{zone[:3]}:{zone[3:]}"
    return time.strftime("%Y-%m-%dT%H:%M:%S", local) + f".{nanoseconds:09d}{zone}"


def local_seconds(seconds: int) -> str:
    """RFC 3339 without a fraction, in the local zone."""
    local = time.localtime(seconds)
    zone = time.strftime("%z", local)
    return time.strftime("%Y-%m-%dT%H:%M:%S", local) + (
        "Z" if local.tm_gmtoff == 0 else f"{zone[:3]}:{zone[3:]}"
    )


def api_moment(text: str, now: float) -> str:
    """``--since``/``--until`` for the API.

    A relative ``42m`` and a date become seconds since 1970, a number is passed on unchanged (Docker's
    ``GetTimestamp``). Raises InvalidParameter for anything else.
    """
    from fairway.cli.units import parse_duration

    if not text or re.fullmatch(r"\d+(\.\d+)?", text):
        return text
    try:
        return str(int(now - parse_duration(text) / 1e9))
    except ValueError:
        pass
    stamp = parse_stamp(text)
    if stamp is not None:
        return f"{stamp[0]}.{stamp[1]:09d}"
    return _partial_date(text)


def _partial_date(text: str) -> str:
    for form in ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H", "%Y-%m-%d"):
        for zone, utc in (("", False), ("Z", True)):
            try:
                parsed = time.strptime(text, form + zone)
            except ValueError:
                continue
            if utc:
                import calendar

                return f"{calendar.timegm(parsed)}.000000000"
            return f"{int(time.mktime(parsed))}.000000000"
    raise InvalidParameter(f'failed to parse value as time or duration: "{text}"')
