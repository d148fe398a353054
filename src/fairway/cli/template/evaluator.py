"""Nodes over data → text. Variables are a stack, as in Go: a branch's end forgets what it declared.

Failures are worded as Go words them, ``template: :1:2: executing "" at <.Foo>: map has no entry for key
"Foo"``, because scripts and people match on that. ``strict`` is Go's ``missingkey=error``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fairway.cli.template.functions import FUNCTIONS, FunctionFailed
from fairway.cli.template.parser import (
    Action,
    Branch,
    Command,
    Function,
    Jump,
    Literal,
    Node,
    Operand,
    Parser,
    Path,
    Pipe,
    Text,
)
from fairway.cli.template.values import Nil, Record, Struct, show, truth, type_name
from fairway.model.errors import InvalidParameter

_ABSENT: Any = object()


class TemplateFailed(InvalidParameter):
    """The template could not be applied to the data; the message is Go's."""


class _Jumped(Exception):
    """``break`` or ``continue``, on its way to its ``range``."""


class Template:
    """A parsed template; raises ``TemplateSyntax``.

    ``functions`` replaces the function table where a table's header is made.
    """

    def __init__(
        self, source: str, functions: Mapping[str, Callable[..., Any]] | None = None, name: str = ""
    ) -> None:
        self.source, self._name = source, name
        self._nodes = Parser(source).parse()
        self._functions = FUNCTIONS if functions is None else functions

    def render(self, data: Any, strict: bool = False) -> str:
        """The text for ``data``; raises ``TemplateFailed``. ``strict``: a missing map key is an error."""
        try:
            return _Run(self.source, self._name, self._functions, data, strict).body(self._nodes, data)
        except RecursionError:
            raise TemplateFailed("template: exceeded maximum template depth") from None


