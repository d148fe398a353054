"""``fairway``: find the command, parse its options, run it, end with its exit code.

The way of a command line: global options up to the first word; the word names a command or a group; the
leaf's module is imported, its options are parsed, its ``run`` is called with the daemon's client. Every
failure passes through here once and gets its text and code from ``exits``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from fairway import __version__
from fairway.cli import usage
from fairway.cli.command import Command, Invocation
from fairway.cli.exits import FAILED, NEVER_STARTED, OK, Exit, advice, describe
from fairway.cli.flags import HelpWanted, Options, Parser, UsageError
from fairway.cli.hosts import GLOBAL_FLAGS, connect
from fairway.cli.tree import COMMON, GROUPS, SHORT, Group, Leaf, spellings
from fairway.model.errors import Fault

PROGRAM = "fairway"
INTERRUPTED, BROKEN_PIPE = 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line (``sys.argv`` by default); the exit code."""
    _open_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        # Standard output must not be flushed again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # whoever read our output has gone
            return BROKEN_PIPE
        return _complain(f"{PROGRAM}: {error}", 1)
    return code


def _open_standard_streams() -> None:
    """Those we were started without lead to ``/dev/null``, lest the daemon's socket takes their number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def _complain(text: str, code: int) -> int:
    sys.stdout.flush()
    sys.stderr.write(f"{text}\n")
    return code


def _run(argv: list[str]) -> int:
    try:
        options, rest = Parser(GLOBAL_FLAGS, False, _notice).parse(argv)
    except HelpWanted:
        return _show(_root_help())
    except UsageError as error:
        return _misused(str(error), PROGRAM, "[OPTIONS] COMMAND [ARG...]")
    if options.flag("version"):
        return _show(f"Fairway version {__version__}, build {build()}\n")
    if not rest or rest == ["help"]:
        return _show(_root_help())
    if rest[0] == "help":
        rest = [*rest[1:], "--help"]
        if rest[0] not in GROUPS and rest[0] not in SHORT:
            return _complain(f"unknown help topic: {' '.join(rest[:-1])}", FAILED)
    return _dispatch(options, rest)


def build() -> str:
    """What ``--version`` calls the build."""
    return "source"


def _notice(text: str) -> None:
    # To standard output, where Docker's command has it, too.
    sys.stdout.write(f"{text}\n")


def _show(text: str) -> int:
    sys.stdout.write(text)
    return OK


def _dispatch(options: Options, words: list[str]) -> int:
    name, rest = words[0], words[1:]
    if (group := GROUPS.get(name)) is not None:
        return _in_group(options, name, group, rest)
    if (leaf := SHORT.get(name)) is not None:
        return _invoke(options, f"{PROGRAM} {name}", leaf, rest)
    return _complain(
        f"{PROGRAM}: unknown command: {PROGRAM} {name}\n\nRun '{PROGRAM} --help' for more information", FAILED
    )


def _in_group(options: Options, name: str, group: Group, words: list[str]) -> int:
    path = f"{PROGRAM} {name}"
    if not words or words[0] in ("--help", "-h", "help"):
        leaves = sorted((leaf_name, leaf.summary) for leaf_name, leaf in group.leaves.items())
        text = usage.group_help(path, group.about, leaves)
        return _show(text) if words else _complain(text.rstrip("\n"), OK)
    if words[0].startswith("-"):
        return _misused(f"unknown flag: {words[0]}", path, "COMMAND")
    leaf = group.find(words[0])
    if leaf is None:
        problem = f"{PROGRAM}: unknown command: {path} {words[0]}\n\nUsage:  {path}"
        return _complain(f"{problem}\n\nRun '{path} --help' for more information", FAILED)
    return _invoke(options, f"{path} {words[0]}", leaf, words[1:])


def _invoke(options: Options, path: str, leaf: Leaf, words: list[str]) -> int:
    command = leaf.load()
    if verb := command.verb(words):
        path, command, words = f"{path} {words[0]}", verb, words[1:]
    try:
        parsed, args = Parser(command.flags, command.interspersed, _notice).parse(words)
    except HelpWanted:
        return _show(command_help(path, leaf, command))
    except UsageError as error:
        return _misused(str(error), path, command.synopsis)
    if problem := command.arity.problem(len(args)):
        return _miscounted(problem, path, command)
    invocation = Invocation(lambda: connect(options), path, parsed, args)
    try:
        return command.run(invocation)
    except Exit as ending:
        return _complain(ending.text, ending.code) if ending.text else ending.code
    except Fault as fault:
        text = describe(fault)
        return _complain(advice(path, text) if command.advises else text, command.failure)


def command_help(path: str, leaf: Leaf, command: Command) -> str:
    """The help of one command as it was spelt."""
    aliases = spellings(PROGRAM, leaf)
    if command is not leaf.load():
        verb = path.rpartition(" ")[2]
        aliases = [f"{spelling} {verb}" for spelling in aliases]
    line = f"{path} {command.synopsis}".rstrip()
    return usage.command_help(line, command.about, aliases, command.flags, usage.terminal_width())


def _misused(problem: str, path: str, synopsis: str) -> int:
    return _complain(
        f"{problem}\n\nUsage:  {path} {synopsis}\n\nRun '{path} --help' for more information", NEVER_STARTED
    )


def _miscounted(problem: str, path: str, command: Command) -> int:
    verb = "See" if command.arity.most is None else "Run"
    line = f"{path} {command.synopsis}".rstrip()
    return _complain(
        f"{PROGRAM}: '{path}' {problem}\n\nUsage:  {line}\n\n{verb} '{path} --help' for more information",
        FAILED,
    )


def _root_help() -> str:
    common = [(name, SHORT[name].summary) for name in COMMON]
    groups = sorted((name, group.summary) for name, group in GROUPS.items())
    others = sorted(
        (name, leaf.summary)
        for name, leaf in SHORT.items()
        if name not in COMMON and not name.startswith("__")
    )
    sections = (("Common Commands", common), ("Management Commands", groups), ("Commands", others))
    text = f"Usage:  {PROGRAM} [OPTIONS] COMMAND\n\nDocker's container networking as an engine of its own\n"
    for title, rows in sections:
        text += f"\n{title}:\n{usage.command_rows(rows)}"
    text += f"\nGlobal Options:\n{usage.flag_table(GLOBAL_FLAGS, usage.terminal_width() - 1)}"
    return text + f"\nRun '{PROGRAM} COMMAND --help' for more information on a command.\n"
