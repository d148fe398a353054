"""How a plan is worked through, whoever does the work: in runs, all or nothing, or going on to the end. Pure.

A *hand* takes a run of steps and says of each whether it changed something, or why it could not. From that:

    apply      stop at the first failure, take back what was changed, raise
    withdraw   go on, return all failures

Two things are decided before: a step whose link or namespace goes away in the same plan is *carried* by that
(the link takes its addresses along; one message instead of three); and a link that goes and comes back in one
plan is *changed in place*, not deleted, so that recovery from a wrong MTU or a link set down by hand does not
tear the running containers' connections. A host port that changes its target is never let go: its withdrawal
waits for the step that holds it again, and both are taken at once.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from fairway.model.errors import Fault
from fairway.plan import (
    HOST,
    Address,
    Bridge,
    Element,
    Flows,
    Hairpin,
    HeldPort,
    Namespace,
    Plan,
    Route,
    Step,
    Sysctl,
    Veth,
)

Outcome = bool | Fault
"""True: changed. False: it was so already. A fault: it could not be."""
Hand = Callable[[Sequence[Step]], Sequence[Outcome]]


@dataclass(slots=True)
class Result:
    """Steps that changed something, in the plan's order, and what failed."""

    changed: list[Step] = field(default_factory=list)
    failures: list[Fault] = field(default_factory=list)


def apply(plan: Plan, hand: Hand) -> None:
    """Take all steps or none. Raises the first Fault; what could not be undone is added to its text."""
    result = work(plan, hand, stop=True)
    if not result.failures:
        return
    undone = work(Plan(tuple(result.changed)).inverse(), hand, stop=False)
    fault = result.failures[0]
    if undone.failures:
        left = "; ".join(f.message for f in undone.failures)
        raise type(fault)(f"{fault.message}; and undoing failed: {left}") from fault
    raise fault


def withdraw(plan: Plan, hand: Hand) -> list[Fault]:
    """Take every step that can be taken; the failures."""
    return work(plan, hand, stop=False).failures


def work(plan: Plan, hand: Hand, *, stop: bool) -> Result:
    """Take the plan run by run; after a run with a failure, stop if asked to."""
    result = Result()
    changed: set[Step] = set()
    steps, carried = reduce(plan)
    for run in runs(steps):
        for step, outcome in zip(run, hand(run), strict=True):
            if isinstance(outcome, Fault):
                result.failures.append(outcome)
            elif outcome:
                changed.update((step, *carried.get(step, ())))
        if stop and result.failures:
            break
    result.changed = [step for step in plan if step in changed]
    return result


def reduce(plan: Plan) -> tuple[list[Step], dict[Step, list[Step]]]:
    """The steps that must be taken, and by carrier those that come along with it."""
    steps = _unreleased(_in_place(plan))
    going = {
        _place(s.fact): s for s in steps if not s.present and isinstance(s.fact, Namespace | Bridge | Veth)
    }
    taken: list[Step] = []
    carried: dict[Step, list[Step]] = {}
    for step in steps:
        carrier = next((going[p] for p in _carriers(step) if p in going), None)
        if carrier is None or carrier == step:
            taken.append(step)
        else:
            carried.setdefault(carrier, []).append(step)
    return taken, carried


def _in_place(plan: Plan) -> list[Step]:
    """Without the withdrawals of links that are established again later as the same link."""
    comes: set[tuple[str, ...]] = set()
    steps: list[Step] = []
    for step in reversed(plan.steps):
        if isinstance(step.fact, Bridge | Veth):
            if step.present:
                comes.add(_identity(step.fact))
            elif _identity(step.fact) in comes:
                continue
        steps.append(step)
    return steps[::-1]


def _unreleased(steps: Sequence[Step]) -> list[Step]:
    """With withdrawals of host ports moved to just before the step that holds the same port again, if any."""
    coming = Counter(_port(s.fact) for s in steps if s.present and isinstance(s.fact, HeldPort))
    if not coming:
        return list(steps)
    waiting: dict[tuple[str, str, int], Step] = {}
    result: list[Step] = []
    for step in steps:
        if isinstance(step.fact, HeldPort):
            port = _port(step.fact)
            if not step.present and coming[port]:
                waiting[port] = step
                continue
            if step.present:
                coming[port] -= 1
                if port in waiting:
                    result.append(waiting.pop(port))
        result.append(step)
    return result


def _port(fact: HeldPort) -> tuple[str, str, int]:
    """What only one can hold."""
    return fact.protocol, fact.address, fact.port


def _identity(link: Bridge | Veth) -> tuple[str, ...]:
    """What a change cannot alter."""
    return (link.name,) if isinstance(link, Bridge) else (link.name, link.namespace, link.peer)


def _place(fact: object) -> tuple[str, str]:
    """(namespace, link) that goes away with the fact; an empty link stands for the whole namespace."""
    if isinstance(fact, Namespace):
        return fact.path, ""
    assert isinstance(fact, Bridge | Veth)
    return HOST, fact.name


def _carriers(step: Step) -> Iterator[tuple[str, str]]:
    """Places whose going makes this withdrawal superfluous."""
    fact = step.fact
    if step.present or not isinstance(fact, Address | Route | Sysctl | Hairpin):
        return
    if isinstance(fact, Hairpin):
        yield HOST, fact.link
    elif fact.namespace:
        yield fact.namespace, ""
    elif not isinstance(fact, Sysctl):
        yield HOST, fact.link


def runs(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """Neighbouring steps that one hand takes in one go: links; configuration of one namespace; elements."""
    for _, group in groupby(enumerate(steps), key=lambda item: _run(*item)):
        yield [step for _, step in group]


def _run(position: int, step: Step) -> tuple[object, ...]:
    match step.fact:
        case Bridge() | Veth():
            # a port needs its bridge's index, so bridges and veths are runs of their own
            return type(step.fact), step.present
        case Address(namespace=namespace) | Route(namespace=namespace):
            return "configuration", namespace
        case Element():
            return ("elements",)
        case HeldPort():
            return ("ports",)
        case Flows() | Hairpin():
            return type(step.fact), step.present
        case _:
            return ("single", position)
