"""What ``cp`` makes of its two paths: pure rules, after docker/cli and moby's ``archive/copy.go``.

A trailing ``/`` or ``/.`` says "a directory", and ``/.`` "its content"; it survives every normalisation.
Whether the source lands *in* the destination or *as* it depends on what is there:

    destination           source is a file            source is a directory
    a directory           into it                     into it (``/.``: its content)
    another file          replaces it                 refused
    not there             becomes it; ``/``: refused  becomes it
"""

from __future__ import annotations

import posixpath

from fairway.cli.exits import FAILED, Exit


class Source:
    """What is copied. ``rename`` is what it is to be called if its last part was a link that was followed."""

    def __init__(self, path: str, is_directory: bool, rename: str = "") -> None:
        self.path, self.is_directory, self.rename = path, is_directory, rename


class Target:
    """Where it is copied to; ``is_directory`` False if nothing ``exists`` there."""

    def __init__(self, path: str, exists: bool = False, is_directory: bool = False) -> None:
        self.path, self.exists, self.is_directory = path, exists, is_directory


Renaming = tuple[str, str]
"""Old and new beginning of the names in an archive."""


def split_argument(argument: str) -> tuple[str, str]:
    """Container (empty for a local path) and path. ``./a:b`` and ``/a:b`` are local."""
    container, colon, path = argument.partition(":")
    if argument.startswith("/") or not colon or container.startswith("."):
        return "", argument
    return container, path


def clean(path: str) -> str:
    """Go's ``filepath.Clean``."""
    text = posixpath.normpath(path) if path else "."
    return text[1:] if text.startswith("//") else text


def last(path: str) -> str:
    """Go's ``filepath.Base``: ``/`` for the root, ``.`` for nothing."""
    if not path:
        return "."
    return posixpath.basename(path.rstrip("/")) or "/"


def says_content(path: str) -> bool:
    return last(path) == "."


def says_directory(path: str) -> bool:
    return path.endswith("/") or says_content(path)


def keep_ending(cleaned: str, original: str) -> str:
    """``cleaned`` with the trailing ``/`` or ``/.`` that ``original`` has."""
    if not says_content(cleaned) and says_content(original):
        cleaned = f"{cleaned}." if cleaned.endswith("/") else f"{cleaned}/."
    if not cleaned.endswith("/") and original.endswith("/"):
        cleaned += "/"
    return cleaned


def split_entry(path: str) -> tuple[str, str]:
    """Directory and entry; a trailing ``.`` counts as the entry."""
    cleaned = clean(path) + ("/." if says_content(path) else "")
    return clean(posixpath.dirname(cleaned) or "."), last(cleaned)


def followed(path: str, resolved: str) -> tuple[str, str]:
    """A link's path and what it led to → the path to copy, and the name to give it (empty: as it is)."""
    if says_content(path) and not says_content(resolved):
        resolved += "/."
    if path.endswith("/") and not resolved.endswith("/"):
        resolved += "/"
    return resolved, last(path) if last(path) != last(resolved) else ""


def prepare(source: Source, target: Target) -> tuple[str, Renaming | None]:
    """The directory to extract the source's archive into, and how its names must change. Raises Exit."""
    if target.exists and target.is_directory:
        return target.path, None
    if target.exists and source.is_directory:
        raise Exit(FAILED, "cannot copy directory")
    if not target.exists and not source.is_directory and says_directory(target.path):
        raise Exit(FAILED, "no such directory")
    directory, entry = split_entry(target.path)
    return directory, (source.rename or split_entry(source.path)[1], entry)


def renamed(name: str, renaming: Renaming | None) -> str:
    """An entry's name in the archive."""
    if renaming is None:
        return name
    old, new = renaming
    return name.replace("" if old == "/" else old, new, 1)
