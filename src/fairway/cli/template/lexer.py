"""Source text → tokens. Text outside ``{{ }}`` is one token; inside, Go's lexical grammar applies.

Blanks inside an action are tokens, too: ``index .a .b`` (two operands) differs from ``index .a.b`` (one).
Trim markers act here: ``{{- `` strips the text before, `` -}}`` the text after. The parser never sees them.
"""

from __future__ import annotations

import re

from fairway.model.errors import InvalidParameter

TEXT, OPEN, CLOSE, SPACE, FIELD, VARIABLE, WORD, STRING, RAW, CHAR, NUMBER, DOT, PUNCT, END = range(14)

_BLANK = " \t\r\n"
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<string>"(?:\\.|[^"\\\n])*")
      | (?P<raw>`[^`]*`)
      | (?P<char>'(?:\\.|[^'\\\n])+')
      | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:\d[\d_]*)?\.?\d+(?:[eE][+-]?\d+)?))
      | (?P<field>\.[A-Za-z_][A-Za-z0-9_]*)
      | (?P<variable>\$[A-Za-z0-9_]*)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<dot>\.)
      | (?P<punct>:=|[=|(),])""",
    re.VERBOSE,
)
_KINDS = {
    "space": SPACE,
    "string": STRING,
    "raw": RAW,
    "char": CHAR,
    "number": NUMBER,
    "field": FIELD,
    "variable": VARIABLE,
    "word": WORD,
    "dot": DOT,
    "punct": PUNCT,
}


class TemplateSyntax(InvalidParameter):
    """The template cannot be parsed. The message is Go's, e.g. ``template: :1: unclosed action``."""


class Token:
    """One token: its kind, its text and its offset in the source (in characters)."""

    __slots__ = ("kind", "pos", "text")

    def __init__(self, kind: int, text: str, pos: int) -> None:
        self.kind, self.text, self.pos = kind, text, pos


def syntax_error(source: str, pos: int, problem: str) -> TemplateSyntax:
    """Go's parse error: the template has no name, the line counts from 1."""
    return TemplateSyntax(f"template: :{source.count(chr(10), 0, pos) + 1}: {problem}")


def tokenize(source: str) -> list[Token]:
    """Cut ``source`` into tokens, the last one of kind ``END``; raises ``TemplateSyntax``."""
    tokens: list[Token] = []
    pos = 0
    while (opened := source.find("{{", pos)) >= 0:
        text = source[pos:opened]
        trims = source.startswith("{{-", opened) and source[opened + 3 : opened + 4] in set(_BLANK)
        if text := text.rstrip(_BLANK) if trims else text:
            tokens.append(Token(TEXT, text, pos))
        pos = _action(source, opened, opened + (3 if trims else 2), tokens)
    if pos < len(source):
        tokens.append(Token(TEXT, source[pos:], pos))
    tokens.append(Token(END, "", len(source)))
    return tokens


def _action(source: str, opened: int, pos: int, tokens: list[Token]) -> int:
    """Tokens of one action, which begins at ``pos``; the offset behind it."""
    inner = pos + (len(source) - pos - len(source[pos:].lstrip(_BLANK)))
    if source.startswith("/*", inner):
        return _comment(source, inner)
    tokens.append(Token(OPEN, "{{", opened))
    depth = 0
    while True:
        if behind := _close(source, pos):
            if depth:
                raise syntax_error(source, pos, "unclosed left paren")
            tokens.append(Token(CLOSE, "}}", pos))
            return behind
        found = _TOKEN.match(source, pos)
        if found is None:
            raise syntax_error(source, pos, _refusal(source, pos))
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth < 0:
            raise syntax_error(source, pos, "unexpected right paren")
        tokens.append(Token(_KINDS[str(found.lastgroup)], found[0], pos))
        pos = found.end()


def _close(source: str, pos: int) -> int:
    """The offset behind the closing delimiter at ``pos`` and trimmed blanks; 0: no delimiter here."""
    if source.startswith("}}", pos):
        return pos + 2
    if source[pos : pos + 1] in set(_BLANK) and source.startswith("-}}", pos + 1):
        behind = pos + 4
        return len(source) - len(source[behind:].lstrip(_BLANK))
    return 0


def _comment(source: str, pos: int) -> int:
    ended = source.find("*/", pos)
    if ended < 0:
        raise syntax_error(source, pos, "unclosed comment")
    behind = _close(source, ended + 2)
    if not behind:
        raise syntax_error(source, pos, "comment ends before closing delimiter")
    return behind


def _refusal(source: str, pos: int) -> str:
    char = source[pos : pos + 1]
    if not char:
        return "unclosed action"
    if char == '"':
        return "unterminated quoted string"
    if char == "`":
        return "unterminated raw quoted string"
    if char == "'":
        return "unterminated character constant"
    if char == ":":
        return "expected :="
    # Go's lexer lets printable ASCII characters through for its parser to refuse; the rest it refuses itself.
    if char in "})]{[":
        return f"bad character U+{ord(char):04X} '{char}'"
    if char.isascii() and char.isprintable():
        return f'unexpected "{char}" in operand'
    return f"unrecognized character in action: U+{ord(char):04X} '{char}'"
