"""Published ports of the host, held by a process of their own so that no other can take them.

A run of steps is one message, however many ports it has. A port that is withdrawn and established again with
another target stays held in between (``schedule`` brings the two together).
"""

import errno
import socket
from collections.abc import Iterator, Sequence
from typing import Protocol

from fairway.kernel.schedule import Outcome
from fairway.model.address import Address
from fairway.model.errors import Conflict, System
from fairway.model.hold import Held, Hold
from fairway.plan import HeldPort, Step


class PortHolder(Protocol):
    """Who listens on the ports. Blocking; called from the kernel worker."""

    def change(self, release: Sequence[Hold], hold: Sequence[Hold]) -> Sequence[Held]:
        """Release, then hold; the outcomes in this order. What cannot be held does not keep the rest.

        Raises System.
        """

    def held(self) -> Sequence[Hold]:
        """All ports that are held."""

    def keep(self, owner: socket.socket | None) -> None:
        """Keep a socket open instead of the one before, if any, for what lives as long as it does.

        It is taken over, closing it included. After an exception it is still the caller's. Raises System.
        """


def take(holder: PortHolder, steps: Sequence[Step]) -> list[Outcome]:
    """Hold and release; per step whether it changed anything, or why not. Raises System."""
    return [outcome for part in _parts(steps) for outcome in _take(holder, part)]


def facts(holder: PortHolder) -> set[HeldPort]:
    """What is held. Raises System."""
    return {HeldPort(h.protocol, h.address, h.port, Address(h.target), h.target_port) for h in holder.held()}


def outcome_of(held: Held) -> Outcome:
    """``Conflict`` if somebody else has the port, ``System`` for what else was in the way."""
    if not held.error:
        return held.changed
    return Conflict(held.text) if held.error == errno.EADDRINUSE else System(held.text)


def hold_of(fact: HeldPort) -> Hold:
    return Hold(fact.protocol, fact.address, fact.port, fact.target, fact.target_port)


def _parts(steps: Sequence[Step]) -> Iterator[Sequence[Step]]:
    """Runs in which nothing is released that was held before: the order within does not matter then."""
    start, held = 0, set()
    for at, step in enumerate(steps):
        assert isinstance(step.fact, HeldPort)
        key = hold_of(step.fact).key
        if step.present:
            held.add(key)
        elif key in held:
            yield steps[start:at]
            start, held = at, set()
    yield steps[start:]


def _take(holder: PortHolder, steps: Sequence[Step]) -> list[Outcome]:
    ordered = sorted(range(len(steps)), key=lambda i: steps[i].present)  # stable; what is released first
    holds = [hold_of(fact) for i in ordered if isinstance(fact := steps[i].fact, HeldPort)]
    first = sum(not step.present for step in steps)
    outcomes: dict[int, Outcome] = {}
    for i, held in zip(ordered, holder.change(holds[:first], holds[first:]), strict=True):
        outcomes[i] = outcome_of(held)
    return [outcomes[i] for i in range(len(steps))]
