"""Kinds of option values: how each is read, how repeated ones add up, what help calls them.

The names in help (``list``, ``strings``, ``map``, ``bytes`` …) and the error texts are those of Docker's
option types (docker/cli ``opts``) and of Go's ``strconv``.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import Any

from fairway.cli.units import parse_duration, parse_size


class Refused(ValueError):
    """A value that an option does not take; the message is what follows ``invalid argument … flag:``."""


class Kind:
    """A type of value: ``name`` in help, ``parse`` reads one occurrence, ``add`` joins several."""

    __slots__ = ("add", "name", "parse", "zero")

    def __init__(
        self,
        name: str,
        parse: Callable[[str], Any],
        zero: Callable[[], Any],
        add: Callable[[Any, Any], Any] = lambda _before, value: value,
    ) -> None:
        self.name, self.parse, self.zero, self.add = name, parse, zero, add


def listed(name: str, parse: Callable[[str], Any] = str) -> Kind:
    """A repeatable option, each occurrence checked or converted by ``parse``."""
    return Kind(name, parse, list, lambda before, value: [*before, value])


def _bool(text: str) -> bool:
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise Refused(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def _integer(function: str, low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text, 0) if text.strip() == text else None
        except ValueError:
            number = int(text) if text.lstrip("+-").isdigit() else None
        if number is None or (low == 0 and text.startswith(("-", "+"))):
            raise Refused(f'strconv.{function}: parsing "{text}": invalid syntax')
        if not low <= number <= high:
            raise Refused(f'strconv.{function}: parsing "{text}": value out of range')
        return number

    return parse


def _csv(text: str) -> list[str]:
    return next(csv.reader([text]), []) if '"' in text else text.split(",") if text else []


def _pair(text: str) -> dict[str, str]:
    key, _, value = text.partition("=")
    return {key: value}


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise Refused(str(error)) from error


def _duration(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise Refused(str(error)) from error


def _filter(text: str) -> tuple[str, str]:
    if "=" not in text:
        raise Refused("bad format of filter (expected name=value)")
    key, _, value = text.partition("=")
    return key.strip().lower(), value.strip()


def _nano_cpus(text: str) -> int:
    """Decimal CPUs → billionths; Go reads it as a rational, so ``1/2`` is fine."""
    from fractions import Fraction

    try:
        exact = Fraction(text) * 10**9
    except (ValueError, ZeroDivisionError) as error:
        raise Refused(f"failed to parse {text} as a rational number") from error
    if exact.denominator != 1:
        raise Refused("value is too precise")
    return int(exact)


BOOL = Kind("", _bool, bool)
STRING = Kind("string", str, str)
INT = Kind("int", _integer("ParseInt", -(2**63), 2**63 - 1), int)
UINT = Kind("uint", _integer("ParseUint", 0, 2**64 - 1), int)
UINT16 = Kind("uint16", _integer("ParseUint", 0, 2**16 - 1), int)
SIZE = Kind("bytes", _size, int)
SWAP = Kind("bytes", lambda text: -1 if text == "-1" else _size(text), int)
DURATION = Kind("duration", _duration, int)
CPUS = Kind("decimal", _nano_cpus, int)
LIST = listed("list")
STRINGS = Kind("strings", _csv, list, lambda before, value: [*before, *value])
MAP = Kind("map", _pair, dict, lambda before, value: {**before, **value})
FILTER = listed("filter", _filter)
