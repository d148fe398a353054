"""Tokens → nodes. Recursive descent over the grammar of text/template/parse.

A node is kept as small as the evaluator needs: positions are there because Go's error texts give them.
A field chain ``.A.B`` is one node placed at its *second* field, as Go places it.
"""

from __future__ import annotations

from fairway.cli.template import lexer
from fairway.cli.template.functions import FUNCTIONS, unquote
from fairway.cli.template.lexer import TemplateSyntax, Token, syntax_error, tokenize


class Node:
    """Base of all nodes; ``pos`` is an offset in the source, ``text`` the source form for error texts."""

    __slots__ = ("pos", "text")

    def __init__(self, pos: int, text: str) -> None:
        self.pos, self.text = pos, text


class Literal(Node):
    """A constant: string, number, bool or nil."""

    __slots__ = ("value",)

    def __init__(self, pos: int, text: str, value: object) -> None:
        super().__init__(pos, text)
        self.value = value


class Path(Node):
    """Fields taken from dot (``base`` None), from a variable (a name) or from a parenthesised pipeline."""

    __slots__ = ("base", "names")

    def __init__(self, pos: int, text: str, base: Pipe | str | None, names: list[str]) -> None:
        super().__init__(pos, text)
        self.base, self.names = base, names


class Function(Node):
    """A function's name; ``text`` is the name."""

    __slots__ = ()


Operand = Literal | Path | Function


class Command(Node):
    """One stage of a pipeline: an operand, or a function or method with arguments."""

    __slots__ = ("args",)

    def __init__(self, pos: int, text: str, args: list[Operand]) -> None:
        super().__init__(pos, text)
        self.args = args


class Pipe(Node):
    """Commands joined by ``|``, and the variables that the result is given to."""

    __slots__ = ("assigns", "commands", "names")

    def __init__(self, pos: int, text: str, names: list[str], assigns: bool, commands: list[Command]) -> None:
        super().__init__(pos, text)
        self.names, self.assigns, self.commands = names, assigns, commands


class Text(Node):
    """Text outside the actions."""

    __slots__ = ()


class Action(Node):
    """A pipeline whose result is printed."""

    __slots__ = ("pipe",)

    def __init__(self, pos: int, text: str, pipe: Pipe) -> None:
        super().__init__(pos, text)
        self.pipe = pipe


class Branch(Node):
    """``if``, ``with`` or ``range`` (in ``keyword``) with both of its bodies."""

    __slots__ = ("body", "keyword", "otherwise", "pipe")

    def __init__(self, pos: int, keyword: str, pipe: Pipe, body: list[Node], otherwise: list[Node]) -> None:
        super().__init__(pos, keyword)
        self.keyword, self.pipe, self.body, self.otherwise = keyword, pipe, body, otherwise


class Jump(Node):
    """``break`` or ``continue`` (in ``text``)."""

    __slots__ = ()


_BRANCHES = ("if", "with", "range")
_KEYWORDS = {*_BRANCHES, "else", "end", "break", "continue", "define", "block", "template"}


