"""The command line, in the grammar of dockerd (Go's pflag): flag → the values given, in order.

``--name value``, ``--name=value``, ``-Nvalue``; a boolean takes its value only after ``=``.
"""

from collections.abc import Sequence

from fairway.daemon.flags import BY_NAME, BY_SHORT, Flag
from fairway.model.errors import InvalidParameter

_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")


def parse(words: Sequence[str]) -> dict[str, list[str]]:
    """Raises InvalidParameter with pflag's texts."""
    given: dict[str, list[str]] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("--") and len(word) > 2:
            _long(word, rest, given)
        elif word.startswith("-") and len(word) > 1 and word != "--":
            _short(word, rest, given)
        elif word != "--":
            raise InvalidParameter("\"fairwayd\" accepts no arguments.\nSee 'fairwayd --help'.")
    return given


def _long(word: str, rest: list[str], given: dict[str, list[str]]) -> None:
    name, equals, value = word[2:].partition("=")
    flag = BY_NAME.get(name)
    if flag is None:
        raise InvalidParameter(f"unknown flag: --{name}")
    if not equals:
        value = _next(flag, f"--{name}", rest)
    given.setdefault(flag.name, []).append(value)


def _short(word: str, rest: list[str], given: dict[str, list[str]]) -> None:
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        flag = BY_SHORT.get(letter)
        if flag is None:
            raise InvalidParameter(f"unknown shorthand flag: '{letter}' in {word}")
        if letters.startswith("="):
            value, letters = letters[1:], ""
        elif flag.kind != "bool" and letters:
            value, letters = letters, ""
        else:
            value = _next(flag, f"'{letter}' in {word}", rest)
        given.setdefault(flag.name, []).append(value)


def _next(flag: Flag, shown: str, rest: list[str]) -> str:
    if flag.kind == "bool":
        return "true"
    if not rest:
        raise InvalidParameter(f"flag needs an argument: {shown}")
    return rest.pop(0)


def boolean(flag: Flag, text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise _unparsable(flag, text, "Bool")


def integer(flag: Flag, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise _unparsable(flag, text, "Int") from None


def _unparsable(flag: Flag, text: str, kind: str) -> InvalidParameter:
    return InvalidParameter(
        f'invalid argument "{text}" for "--{flag.name}" flag: '
        f'strconv.Parse{kind}: parsing "{text}": invalid syntax'
    )
