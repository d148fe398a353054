"""A Dockerfile's words: quotes, backslashes and variables, as its shell-like lexer reads them.

Single quotes keep everything, double quotes keep blanks, ``$NAME``, ``${NAME}``, ``${NAME:-default}`` and
``${NAME:+other}`` expand, an unknown name to nothing. The standard ``shlex`` was rejected: it strips quotes
before one could know whether a ``$`` stood within them.
"""

import re
from collections.abc import Mapping

from fairway.model.errors import InvalidParameter

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BRACED = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::([-+])([^}]*))?\}")


def split(text: str, variables: Mapping[str, str]) -> list[str]:
    """The words, unquoted and expanded. Raises InvalidParameter on an open quote or a bad expansion."""
    return _lex(text, variables, breaks=True)


def expand(text: str, variables: Mapping[str, str]) -> str:
    """The text as one word: blanks stay, quotes go, variables expand."""
    return "".join(_lex(text, variables, breaks=False))


def _lex(text: str, variables: Mapping[str, str], *, breaks: bool) -> list[str]:
    found: list[str] = []
    word: list[str] | None = None
    quote = ""
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if breaks and not quote and char.isspace():
            if word is not None:
                found.append("".join(word))
            word = None
            continue
        word = [] if word is None else word
        if char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        elif char == "\\" and quote != "'" and at < len(text):
            # Within double quotes a backslash only protects what is special there.
            word.append(text[at] if not quote or text[at] in '"$\\' else "\\" + text[at])
            at += 1
        elif char == "$" and quote != "'":
            value, at = _variable(text, at, variables)
            word.append(value)
        else:
            word.append(char)
    if quote:
        raise InvalidParameter("unexpected end of statement while looking for matching " + _QUOTES[quote])
    if word is not None:
        found.append("".join(word))
    return found


_QUOTES = {"'": "single-quote", '"': "double-quote"}


def _variable(text: str, at: int, variables: Mapping[str, str]) -> tuple[str, int]:
    """Value of the variable whose name starts at ``at`` (after the dollar), and where it ends."""
    if text[at : at + 1] == "{":
        match = _BRACED.match(text, at)
        if match is None:
            raise InvalidParameter("unsupported modifier in substitution")
        value = variables.get(match[1], "")
        if match[2] == "-":
            value = value or match[3]
        elif match[2] == "+":
            value = match[3] if value else ""
        return value, match.end()
    match = _NAME.match(text, at)
    return (variables.get(match[0], ""), match.end()) if match else ("$", at)
