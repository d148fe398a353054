"""Whether what many clients were told is what they would have been told one after the other.

Each reply is an operation on a few *cells*: a name (free, or taken by an id), a container's process, an
endpoint. An operation happened at some moment between its request and its answer, and what it says holds at
that moment. A history is consistent when moments can be found for all (Herlihy and Wing, "Linearizability",
1990). That holds for a whole exactly when it holds for each cell, so each is looked at alone.

The search takes the operations in the order in which they were answered ("just in time", Lowe 2017): at
each answer it keeps every state that some order allows, with the operations under way that have been placed.
Cells have few values and few operations under way at a time, so there are few of these.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

Value = str
FREE: Value = ""
"""The first value of each cell."""


@dataclass(frozen=True, slots=True)
class Effect:
    """``after``: from the value before to those possible afterwards; none if the reply could not be given.

    What only ``looks`` leaves the value as it is. What ``may`` happen need not, and may happen again, at any
    moment while the operation is under way.
    """

    after: Callable[[Value], Iterable[Value]]
    looks: bool = False
    may: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Operation:
    """``told`` is for people: request and reply."""

    sent: float
    answered: float
    effect: Effect
    told: str


def take(value: Value) -> Effect:
    """Was free, is taken."""
    return change(FREE, value)


def leave(value: Value) -> Effect:
    """Free if it was taken by this one; whoever else has it keeps it."""
    return Effect(lambda before: (FREE,) if before == value else (before,))


def change(source: Value, target: Value, *otherwise: Value) -> Effect:
    """From one value to another; of those ``otherwise`` it may have been already."""
    return Effect(lambda before: (target,) if before == source else (before,) if before in otherwise else ())


def see(value: Value) -> Effect:
    """Has exactly this value."""
    return seen(lambda before: before == value)


def seen(fits: Callable[[Value], bool]) -> Effect:
    return Effect(lambda before: (before,) if fits(before) else (), looks=True)


def maybe(after: Callable[[Value], Iterable[Value]]) -> Effect:
    return Effect(after, may=True)


TAKEN = seen(lambda before: before != FREE)
"""By anybody."""


Possible = tuple[Value, frozenset[Operation]]
"""A value, and the operations under way that have had their moment."""


def contradiction(operations: Sequence[Operation]) -> list[Operation]:
    """Empty if the history is consistent; else the operations up to the answer that nothing can explain, and
    behind them those that were under way."""
    possible: set[Possible] = {(FREE, frozenset())}
    under_way: list[Operation] = []
    past: list[Operation] = []
    for operation, answered in _moments(operations):
        if not answered:
            under_way.append(operation)
            continue
        past.append(operation)
        found = _placed(possible, operation, under_way)
        possible = {(value, placed - {operation}) for value, placed in found}
        under_way.remove(operation)
        if not possible:
            return past + under_way
    return []


def _moments(operations: Sequence[Operation]) -> Iterator[tuple[Operation, bool]]:
    """Requests and answers in order; a request before an answer of the same instant."""
    moments = [(o.sent, 0, i) for i, o in enumerate(operations)]
    moments += [(o.answered, 1, i) for i, o in enumerate(operations)]
    for _, answered, index in sorted(moments):
        yield operations[index], bool(answered)


def _placed(possible: set[Possible], wanted: Operation, under_way: Sequence[Operation]) -> set[Possible]:
    """Everything that is possible once ``wanted`` has had its moment, with any others before it.

    Who only looks, and can be told so now, is: that never stands in the way of anything.
    """
    found: set[Possible] = set()
    looking = [o for o in under_way if o.effect.looks]
    changing = [o for o in under_way if not o.effect.looks]
    seen, left = set(possible), list(possible)
    while left:
        value, placed = left.pop()
        placed = placed.union(o for o in looking if o not in placed and o.effect.after(value))
        if wanted in placed or wanted.effect.may:
            found.add((value, placed))
        if wanted in placed:
            continue
        for operation in changing:
            if operation in placed:
                continue
            now = placed if operation.effect.may else placed | {operation}
            for after in operation.effect.after(value):
                if (after, now) not in seen:
                    seen.add((after, now))
                    left.append((after, now))
    return found
