"""What a command is, and what it gets to work with.

A command module builds ``Command`` values when it is imported; ``main`` runs the one asked for with an
``Invocation``. Commands write to the invocation's streams and return an exit code, or raise.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from fairway.cli.flags import Flag, Options

if TYPE_CHECKING:
    from fairway.api.client import Client


class Invocation:
    """One run of one command: the daemon, the parsed options, the positionals.

    ``path`` is the command as it was spelt (``fairway container run``), for error texts.
    """

    def __init__(self, connect: Callable[[], Client], path: str, options: Options, args: list[str]) -> None:
        self._connect = connect
        self.path, self.options, self.args = path, options, args
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """The daemon's client, made when first needed."""
        if self._client is None:
            self._client = self._connect()
        return self._client

    def line(self, text: str) -> None:
        """A line to standard output."""
        sys.stdout.write(f"{text}\n")

    def warn(self, text: str) -> None:
        """A line to standard error."""
        sys.stdout.flush()
        sys.stderr.write(f"{text}\n")


class Arity:
    """How many positionals a command takes; ``most`` None is any number."""

    __slots__ = ("least", "most")

    def __init__(self, least: int, most: int | None) -> None:
        self.least, self.most = least, most

    def problem(self, count: int) -> str:
        """What is wrong with ``count`` positionals, as Docker words it; empty when nothing is."""
        if self.least <= count and (self.most is None or count <= self.most):
            return ""
        if self.most == 0:
            return "accepts no arguments"
        if self.most is None:
            return f"requires at least {self.least} argument{_plural(self.least)}"
        if self.most == self.least:
            return f"requires {self.least} argument{_plural(self.least)}"
        if count < self.least or self.least:
            return f"requires at least {self.least} and at most {self.most} arguments"
        return f"requires at most {self.most} argument{_plural(self.most)}"


def _plural(count: int) -> str:
    return "" if count == 1 else "s"


NONE, ONE, TWO = Arity(0, 0), Arity(1, 1), Arity(2, 2)
ANY, SOME, AT_MOST_ONE = Arity(0, None), Arity(1, None), Arity(0, 1)


class Command:
    """A leaf of the command tree.

    ``synopsis`` is what follows the path in the usage line; ``about`` the help's text. ``interspersed``
    False lets the command's own positionals carry options. ``failure`` is the exit code when the daemon
    refuses, and ``advises`` adds "Run '… --help'" to such an error, as ``docker run`` does. ``complete``
    names what the positionals are (``containers``, ``networks`` …), for the shell. ``verbs`` are commands
    of their own that the first positional names, if more than one word follows it: with one word the first
    is what it is elsewhere.
    """

    def __init__(
        self,
        run: Callable[[Invocation], int],
        synopsis: str,
        about: str,
        arity: Arity,
        flags: Sequence[Flag] = (),
        *,
        interspersed: bool = True,
        failure: int = 1,
        advises: bool = False,
        complete: str = "",
        verbs: Mapping[str, Command] | None = None,
    ) -> None:
        self.run, self.synopsis, self.about, self.arity = run, synopsis, about, arity
        self.flags, self.interspersed = flags, interspersed
        self.failure, self.advises, self.complete = failure, advises, complete
        self.verbs = verbs or {}

    def verb(self, words: Sequence[str]) -> Command | None:
        """The command of its own that the words begin with, if any."""
        if len(words) > 2 or "--help" in words[1:]:
            return self.verbs.get(words[0])
        return None
