"""Options, parsed as Docker's are (the Go library pflag): ``--flag value``, ``--flag=value``, ``-it``,
``-p80:80``.

argparse was rejected: it knows no ``--flag=false`` booleans, no end of the options at the first positional,
has other error texts and another shape of help, and importing it (with gettext) costs 10 ms of the 60 that
``network ls`` may use. Two hundred lines of our own do exactly what is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fairway.cli.kinds import BOOL, Kind, Refused
from fairway.model.errors import InvalidParameter


class UsageError(InvalidParameter):
    """The command line is wrong; the text is pflag's, the usage line is printed with it."""


class Flag:
    """One option.

    ``text`` is the help; ``shown`` replaces the default in help where it is not the kind's own rendering;
    ``alias_of`` makes a second, hidden spelling of another option; ``deprecated`` is what to use instead.
    """

    __slots__ = ("alias_of", "default", "deprecated", "hidden", "kind", "name", "short", "shown", "text")

    def __init__(
        self,
        name: str,
        kind: Kind,
        text: str = "",
        *,
        short: str = "",
        default: Any = None,
        shown: str | None = None,
        hidden: bool = False,
        alias_of: str = "",
        deprecated: str = "",
    ) -> None:
        self.name, self.kind, self.text, self.short = name, kind, text, short
        self.default = kind.zero() if default is None else default
        self.shown, self.alias_of, self.deprecated = shown, alias_of, deprecated
        self.hidden = hidden or bool(alias_of) or bool(deprecated)

    @property
    def label(self) -> str:
        """How error texts name it: ``-m, --memory`` or ``--memory``."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


class Options:
    """The values of one parsed command line: by name, typed by the accessor that asks."""

    def __init__(self, flags: Sequence[Flag]) -> None:
        self._values: dict[str, Any] = {flag.name: flag.default for flag in flags if not flag.alias_of}
        self._changed: set[str] = set()

    def given(self, name: str) -> bool:
        """Whether the option was on the command line."""
        return name in self._changed

    def flag(self, name: str) -> bool:
        """A boolean."""
        return bool(self._values[name])

    def text(self, name: str) -> str:
        """A string."""
        return str(self._values[name])

    def number(self, name: str) -> int:
        """An integer: a count, bytes, nanoseconds."""
        return int(self._values[name])

    def items(self, name: str) -> list[str]:
        """A repeatable option, in order."""
        return list(self._values[name])

    def values(self, name: str) -> list[Any]:
        """A repeatable option whose kind parses into something richer than text."""
        return list(self._values[name])

    def pairs(self, name: str) -> dict[str, str]:
        """A repeatable ``key=value`` option."""
        return dict(self._values[name])

    def put(self, flag: Flag, name: str, text: str) -> None:
        """Take one occurrence of ``flag``; raises ``UsageError``."""
        try:
            value = flag.kind.parse(text)
        except Refused as refused:
            raise UsageError(f'invalid argument "{text}" for "{flag.label}" flag: {refused}') from refused
        before = self._values[name] if name in self._changed else flag.kind.zero()
        self._values[name] = flag.kind.add(before, value)
        self._changed.add(name)


class Parser:
    """Splits a command line into options and positionals.

    ``interspersed`` False ends the options at the first positional, for commands that carry a command line.
    ``notice`` is called with a text for each deprecated option used.
    """

    def __init__(self, flags: Sequence[Flag], interspersed: bool, notice: Callable[[str], None]) -> None:
        self._flags = flags
        self._long = {flag.name: flag for flag in flags}
        self._short = {flag.short: flag for flag in flags if flag.short}
        self._interspersed, self._notice = interspersed, notice

    def parse(self, argv: Sequence[str]) -> tuple[Options, list[str]]:
        """Options and positionals; raises ``UsageError``, or ``HelpWanted`` for ``--help``."""
        options, rest, at = Options(self._flags), list[str](), 0
        while at < len(argv):
            word = argv[at]
            at += 1
            if word == "--":
                return options, rest + list(argv[at:])
            if len(word) < 2 or word[0] != "-":
                if not self._interspersed:
                    return options, list(argv[at - 1 :])
                rest.append(word)
            elif word.startswith("--"):
                at += self._take_long(options, word, argv[at : at + 1])
            else:
                at += self._take_short(options, word, argv[at : at + 1])
        return options, rest

    def _take_long(self, options: Options, word: str, after: Sequence[str]) -> int:
        """How many words more than its own the option used up."""
        name, equals, value = word[2:].partition("=")
        if not name or name[0] == "-":
            raise UsageError(f"bad flag syntax: {word}")
        flag = self._long.get(name)
        if flag is None:
            if name == "help":
                raise HelpWanted
            raise UsageError(f"unknown flag: --{name}")
        if equals:
            self._put(options, flag, value)
        elif flag.kind is BOOL:
            self._put(options, flag, "true")
        elif after:
            self._put(options, flag, after[0])
            return 1
        else:
            raise UsageError(f"flag needs an argument: --{name}")
        return 0

    def _take_short(self, options: Options, word: str, after: Sequence[str]) -> int:
        cluster = word[1:]
        while cluster:
            letter, cluster = cluster[0], cluster[1:]
            flag = self._short.get(letter)
            if flag is None:
                if letter == "h":
                    self._notice("Flag shorthand -h has been deprecated, use --help")
                    raise HelpWanted
                raise UsageError(f"unknown shorthand flag: '{letter}' in {word}")
            if cluster[:1] == "=":
                self._put(options, flag, cluster[1:])
                return 0
            if flag.kind is BOOL:
                self._put(options, flag, "true")
            elif cluster:
                self._put(options, flag, cluster)
                return 0
            elif after:
                self._put(options, flag, after[0])
                return 1
            else:
                raise UsageError(f"flag needs an argument: '{letter}' in {word}")
        return 0

    def _put(self, options: Options, flag: Flag, text: str) -> None:
        if flag.name == "help":
            raise HelpWanted
        if flag.deprecated:
            self._notice(f"Flag --{flag.name} has been deprecated, {flag.deprecated}")
        options.put(flag, flag.alias_of or flag.name, text)


class HelpWanted(Exception):
    """``--help`` was given."""
