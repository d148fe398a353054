"""Differences between records and host (Fairway's own, not in Docker's API)."""

from typing import Any

from fairway.model.difference import Difference, Examination


def examination(found: Examination) -> dict[str, Any]:
    """``Differences`` are those of before; each tells whether it is ``Fixed``."""
    left = frozenset(found.left)
    return {
        "Differences": [_difference(each, fixed=each not in left) for each in (*found.found, *_new(found))],
        "Problems": list(found.problems),
    }


def _new(found: Examination) -> list[Difference]:
    """What only showed while the rest was being mended."""
    known = frozenset(found.found)
    return [each for each in found.left if each not in known]


def _difference(each: Difference, *, fixed: bool) -> dict[str, Any]:
    return {"Kind": each.kind, "ID": each.id, "Name": each.name, "Text": each.text, "Fixed": fixed}