class _Run:
    def __init__(
        self,
        source: str,
        name: str,
        functions: Mapping[str, Callable[..., Any]],
        data: Any,
        strict: bool,
    ) -> None:
        self._source, self._name, self._functions, self._strict = source, name, functions, strict
        self._variables: list[tuple[str, Any]] = [("$", data)]
        self._written: list[str] = []

    def body(self, nodes: list[Node], dot: Any) -> str:
        self._walk(nodes, dot)
        return "".join(self._written)

    def _fail(self, node: Node, problem: str) -> TemplateFailed:
        before = self._source[: node.pos]
        line, column = before.count("\n") + 1, node.pos - (before.rfind("\n") + 1)
        near = node.text if len(node.text) <= 20 else node.text[:20] + "..."
        return TemplateFailed(
            f'template: {self._name}:{line}:{column}: executing "{self._name}" at <{near}>: {problem}'
        )

    def _walk(self, nodes: list[Node], dot: Any) -> None:
        for node in nodes:
            if isinstance(node, Text):
                self._written.append(node.text)
            elif isinstance(node, Action):
                value = self._pipe(node.pipe, dot)
                if not node.pipe.names:
                    self._written.append(show(value))
            elif isinstance(node, Branch):
                scope = len(self._variables)
                self._range(node, dot) if node.keyword == "range" else self._branch(node, dot)
                del self._variables[scope:]
            elif isinstance(node, Jump):
                raise _Jumped(node.text)

    def _branch(self, node: Branch, dot: Any) -> None:
        value = self._pipe(node.pipe, dot)
        if truth(value):
            self._walk(node.body, value if node.keyword == "with" else dot)
        else:
            self._walk(node.otherwise, dot)

    def _range(self, node: Branch, dot: Any) -> None:
        names, bare = node.pipe.names, node.pipe
        value = self._commands(bare, dot)
        pairs = self._pairs(node, value)
        if not pairs:
            return self._walk(node.otherwise, dot)
        scope = len(self._variables)
        for key, item in pairs:
            bound = {1: (item,), 2: (key, item)}.get(len(names), ())
            for name, given in zip(names, bound, strict=True):
                self._bind(name, given, bare.assigns)
            try:
                self._walk(node.body, item)
            except _Jumped as jumped:
                if str(jumped) == "break":
                    break
            finally:
                del self._variables[scope:]
        return None

    def _pairs(self, node: Branch, value: Any) -> list[tuple[Any, Any]]:
        if value is None or isinstance(value, Nil):
            return []
        if isinstance(value, list | tuple):
            return list(enumerate(value))
        if isinstance(value, dict):
            return [(key, value[key]) for key in sorted(value)]
        if isinstance(value, int) and not isinstance(value, bool):
            return [(number, number) for number in range(value)]
        raise self._fail(node.pipe, f"range can't iterate over {show(value)}")

    def _bind(self, name: str, value: Any, assigns: bool) -> None:
        if not assigns:
            self._variables.append((name, value))
            return
        for at in range(len(self._variables) - 1, -1, -1):
            if self._variables[at][0] == name:
                self._variables[at] = (name, value)
                return

    def _pipe(self, pipe: Pipe, dot: Any) -> Any:
        value = self._commands(pipe, dot)
        for name in pipe.names:
            self._bind(name, value, pipe.assigns)
        return value

    def _commands(self, pipe: Pipe, dot: Any) -> Any:
        value = _ABSENT
        for command in pipe.commands:
            value = self._command(command, dot, value)
        return value

    def _command(self, command: Command, dot: Any, final: Any) -> Any:
        first, rest = command.args[0], command.args[1:]
        if isinstance(first, Function):
            return self._call(first, rest, dot, final, command.text)
        if isinstance(first, Path):
            return self._path(first, dot, rest, final)
        if rest or final is not _ABSENT:
            raise self._fail(first, f"can't give argument to non-function {first.text}")
        if first.text == "nil":
            raise self._fail(first, "nil is not a command")
        return first.value

    def _call(self, node: Function, rest: list[Operand], dot: Any, final: Any, text: str) -> Any:
        if node.text in ("and", "or"):
            return self._early(node, rest, dot, final)
        args = [self._operand(arg, dot) for arg in rest] + ([] if final is _ABSENT else [final])
        try:
            return self._functions[node.text](*args)
        except FunctionFailed as failed:
            raise self._fail(Node(node.pos, text), f"error calling {node.text}: {failed}") from failed
        except (TypeError, AttributeError) as error:
            problem = f"wrong number or type of args for {node.text}: got {len(args)}"
            raise self._fail(node, problem) from error

    def _early(self, node: Function, rest: list[Operand], dot: Any, final: Any) -> Any:
        """``and`` and ``or`` evaluate no more operands than they need."""
        value: Any = final
        for arg in rest:
            value = self._operand(arg, dot)
            if truth(value) == (node.text == "or"):
                return value
        if value is _ABSENT:
            raise self._fail(node, f"wrong number of args for {node.text}: want at least 1 got 0")
        return value if final is _ABSENT else final

    def _operand(self, node: Operand, dot: Any) -> Any:
        if isinstance(node, Literal):
            return node.value
        if isinstance(node, Function):
            return self._call(node, [], dot, _ABSENT, node.text)
        return self._path(node, dot, [], _ABSENT)

    def _path(self, node: Path, dot: Any, rest: list[Operand], final: Any) -> Any:
        value = self._base(node, dot)
        for name in node.names[:-1]:
            value = self._field(node, value, name)
        args = [self._operand(arg, dot) for arg in rest] + ([] if final is _ABSENT else [final])
        if not args:
            return self._field(node, value, node.names[-1]) if node.names else value
        if not node.names:
            raise self._fail(node, f"can't give argument to non-function {node.text}")
        return self._method(node, value, node.names[-1], args)

    def _base(self, node: Path, dot: Any) -> Any:
        if node.base is None:
            return dot
        if isinstance(node.base, Pipe):
            return self._pipe(node.base, dot)
        return next(value for name, value in reversed(self._variables) if name == node.base)

    def _field(self, node: Path, value: Any, name: str) -> Any:
        if isinstance(value, dict):
            if self._strict and name not in value:
                raise self._fail(node, f'map has no entry for key "{name}"')
            return value.get(name)
        if isinstance(value, Struct) and name in value.fields:
            return value.fields[name]
        if isinstance(value, Record) and name in value.fields:
            return value.value(name)
        if isinstance(value, Record) and name in value.methods:
            raise self._fail(node, f"wrong number of args for {name}: want 1 got 0")
        if value is None:
            raise self._fail(node, f'nil data; no entry for key "{name}"')
        if isinstance(value, Nil):
            raise self._fail(node, f"nil pointer evaluating {name}")
        raise self._fail(node, f"can't evaluate field {name} in type {type_name(value)}")

    def _method(self, node: Path, value: Any, name: str, args: list[Any]) -> Any:
        if isinstance(value, Record) and name in value.methods:
            try:
                return value.methods[name](*args)
            except TypeError as error:
                problem = f"wrong number of args for {name}: want 1 got {len(args)}"
                raise self._fail(node, problem) from error
        self._field(node, value, name)
        raise self._fail(node, f"{name} is not a method but has arguments")
