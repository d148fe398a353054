"""Go's ``Sprintf`` for the verbs that formats use: ``%v %s %q %d %t %x %X %c %o %b %U %f %e %g %T %%``.

A verb that does not suit its operand prints Go's ``%!d(string=x)``, never an error.
Source: https://pkg.go.dev/fmt
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from fairway.cli.template.values import encode_json, show, type_name

_VERB = re.compile(r"%([-+# 0]*)(\*|\d+)?(?:\.(\*|\d+)?)?([a-zA-Z%])|%")
_NUMBER_VERBS = {"d": "d", "x": "x", "X": "X", "o": "o", "b": "b"}


def format_values(form: str, values: Sequence[Any]) -> str:
    """``form`` with its verbs replaced; missing and superfluous operands are reported in the text."""
    rest = list(values)
    text = _VERB.sub(lambda found: _replace(found, rest), form)
    if rest:
        text += "%!(EXTRA " + ", ".join(f"{type_name(v)}={show(v, True)}" for v in rest) + ")"
    return text


def _replace(found: re.Match[str], rest: list[Any]) -> str:
    flags, width, precision, verb = found[1] or "", found[2], found[3], found[4]
    if verb is None:
        return "%!(NOVERB)"
    if verb == "%":
        return "%"
    if width == "*":
        width = str(rest.pop(0))
    if precision == "*":
        precision = str(rest.pop(0))
    if not rest:
        return f"%!{verb}(MISSING)"
    text = _verb(verb, flags, rest.pop(0), "." in found[0], int(precision or 0))
    wanted = int(width or 0)
    if "-" in flags:
        return text.ljust(wanted)
    if "0" in flags and verb != "s":
        return text.zfill(wanted)
    return text.rjust(wanted)


def _verb(verb: str, flags: str, value: Any, precise: bool, precision: int) -> str:
    if verb == "T":
        return type_name(value)
    if verb == "v":
        return encode_json(value) if "#" in flags and isinstance(value, str) else show(value, True)
    if isinstance(value, str):
        return _string_verb(verb, value[:precision] if precise else value)
    if isinstance(value, bool):
        return show(value) if verb == "t" else _mismatch(verb, value)
    if isinstance(value, int):
        return _integer_verb(verb, flags, value)
    if isinstance(value, float):
        return _float_verb(verb, flags, value, precision if precise else None)
    if isinstance(value, list | tuple):
        return "[" + " ".join(_verb(verb, flags, item, precise, precision) for item in value) + "]"
    if isinstance(value, dict):
        pairs = (f"{k}:{_verb(verb, flags, value[k], precise, precision)}" for k in sorted(value))
        return "map[" + " ".join(pairs) + "]"
    return _mismatch(verb, value) if value is None or verb != "s" else show(value)


def _string_verb(verb: str, value: str) -> str:
    if verb == "s":
        return value
    if verb == "q":
        return encode_json(value)
    if verb in "xX":
        digits = value.encode().hex()
        return digits.upper() if verb == "X" else digits
    return _mismatch(verb, value)


def _integer_verb(verb: str, flags: str, value: int) -> str:
    if verb in _NUMBER_VERBS:
        prefix = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}.get(verb, "") if "#" in flags else ""
        sign = "-" if value < 0 else "+" if "+" in flags else " " if " " in flags else ""
        return sign + prefix + format(abs(value), _NUMBER_VERBS[verb])
    if verb in "cq":
        return chr(value) if verb == "c" else repr(chr(value))
    if verb == "U":
        return f"U+{value:04X}"
    return _mismatch(verb, value)


def _float_verb(verb: str, flags: str, value: float, precision: int | None) -> str:
    if verb not in "feEgGF":
        return _mismatch(verb, value)
    sign = "+" if "+" in flags else ""
    if verb in "gG" and precision is None:
        return show(value)
    return format(value, f"{sign}.{6 if precision is None else precision}{verb}")


def _mismatch(verb: str, value: Any) -> str:
    return f"%!{verb}(<nil>)" if value is None else f"%!{verb}({type_name(value)}={show(value, True)})"
