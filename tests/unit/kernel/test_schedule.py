"""Runs, carried steps, links changed in place, undoing."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from fairway.kernel import schedule
from fairway.model.address import Address as IP
from fairway.model.address import Cidr, Mac
from fairway.model.errors import Conflict, Fault, System
from fairway.plan import (
    HOST,
    Address,
    Bridge,
    Element,
    Fact,
    Flows,
    Hairpin,
    HeldPort,
    Namespace,
    Plan,
    Route,
    Step,
    Veth,
    establish,
    withdraw,
)

BOX = "/run/netns/a"
BRIDGE = Bridge("br-1", Mac("02:00:00:00:00:01"), 1500)
VETH = Veth("veth1", Mac("06:00:00:00:00:02"), "br-1", BOX, "eth0", Mac("02:00:00:00:00:02"), 1500)
GATEWAY = Address(HOST, "br-1", Cidr("10.1.0.1/16"))
ADDRESS = Address(BOX, "eth0", Cidr("10.1.0.2/16"))
ROUTE = Route(BOX, Cidr("0.0.0.0/0"), IP("10.1.0.1"), "eth0")
FACTS: tuple[Fact, ...] = (
    BRIDGE,
    GATEWAY,
    Namespace(BOX),
    VETH,
    ADDRESS,
    ROUTE,
    Element("bridges", ("br-1",)),
)


class Hand:
    """Notes what it takes; fails on the facts given."""

    def __init__(self, *bad: Fact, held: Sequence[Fact] = ()) -> None:
        self.bad, self.held, self.runs = bad, held, list[list[Step]]()

    def __call__(self, steps: Sequence[Step]) -> list[schedule.Outcome]:
        self.runs.append(list(steps))
        return [Conflict(f"no {s.fact}") if s.fact in self.bad else s.fact not in self.held for s in steps]

    @property
    def steps(self) -> list[Step]:
        return [step for run in self.runs for step in run]


def test_neighbours_of_a_kind_are_one_run() -> None:
    runs = list(schedule.runs(establish([*FACTS, Element("same", ("br-1", "br-1"))]).steps))
    assert [len(run) for run in runs] == [1, 1, 1, 1, 2, 2]


def test_configuration_of_two_namespaces_is_two_runs() -> None:
    runs = list(schedule.runs(establish([GATEWAY, ADDRESS, ROUTE]).steps))
    assert [len(run) for run in runs] == [1, 2]


def test_elements_added_and_deleted_are_one_transaction() -> None:
    plan = withdraw([Element("publish", ("1",), "2")]) + establish([Element("publish", ("1",), "3")])
    assert [len(run) for run in schedule.runs(plan.steps)] == [2]


def test_a_dying_namespace_and_link_carry_what_is_on_them() -> None:
    steps, carried = schedule.reduce(withdraw(FACTS))
    assert [s.fact for s in steps] == [FACTS[-1], VETH, Namespace(BOX), BRIDGE]
    assert {s.fact: [c.fact for c in c_] for s, c_ in carried.items()} == {
        Namespace(BOX): [ROUTE, ADDRESS],
        BRIDGE: [GATEWAY],
    }


def test_connections_are_forgotten_after_all_that_could_make_new_ones() -> None:
    """Although their sandbox and their link go in the same plan."""
    element = Element("publish", ("tcp", "80"), "10.1.0.2 . 80")
    flows, hairpin = Flows(IP("10.1.0.2")), Hairpin("veth1")
    plan = withdraw([Namespace(BOX), flows, VETH, hairpin, ADDRESS, element])
    steps, carried = schedule.reduce(plan)
    assert [s.fact for s in steps] == [element, VETH, flows, Namespace(BOX)]
    assert {c.fact for each in carried.values() for c in each} == {ADDRESS, hairpin}


def test_what_leaves_a_living_sandbox_is_taken_step_by_step() -> None:
    plan = withdraw([VETH, ADDRESS, ROUTE])
    assert schedule.reduce(plan) == (list(plan.steps), {})


def test_a_link_that_comes_back_is_not_deleted() -> None:
    wider = Bridge("br-1", BRIDGE.mac, 9000)
    steps, _ = schedule.reduce(withdraw([BRIDGE, GATEWAY]) + establish([wider, GATEWAY]))
    assert steps == [Step(GATEWAY, False), Step(wider), Step(GATEWAY)]


def test_a_veth_into_another_sandbox_is_another_link() -> None:
    other = Veth("veth1", VETH.mac, "br-1", "/run/netns/b", "eth0", VETH.peer_mac, 1500)
    plan = withdraw([VETH]) + establish([other])
    assert schedule.reduce(plan)[0] == list(plan.steps)


@pytest.mark.parametrize("position", range(len(FACTS)))
def test_failure_undoes_what_was_changed_in_reverse(position: int) -> None:
    hand = Hand(FACTS[position])
    with pytest.raises(Conflict, match="no "):
        schedule.apply(establish(FACTS), hand)
    undone = [s for s in hand.steps if not s.present]
    done = [s.fact for s in hand.steps if s.present and s.fact != FACTS[position]]
    expected, _ = schedule.reduce(withdraw(done))
    assert undone == expected


def test_what_held_before_is_not_undone() -> None:
    hand = Hand(ROUTE, held=[BRIDGE, GATEWAY])
    with pytest.raises(Conflict):
        schedule.apply(establish(FACTS), hand)
    assert {s.fact for s in hand.steps if not s.present} == {Namespace(BOX), VETH}


def test_undoing_a_withdrawal_gives_back_what_was_carried() -> None:
    bad = Element("nonesuch", ("x",))
    hand = Hand(bad)
    with pytest.raises(Conflict):
        schedule.apply(withdraw(FACTS) + establish([Namespace("/other")]) + establish([bad]), hand)
    back = [s.fact for s in hand.steps if s.present and s.fact not in (bad, Namespace("/other"))]
    assert back == list(FACTS)


def test_failing_to_undo_is_told() -> None:
    class Stuck(Hand):
        def __call__(self, steps: Sequence[Step]) -> list[schedule.Outcome]:
            refusal: Fault = System("stuck")
            return [
                refusal if not s.present else o for s, o in zip(steps, super().__call__(steps), strict=True)
            ]

    with pytest.raises(Conflict, match=r"no Route.*; and undoing failed: stuck"):
        schedule.apply(establish([ADDRESS]) + establish([Namespace("/x")]) + establish([ROUTE]), Stuck(ROUTE))


def test_withdraw_goes_on() -> None:
    hand = Hand(VETH, FACTS[-1])
    assert len(schedule.withdraw(withdraw(FACTS), hand)) == 2
    assert hand.steps[-1] == Step(BRIDGE, False)


def test_nothing_to_do() -> None:
    schedule.apply(Plan(), Hand())


PORT = HeldPort("tcp", "", 8080, IP("10.1.0.2"), 80)
MOVED = replace(PORT, target=IP("10.1.0.3"))


def test_host_ports_are_one_run() -> None:
    others = [replace(PORT, port=n) for n in range(3)]
    assert len(list(schedule.runs((establish(others) + withdraw([PORT])).steps))) == 1


def test_a_port_that_changes_its_target_is_not_let_go() -> None:
    element = Element("own", ("10.1.0.2", "10.1.0.2"))
    hand = Hand()
    schedule.apply(withdraw([element, PORT]) + establish([GATEWAY, MOVED, element]), hand)
    assert [Step(PORT, False), Step(MOVED)] in hand.runs


def test_a_port_that_changed_its_target_gets_it_back() -> None:
    hand = Hand(ROUTE)
    with pytest.raises(Conflict):
        schedule.apply(withdraw([PORT]) + establish([GATEWAY, MOVED, ROUTE]), hand)
    assert hand.runs[-1] == [Step(MOVED, False), Step(PORT)]
