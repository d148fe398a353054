"""Progress and counts, printed past pytest's capture: a complete run takes minutes."""

import sys
from collections import Counter

from faults.kills import Result

_totals: Counter[str] = Counter()


def told(what: str, operation: str, possible: int, result: Result) -> None:
    """One line for an operation, and the sums so far."""
    _totals[what] += result.cases
    _totals[f"{what}, not reached"] += result.missed
    sums = ", ".join(f"{name} {count}" for name, count in _totals.items())
    line = f"{what} {operation}: {result.cases} of {possible} cases, {len(result.findings)} findings ({sums})"
    sys.__stderr__.write(f"\n{line}\n")  # type: ignore[union-attr]
