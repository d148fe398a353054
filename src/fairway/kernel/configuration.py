"""Addresses and routes of one namespace: a run of them is one look-up of link indices and one send.

Whatever is there already counts as done; a route that is there but leads elsewhere is in the way and named.
Absent things, and things on links that are gone, count as withdrawn.
"""

import errno
from collections.abc import Sequence

from fairway.kernel.netlink import Answer, Message, absent
from fairway.kernel.rtnetlink import (
    RT_TABLE_MAIN,
    RouteEntry,
    delete_address,
    delete_route,
    dump_routes,
    new_address,
    new_route,
    read_route,
)
from fairway.kernel.schedule import Outcome
from fairway.kernel.sysctls import place
from fairway.kernel.visits import Visits
from fairway.model.address import family
from fairway.model.errors import Conflict, Fault, System
from fairway.plan import Address, Route, Step


class Configuration:
    """The hand for addresses and routes. Only for the worker thread."""

    def __init__(self, visits: Visits) -> None:
        self._visits = visits

    def take(self, steps: Sequence[Step]) -> list[Outcome]:
        """Take a run of steps in one namespace, in order, in as few sends as possible."""
        facts = [s.fact for s in steps if isinstance(s.fact, Address | Route)]
        namespace = facts[0].namespace
        try:
            links = self._visits.links(namespace, (f.link for f in facts))
            channel = self._visits.channel(namespace)
        except FileNotFoundError:
            return [_no_link(s, "no such network namespace") for s in steps]
        known = [(s, f, links[f.link].index) for s, f in zip(steps, facts, strict=True) if f.link in links]
        answers = channel.exchange([_message(fact, index, s.present) for s, fact, index in known])
        told = iter(zip(known, answers, strict=True))
        outcomes: list[Outcome] = []
        for step, fact in zip(steps, facts, strict=True):
            if fact.link not in links:
                outcomes.append(_no_link(step, f"no such interface: {fact.link}"))
                continue
            (_, _, index), answer = next(told)
            outcomes.append(self._outcome(step, fact, index, answer))
        return outcomes

    def _outcome(self, step: Step, fact: Address | Route, index: int, answer: Answer) -> Outcome:
        if answer.code == 0:
            return True
        if not step.present:
            return False if absent(answer) else System(f"cannot remove {_name(fact)}: {answer}")
        if answer.code == errno.EEXIST:
            if isinstance(fact, Address):
                return False
            return self._same_route(fact, index)
        hint = "; is the gateway in a subnet of this interface?" if answer.code == errno.ENETUNREACH else ""
        return System(f"cannot add {_name(fact)}: {answer}{hint}")

    def _same_route(self, route: Route, index: int) -> Outcome:
        """False if exactly this route is there, a conflict naming the one in the way otherwise."""
        bodies = self._visits.channel(route.namespace).dump(dump_routes(family(route.destination)))
        there = [r for r in map(read_route, bodies) if _alike(r, route)]
        if any(r.gateway == route.gateway and r.index == index for r in there):
            return False
        via = there[0].gateway if there else "another gateway"
        return Conflict(f"cannot add {_name(route)}: there is one through {via} already")


def _alike(entry: RouteEntry, route: Route) -> bool:
    return entry.destination == route.destination and entry.table == RT_TABLE_MAIN


def _message(fact: Address | Route, index: int, present: bool) -> Message:
    if isinstance(fact, Address):
        if present:
            return new_address(fact.address, index, fact.link)
        return delete_address(fact.address, index)
    return (new_route if present else delete_route)(fact.destination, fact.gateway, index)


def _name(fact: Address | Route) -> str:
    if isinstance(fact, Address):
        return f"address {fact.address} on {fact.link}{place(fact.namespace)}"
    return f"route {fact.destination} via {fact.gateway} on {fact.link}{place(fact.namespace)}"


def _no_link(step: Step, why: str) -> Fault | bool:
    assert isinstance(step.fact, Address | Route)
    return System(f"cannot add {_name(step.fact)}: {why}") if step.present else False
