"""Runs of held ports as messages to the port holder."""

import errno
import socket
from collections.abc import Sequence

from fairway.kernel import holding
from fairway.model.address import Address
from fairway.model.errors import Conflict, System
from fairway.model.hold import CHANGED, UNCHANGED, Held, Hold, refused
from fairway.plan import HeldPort, Step


class Holder:
    """Notes what it is asked; refuses port 1 as taken and port 2 as forbidden, and has released port 3."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[int], list[int]]] = []

    def change(self, release: Sequence[Hold], hold: Sequence[Hold]) -> Sequence[Held]:
        self.asked.append(([h.port for h in release], [h.port for h in hold]))
        return [self._outcome(h) for h in (*release, *hold)]

    def held(self) -> Sequence[Hold]:
        return [Hold("udp", "", 53, "10.1.0.2", 53)]

    def keep(self, owner: socket.socket | None) -> None:
        raise AssertionError(owner)

    def _outcome(self, hold: Hold) -> Held:
        if hold.port < 3:
            error = errno.EADDRINUSE if hold.port == 1 else errno.EACCES
            return refused(hold.protocol, hold.address, hold.port, error)
        return UNCHANGED if hold.port == 3 else CHANGED


def port(number: int, target: str = "10.1.0.2") -> HeldPort:
    return HeldPort("tcp", "", number, Address(target), 80)


def test_a_run_is_one_message() -> None:
    holder = Holder()
    steps = [Step(port(n), n % 2 == 0) for n in range(3, 9)]
    assert holding.take(holder, steps) == [False, True, True, True, True, True]
    assert holder.asked == [([3, 5, 7], [4, 6, 8])]


def test_a_release_after_a_hold_comes_after_it() -> None:
    holder = Holder()
    moved = [Step(port(4), False), Step(port(4, "10.1.0.3"))]
    holding.take(holder, [Step(port(4)), Step(port(5), False), *moved])
    assert holder.asked == [([5], [4]), ([4], [4])]


def test_refusals_are_kinds_of_faults() -> None:
    taken, forbidden = holding.take(Holder(), [Step(port(1)), Step(port(2))])
    assert isinstance(taken, Conflict)
    assert taken.message == "listen tcp4 0.0.0.0:1: bind: address already in use"
    assert isinstance(forbidden, System)
    assert forbidden.message == "listen tcp4 0.0.0.0:2: bind: permission denied"


def test_what_is_held_are_facts() -> None:
    assert holding.facts(Holder()) == {HeldPort("udp", "", 53, Address("10.1.0.2"), 53)}
