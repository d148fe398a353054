"""The functions that a template may call: text/template's built-ins and Docker's (``json``, ``join`` …).

Each takes Go-like values and returns one; a misuse raises ``FunctionFailed``, which the evaluator words.
``and`` and ``or`` are here by name only: they stop early, so the evaluator runs them itself.
Source: text/template/funcs.go, docker/cli templates/templates.go.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from fairway.cli.template.printf import format_values
from fairway.cli.template.values import Nil, TextMap, encode_json, show, truth, type_name


class FunctionFailed(Exception):
    """A function refused its arguments; the text is Go's."""


def unquote(text: str) -> str:
    """A Go string, raw string or character literal without its quotes and escapes."""
    if text[0] == "`":
        return text[1:-1]
    return str(ast.literal_eval(text.replace("\\a", "\\x07") if text[0] == '"' else "'" + text[1:-1] + "'"))


def _index(item: Any, *keys: Any) -> Any:
    for key in keys:
        if item is None or isinstance(item, Nil):
            raise FunctionFailed("index of untyped nil" if item is None else "index of nil pointer")
        if isinstance(item, dict):
            item = item.get(key, "" if isinstance(item, TextMap) else None)
        elif isinstance(item, list | tuple | str):
            item = _element(item, key)
        else:
            raise FunctionFailed(f"can't index item of type {type_name(item)}")
    return item


def _element(item: list[Any] | tuple[Any, ...] | str, key: Any) -> Any:
    if not isinstance(key, int) or isinstance(key, bool):
        raise FunctionFailed(f"cannot index slice/array with type {type_name(key)}")
    if not 0 <= key < len(item):
        raise FunctionFailed(f"index out of range: {key}")
    return ord(item[key]) if isinstance(item, str) else item[key]


def _slice(item: Any, *bounds: int) -> Any:
    if not isinstance(item, str | list):
        raise FunctionFailed(f"can't slice item of type {type_name(item)}")
    for bound in bounds:
        if not 0 <= bound <= len(item):
            raise FunctionFailed(f"index out of range: {bound}")
    return item[slice(*bounds[:2])] if len(bounds) > 1 else item[bounds[0] if bounds else 0 :]


def _len(item: Any) -> int:
    if isinstance(item, str):
        return len(item.encode())
    if isinstance(item, list | dict | tuple):
        return len(item)
    raise FunctionFailed("len of nil pointer" if item is None else f"len of type {type_name(item)}")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else type_name(value)


def _equal(first: Any, *others: Any) -> bool:
    if not others:
        raise FunctionFailed("missing argument for comparison")
    for other in others:
        if None not in (first, other) and _kind(first) != _kind(other):
            raise FunctionFailed("incompatible types for comparison")
    return any(first == other for other in others)


def _less(first: Any, second: Any) -> Any:
    if _kind(first) != _kind(second):
        raise FunctionFailed("incompatible types for comparison")
    if _kind(first) not in ("number", "string"):
        raise FunctionFailed("invalid type for comparison")
    return first < second


def _print(*values: Any) -> str:
    """fmt.Sprint: a blank between two operands when neither is a string."""
    text = ""
    before: Any = ""
    for number, value in enumerate(values):
        if number and not isinstance(value, str) and not isinstance(before, str):
            text += " "
        text, before = text + show(value, True), value
    return text


def _strings(value: Any, verb: str) -> list[str]:
    if not isinstance(value, list | tuple):
        raise FunctionFailed(f"wrong type for value; expected []string; got {type_name(value)} in {verb}")
    return [show(item) for item in value]


def _html(*values: Any) -> str:
    text = _print(*values)
    for plain, safe in (("&", "&amp;"), ("'", "&#39;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&#34;")):
        text = text.replace(plain, safe)
    return text


def _urlquery(*values: Any) -> str:
    safe = b"-_.~"
    return "".join(
        chr(byte)
        if (chr(byte).isalnum() and byte < 128) or byte in safe
        else "+"
        if byte == 32
        else f"%{byte:02X}"
        for byte in _print(*values).encode()
    )


def _text(function: Callable[[str], str]) -> Callable[[Any], str]:
    def checked(value: Any) -> str:
        if not isinstance(value, str):
            raise FunctionFailed(f"wrong type for value; expected string; got {type_name(value)}")
        return function(value)

    return checked


def _title(text: str) -> str:
    return "".join(c.upper() if not i or not text[i - 1].isalnum() else c for i, c in enumerate(text))


def _pad(text: str, before: int, after: int) -> str:
    return " " * before + text + " " * after if text else text


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "and": lambda *values: next((v for v in values if not truth(v)), values[-1]),
    "or": lambda *values: next((v for v in values if truth(v)), values[-1]),
    "not": lambda value: not truth(value),
    "len": _len,
    "index": _index,
    "slice": _slice,
    "eq": _equal,
    "ne": lambda first, second: not _equal(first, second),
    "lt": _less,
    "le": lambda first, second: _less(first, second) or first == second,
    "gt": lambda first, second: _less(second, first),
    "ge": lambda first, second: not _less(first, second),
    "print": _print,
    "println": lambda *values: " ".join(show(value, True) for value in values) + "\n",
    "printf": lambda form, *values: format_values(str(form), values),
    "html": _html,
    "js": lambda *values: encode_json(_print(*values))[1:-1].replace("'", "\\'"),
    "urlquery": _urlquery,
    "json": encode_json,
    "join": lambda items, separator: separator.join(_strings(items, "join")),
    "split": lambda text, separator: text.split(separator) if separator else list(text),
    "lower": _text(str.lower),
    "upper": _text(str.upper),
    "title": _text(_title),
    "pad": _pad,
    "truncate": lambda text, length: text[:length],
}
"""By name. ``HEADER_FUNCTIONS`` replaces some of them where a template makes a table's header."""

HEADER_FUNCTIONS: dict[str, Callable[..., Any]] = FUNCTIONS | {
    "json": lambda text: text,
    "title": lambda text: text,
    "lower": lambda text: text,
    "upper": lambda text: text,
    "truncate": lambda text, _length: text,
}
