"""Help texts: usage line, aliases, options in two columns, sub-commands. Laid out as pflag and cobra do.

The wrapping is pflag's ``FlagUsagesWrapped`` at 79 columns: break at a blank, let a line run five over rather
than leave an orphan, and honour line ends in the text itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL

_SLOP = 5


def terminal_width() -> int:
    """Columns of the terminal on standard input, 80 if there is none."""
    try:
        return os.get_terminal_size(0).columns or 80
    except OSError:
        return 80


def command_help(
    usage: str, description: str, aliases: Sequence[str], flags: Sequence[Flag], width: int
) -> str:
    """The help of a command that runs something."""
    text = f"Usage:  {usage}\n\n{description}\n"
    if aliases:
        text += f"\nAliases:\n  {', '.join(aliases)}\n"
    if table := flag_table(flags, width - 1):
        text += f"\nOptions:\n{table}"
    return text


def group_help(path: str, description: str, commands: Sequence[tuple[str, str]]) -> str:
    """The help of a group: its sub-commands and what they do."""
    rows = command_rows(commands)
    footer = f"Run '{path} COMMAND --help' for more information on a command.\n"
    return f"Usage:  {path} COMMAND\n\n{description}\n\nCommands:\n{rows}\n{footer}"


def command_rows(commands: Sequence[tuple[str, str]]) -> str:
    """Name and description, the names padded to one width (at least 11)."""
    width = max(11, *(len(name) for name, _ in commands))
    return "".join(f"  {name.ljust(width)} {summary}\n" for name, summary in commands)


def flag_table(flags: Sequence[Flag], width: int) -> str:
    """The options, sorted by name, descriptions wrapped at ``width`` columns."""
    rows = []
    for flag in sorted(flags, key=lambda flag: flag.name):
        if not flag.hidden:
            left = f"  -{flag.short}, --{flag.name}" if flag.short else f"      --{flag.name}"
            rows.append((f"{left} {flag.kind.name}".rstrip(), flag.text + _default(flag)))
    if not rows:
        return ""
    column = max(len(left) for left, _ in rows) + 3
    return "".join(f"{left.ljust(column)}{_wrap(column, width, text)}\n" for left, text in rows)


def _default(flag: Flag) -> str:
    if flag.shown is not None:
        return f" (default {flag.shown})" if flag.shown else ""
    if flag.kind.name == "map":
        return " (default map[])"
    if not flag.default:
        return ""
    if flag.kind is BOOL:
        return " (default true)"
    return f' (default "{flag.default}")' if isinstance(flag.default, str) else f" (default {flag.default})"


def _wrap(indent: int, width: int, text: str) -> str:
    space, result = width - indent, ""
    if space < 24:
        indent, space = 16, width - 16
        result = "\n" + " " * indent
    if space < 24:
        return text.replace("\n", result)
    line, text = _cut(space - _SLOP, text)
    result += line.replace("\n", "\n" + " " * indent)
    while text:
        line, text = _cut(space - _SLOP, text)
        result += "\n" + " " * indent + line.replace("\n", "\n" + " " * indent)
    return result


def _cut(at: int, text: str) -> tuple[str, str]:
    """One line and the rest; a line end in the text wins over a later blank."""
    if at + _SLOP > len(text.encode()):
        return text, ""
    blank = max(text.rfind(char, 0, at) for char in " \t\n")
    if blank <= 0:
        return text, ""
    newline = text.rfind("\n", 0, at)
    split = newline if 0 < newline < blank else blank
    return text[:split], text[split + 1 :]
