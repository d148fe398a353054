"""Which cases are run: all of them (``FAULTS=all``, minutes), or a few of each operation (seconds).

The few are the same in each run, and over all operations they come from every kind of boundary: each
operation takes those of its cases whose kind has been seen least, beginning at a place of its own.
"""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

ALL = os.environ.get("FAULTS") == "all"


class Choice:
    """Remembers which kinds were taken."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()
        self._turn = 0

    def of(self, cases: Sequence[T], kind: Callable[[T], str], count: int) -> list[T]:
        """``count`` of the cases in their order, or all of them."""
        if ALL:
            return list(cases)
        self._turn += 1
        start = (self._turn * 7) % max(1, len(cases))
        rotated = [*range(start, len(cases)), *range(start)]
        chosen: list[int] = []
        for _ in range(min(count, len(cases))):
            best = min((i for i in rotated if i not in chosen), key=lambda i: self._taken[kind(cases[i])])
            self._taken[kind(cases[best])] += 1
            chosen.append(best)
        return [cases[i] for i in sorted(chosen)]
