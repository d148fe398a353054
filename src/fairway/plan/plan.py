"""Plans: ordered steps that establish or withdraw facts."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import msgspec

from fairway.model.address import host
from fairway.plan.facts import (
    HOST,
    Address,
    Bridge,
    Element,
    Fact,
    Flows,
    Hairpin,
    HeldPort,
    Namespace,
    Overlay,
    Resolver,
    Route,
    Sysctl,
    Veth,
)

ORDER: tuple[type, ...] = (
    Overlay,
    Namespace,
    Sysctl,
    Flows,
    Bridge,
    Veth,
    Hairpin,
    Address,
    Route,
    HeldPort,
    Element,
    Resolver,
)
"""The order in which facts of different types can be established: each may need those before it.

A sysctl of a link comes after its link: a driver that needs that says so by listing it later in its plan.
"""


class Step(msgspec.Struct, frozen=True, gc=False):
    """One change: ``fact`` shall hold (``present``) or shall not."""

    fact: Fact
    present: bool = True

    def inverse(self) -> "Step":
        return Step(self.fact, not self.present)


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps to be taken in order; applied wholly or, when one fails, undone."""

    steps: tuple[Step, ...] = ()

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __add__(self, other: "Plan") -> "Plan":
        return Plan(self.steps + other.steps)

    def inverse(self) -> "Plan":
        """The plan that takes this one back: inverse steps in reverse order."""
        return Plan(tuple(s.inverse() for s in reversed(self.steps)))

    def facts(self) -> tuple[Fact, ...]:
        """The facts that this plan establishes."""
        return tuple(s.fact for s in self.steps if s.present)


EMPTY = Plan()


def establish(facts: Iterable[Fact]) -> Plan:
    """A plan that makes the facts hold, in the order given."""
    return Plan(tuple(Step(f) for f in facts))


def withdraw(facts: Iterable[Fact]) -> Plan:
    """A plan that takes the facts back, last one first."""
    return establish(facts).inverse()


def difference(desired: Iterable[Fact], actual: Collection[Fact]) -> Plan:
    """The plan that leads from what the kernel holds to what it should hold.

    What is not wanted goes first, dependants before what they depend on; then what is missing comes, in the
    order desired. Sysctls that are not wanted stay, see ``Sysctl``. With an address of a sandbox go its
    connections, which the kernel does not report.
    """
    wanted = tuple(dict.fromkeys(desired))
    keep = frozenset(wanted)
    gone = [f for f in actual if f not in keep and not isinstance(f, Sysctl)]
    flows = [Flows(host(f.address)) for f in gone if isinstance(f, Address) and f.namespace != HOST]
    surplus = sorted(
        dict.fromkeys((*gone, *(f for f in flows if f not in keep))), key=lambda f: ORDER.index(type(f))
    )
    have = frozenset(actual)
    return withdraw(surplus) + establish(f for f in wanted if f not in have)
