"""``--log-opt``: what a log driver is told, parsed once into the limits of the log's files.

``json-file`` keeps all unless ``max-size`` is given, ``local`` five files of 20 MB (moby,
``daemon/logger/{jsonfilelog,local}``). Options that concern the form of Docker's own files (``compress``,
``labels``, ``env``, ``tag``) and how lines are handed over (``mode``) are accepted and change nothing.
"""

import re

import msgspec

from fairway.model.container import LogConfig
from fairway.model.errors import InvalidParameter
from fairway.model.number import decimal

_COMMON = frozenset(("max-size", "max-file", "compress", "mode", "max-buffer-size"))
_OPTIONS = {
    "json-file": _COMMON | {"labels", "labels-regex", "env", "env-regex", "tag"},
    "local": _COMMON,
    "none": frozenset[str](),
}
_DEFAULTS = {"json-file": ("-1", "1"), "local": ("20m", "5")}
_BASE = {"json-file": 1000, "local": 1024}
"""What ``k`` means: Docker reads the one with ``FromHumanSize``, the other with ``RAMInBytes``."""
_SIZE = re.compile(r"(\d{1,15})(\.\d{1,9})? ?([kmgtp]?)i?b?", re.IGNORECASE)
_BOOLEANS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}


class Limits(msgspec.Struct, frozen=True):
    """At most ``files`` files of ``size`` bytes."""

    size: int
    files: int


def parse(config: LogConfig) -> Limits | None:
    """None for a log without limits. Raises InvalidParameter with Docker's texts."""
    driver, options = config.type or "json-file", config.config
    for name in options:
        if name not in _OPTIONS.get(driver, frozenset()):
            raise InvalidParameter(f"unknown log opt '{name}' for {driver} log driver")
    if driver not in _DEFAULTS:
        return None
    default_size, default_files = _DEFAULTS[driver]
    if options.get("mode", "blocking") not in ("blocking", "non-blocking"):
        raise InvalidParameter(f"logger: logging mode not supported: {options['mode']}")
    if "max-buffer-size" in options:
        if options.get("mode") != "non-blocking":
            raise InvalidParameter(
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'"
            )
        _size(options["max-buffer-size"], 1024)
    size = _size(options.get("max-size", default_size), _BASE[driver])
    files = _files(options.get("max-file", default_files))
    if _boolean(options.get("compress", "false")) and (files < 2 or size is None):
        raise InvalidParameter("compress cannot be true when max-file is less than 2 or max-size is not set")
    return Limits(size, files) if size is not None else None


def _size(text: str, base: int) -> int | None:
    """Bytes of ``10m``; None for no limit (``-1``)."""
    if text == "-1":
        return None
    match = _SIZE.fullmatch(text)
    if match is None:
        raise InvalidParameter(f"invalid size: '{text}'")
    power = " kmgtp".index(match[3].lower() or " ")
    size = int(float(match[1] + (match[2] or "")) * base**power)
    if size <= 0:
        raise InvalidParameter("max-size must be a positive number")
    return size


def _files(text: str) -> int:
    number = decimal(text.removeprefix("+"), 2**31 - 1)
    if number is None and re.fullmatch(r"-\d{1,18}", text):
        number = 0
    if number is None:
        raise InvalidParameter(f'strconv.Atoi: parsing "{text}": invalid syntax')
    if number < 1:
        raise InvalidParameter("max-file cannot be less than 1")
    return number


def _boolean(text: str) -> bool:
    if text.lower() not in _BOOLEANS:
        raise InvalidParameter(f'strconv.ParseBool: parsing "{text}": invalid syntax')
    return _BOOLEANS[text.lower()]
