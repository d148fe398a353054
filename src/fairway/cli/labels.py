"""``key=value`` lists and the files that hold them: labels, environment, log options.

A label without ``=`` has the empty value. An environment variable without ``=`` is taken from our own
environment and left out when it is not set there. Files: one a line, ``#`` starts a comment, no quoting.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from fairway.model.errors import InvalidParameter


def label_pairs(texts: Iterable[str]) -> dict[str, str]:
    """``["a=b", "c"]`` → ``{"a": "b", "c": ""}``; the last of a key wins."""
    found = {}
    for text in texts:
        key, _, value = text.partition("=")
        found[key] = value
    return found


def read_lines(name: str) -> list[str]:
    """The lines of a label or environment file that say something; ``InvalidParameter`` when it cannot be
    read.
    """
    try:
        text = Path(name).read_bytes()
    except OSError as error:
        raise InvalidParameter(f"open {name}: {(error.strerror or '').lower()}") from error
    try:
        lines = text.decode().removeprefix("\ufeff").splitlines()
    except UnicodeDecodeError as error:
        raise InvalidParameter(f"env file {name} contains invalid utf8 bytes") from error
    stripped = (line.lstrip() for line in lines)
    return [line for line in stripped if line and not line.startswith("#")]


def environment(files: Iterable[str], texts: Iterable[str]) -> list[str]:
    """``NAME=value`` of all files, then of the options, names alone looked up here."""
    found: list[str] = []
    for name in files:
        for line in read_lines(name):
            variable = line.partition("=")[0]
            if not variable:
                raise InvalidParameter(f"invalid env file ({name}): no variable name on line '{line}'")
            if any(char in variable for char in " \t"):
                raise InvalidParameter(
                    f"invalid env file ({name}): variable '{variable.rstrip()}' contains whitespaces"
                )
            found.append(line)
    found += texts
    return [resolved for text in found if (resolved := _resolve(text)) is not None]


def _resolve(text: str) -> str | None:
    if "=" in text:
        return text
    return f"{text}={os.environ[text]}" if text in os.environ else None


def labels(files: Iterable[str], texts: Iterable[str]) -> dict[str, str]:
    """Labels of all files, then of the options."""
    lines = [line for name in files for line in read_lines(name)]
    return label_pairs([*lines, *texts])
