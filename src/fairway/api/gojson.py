"""Why a text is not JSON, in the words of Go's ``encoding/json``: clients and administrators know those.

The fast decoder only says yes or no; this slow scanner walks the text again after a no. It decides the
wording, never whether a text is accepted.
"""

import re

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_LITERALS = {"t": "true", "f": "false", "n": "null"}
_ESCAPES = '"\\/bfnrt'
END = "unexpected end of JSON input"


class _Invalid(Exception):
    """Carries Go's text."""


def explain(text: str) -> str:
    """Go's complaint about the first fault of ``text``; empty when there is none."""
    try:
        position = _skip(text, _value(text, _skip(text, 0)))
        if position < len(text):
            _refuse(text, position, "after top-level value")
    except _Invalid as invalid:
        return str(invalid)
    return ""


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _refuse(text: str, position: int, context: str) -> None:
    if position >= len(text):
        raise _Invalid(END)
    char = text[position]
    quoted = {"'": r"'\''", '"': "'\"'", "\n": r"'\n'", "\t": r"'\t'", "\r": r"'\r'"}.get(char, f"'{char}'")
    raise _Invalid(f"invalid character {quoted} {context}")


def _value(text: str, position: int) -> int:
    char = text[position : position + 1]
    if char == "{":
        return _object(text, position + 1)
    if char == "[":
        return _array(text, position + 1)
    if char == '"':
        return _string(text, position + 1)
    if char in _LITERALS and char:
        return _literal(text, position, _LITERALS[char])
    match = _NUMBER.match(text, position)
    if match:
        return match.end()
    if char == "-":
        _refuse(text, position + 1, "in numeric literal")
    _refuse(text, position, "looking for beginning of value")
    return position


def _literal(text: str, position: int, word: str) -> int:
    for offset, expected in enumerate(word):
        if text[position + offset : position + offset + 1] != expected:
            _refuse(text, position + offset, f"in literal {word} (expecting '{expected}')")
    return position + len(word)


def _string(text: str, position: int) -> int:
    while position < len(text):
        char = text[position]
        if char == '"':
            return position + 1
        if char < " ":
            _refuse(text, position, "in string literal")
        if char == "\\":
            position += 1
            if text[position : position + 1] == "u":
                for _ in range(4):
                    position += 1
                    if text[position : position + 1] not in set("0123456789abcdefABCDEF"):
                        _refuse(text, position, "in \\u hexadecimal character escape")
            elif text[position : position + 1] not in set(_ESCAPES):
                _refuse(text, position, "in string escape code")
        position += 1
    raise _Invalid(END)


def _object(text: str, position: int) -> int:
    position = _skip(text, position)
    if text[position : position + 1] == "}":
        return position + 1
    while True:
        if text[position : position + 1] != '"':
            _refuse(text, position, "looking for beginning of object key string")
        position = _skip(text, _string(text, position + 1))
        if text[position : position + 1] != ":":
            _refuse(text, position, "after object key")
        position = _skip(text, _value(text, _skip(text, position + 1)))
        if text[position : position + 1] == "}":
            return position + 1
        if text[position : position + 1] != ",":
            _refuse(text, position, "after object key:value pair")
        position = _skip(text, position + 1)


def _array(text: str, position: int) -> int:
    position = _skip(text, position)
    if text[position : position + 1] == "]":
        return position + 1
    while True:
        position = _skip(text, _value(text, position))
        if text[position : position + 1] == "]":
            return position + 1
        if text[position : position + 1] != ",":
            _refuse(text, position, "after array element")
        position = _skip(text, position + 1)