class Parser:
    """One pass over one template's tokens."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._tokens = tokenize(source)
        self._at = 0
        self._variables = ["$"]
        self._loops = 0

    def parse(self) -> list[Node]:
        """All nodes; raises ``TemplateSyntax``."""
        try:
            nodes, ender = self._nodes()
        except RecursionError:
            raise self._fail("max expression depth exceeded") from None
        if ender:
            raise self._fail(f"unexpected {{{{{ender}}}}}")
        return nodes

    def _fail(self, problem: str) -> TemplateSyntax:
        return syntax_error(self.source, self._peek().pos, problem)

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _skip_blanks(self) -> Token:
        while self._peek().kind == lexer.SPACE:
            self._at += 1
        return self._peek()

    def _nodes(self) -> tuple[list[Node], str]:
        """Nodes up to ``{{end}}`` or ``{{else``, and which of them it was ("" at the source's end)."""
        nodes: list[Node] = []
        while (token := self._next()).kind != lexer.END:
            if token.kind == lexer.TEXT:
                nodes.append(Text(token.pos, token.text))
                continue
            word = self._skip_blanks()
            if word.kind != lexer.WORD or word.text not in _KEYWORDS:
                nodes.append(self._action())
                continue
            self._next()
            if word.text == "end":
                self._closed("end")
                return nodes, "end"
            if word.text == "else":
                return nodes, "else"
            nodes.append(self._keyword(word))
        self._at -= 1
        return nodes, ""

    def _keyword(self, word: Token) -> Node:
        if word.text in _BRANCHES:
            return self._branch(word)
        if word.text in ("break", "continue"):
            if not self._loops:
                raise self._fail(f"{{{{{word.text}}}}} outside {{{{range}}}}")
            self._closed(word.text)
            return Jump(word.pos, word.text)
        raise self._fail(f"unexpected {{{{{word.text}}}}}")

    def _branch(self, word: Token) -> Branch:
        scope = len(self._variables)
        pipe = self._pipe(word.text, lexer.CLOSE)
        self._loops += word.text == "range"
        body, ender = self._nodes()
        self._loops -= word.text == "range"
        otherwise: list[Node] = []
        if ender == "else":
            otherwise = self._otherwise(word.text)
        elif not ender:
            raise self._fail("unexpected EOF")
        del self._variables[scope:]
        return Branch(word.pos, word.text, pipe, body, otherwise)

    def _otherwise(self, keyword: str) -> list[Node]:
        token = self._skip_blanks()
        if token.kind == lexer.WORD and token.text in ("if", "with") and keyword == token.text:
            return [self._branch(self._next())]
        self._closed("else")
        nodes, ender = self._nodes()
        if ender != "end":
            raise self._fail("expected end; found {{else}}" if ender else "unexpected EOF")
        return nodes

    def _closed(self, context: str) -> None:
        token = self._skip_blanks()
        if token.kind != lexer.CLOSE:
            raise self._fail(f'unexpected "{token.text}" in {context}')
        self._next()

    def _action(self) -> Action:
        pos = self._peek().pos
        pipe = self._pipe("command", lexer.CLOSE)
        return Action(pos, pipe.text, pipe)

    def _pipe(self, context: str, ends: int) -> Pipe:
        pos = self._skip_blanks().pos
        names, assigns = self._declarations(context)
        commands: list[Command] = []
        while True:
            token = self._skip_blanks()
            if token.kind == lexer.CLOSE or token.text == ")":
                closed = self._next()
                break
            commands.append(self._command())
        if (closed.kind == lexer.CLOSE) != (ends == lexer.CLOSE):
            raise self._fail(f'unexpected "{closed.text}" in {context}')
        if not commands:
            raise self._fail(f"missing value for {context}")
        for stage in commands[1:]:
            if isinstance(stage.args[0], Literal):
                raise self._fail(f"non executable command in pipeline stage {commands.index(stage) + 1}")
        self._variables += [] if assigns else names
        text = " | ".join(command.text for command in commands)
        return Pipe(pos, text, names, assigns, commands)

    def _declarations(self, context: str) -> tuple[list[str], bool]:
        """Leading ``$x :=``, ``$i, $x :=`` or ``$x =``; nothing is consumed when there is none."""
        start, names = self._at, []
        while self._skip_blanks().kind == lexer.VARIABLE:
            names.append(self._next().text)
            token = self._skip_blanks()
            if token.text in (":=", "="):
                self._next()
                if len(names) > (2 if context == "range" else 1):
                    raise self._fail(f"too many declarations in {context}")
                return names, token.text == "="
            if token.text != ",":
                break
            self._next()
        self._at = start
        return [], False

    def _command(self) -> Command:
        pos = self._peek().pos
        args: list[Operand] = []
        while True:
            token = self._skip_blanks()
            if token.kind == lexer.CLOSE or token.text == ")":
                break
            if token.text == "|":
                self._next()
                after = self._skip_blanks()
                if after.kind == lexer.CLOSE or after.text == ")":
                    raise self._fail("missing value for command")
                break
            args.append(self._operand())
        if not args:
            raise self._fail("empty command")
        return Command(pos, " ".join(arg.text for arg in args), args)

    def _operand(self) -> Operand:
        token = self._next()
        base: Pipe | str | None = None
        if token.kind == lexer.FIELD:
            names, text = [token.text[1:]], token.text
        elif token.kind == lexer.DOT:
            names, text = [], "."
        elif token.kind == lexer.VARIABLE:
            names, text, base = [], token.text, self._known(token.text)
        elif token.text == "(":
            base = self._pipe("parenthesized pipeline", lexer.PUNCT)
            names, text = [], f"({base.text})"
        else:
            return self._simple(token)
        pos = token.pos
        while self._peek().kind == lexer.FIELD:
            field = self._next()
            pos = field.pos if pos == token.pos else pos
            names.append(field.text[1:])
            text += field.text
        return Path(pos, text, base, names)

    def _known(self, name: str) -> str:
        if name not in self._variables:
            raise self._fail(f'undefined variable "{name}"')
        return name

    def _simple(self, token: Token) -> Operand:
        if token.kind == lexer.WORD:
            if token.text in ("true", "false", "nil"):
                value = None if token.text == "nil" else token.text == "true"
                return Literal(token.pos, token.text, value)
            if token.text not in FUNCTIONS:
                raise self._fail(f'function "{token.text}" not defined')
            return Function(token.pos, token.text)
        if token.kind in (lexer.STRING, lexer.RAW):
            return Literal(token.pos, token.text, unquote(token.text))
        if token.kind == lexer.CHAR:
            character = unquote(token.text)
            if len(character) != 1:
                raise self._fail(f"malformed character constant: {token.text}")
            return Literal(token.pos, token.text, ord(character))
        if token.kind == lexer.NUMBER:
            return Literal(token.pos, token.text, self._number(token.text))
        raise self._fail(f'unexpected "{token.text}" in operand' if token.text else "unexpected EOF")

    def _number(self, text: str) -> int | float:
        try:
            return int(text, 0)
        except ValueError:
            pass
        try:
            return int(text) if text.lstrip("+-").isdigit() else float(text)
        except ValueError as error:
            raise self._fail(f'bad number syntax: "{text}"') from error
