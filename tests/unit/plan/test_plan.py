"""Plans: inverse and difference, as properties over arbitrary facts."""

from hypothesis import given
from hypothesis import strategies as st

from fairway.model.address import Address as IP
from fairway.model.address import Cidr, Mac, host
from fairway.plan import (
    EMPTY,
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
    Plan,
    Resolver,
    Route,
    Step,
    Sysctl,
    Veth,
    difference,
    establish,
    withdraw,
)
from fairway.plan.plan import ORDER

MAC = Mac("02:00:00:00:00:01")
numbers = st.integers(0, 5)
names = numbers.map("n{}".format)
boxes = names.map("/run/netns/{}".format)

facts: st.SearchStrategy[Fact] = st.one_of(
    st.builds(Overlay, names, st.just(("/l",)), st.just("/u"), st.just("/w")),
    st.builds(Namespace, boxes),
    st.builds(Sysctl, boxes, names, names),
    st.builds(Bridge, names, st.just(MAC), st.sampled_from([1400, 1500])),
    st.builds(Veth, names, st.just(MAC), names, boxes, names, st.just(MAC), st.just(1500)),
    st.builds(Hairpin, names),
    st.builds(HeldPort, st.just("tcp"), st.just(""), numbers, st.just(IP("10.0.0.1")), numbers),
    st.builds(Flows, numbers.map(lambda n: IP(f"10.0.0.{n}"))),
    st.builds(Address, boxes | st.just(HOST), names, numbers.map(lambda n: Cidr(f"10.0.0.{n}/8"))),
    st.builds(Route, boxes, st.just(Cidr("0.0.0.0/0")), numbers.map(lambda n: IP(f"10.0.0.{n}")), names),
    st.builds(Element, names, st.tuples(names)),
    st.builds(Resolver, names, boxes),
)
plans = st.lists(st.builds(Step, facts, st.booleans())).map(lambda steps: Plan(tuple(steps)))


def run(plan: Plan, held: set[Fact]) -> set[Fact]:
    """The simplest kernel: facts do not depend on each other; sysctls stay when withdrawn."""
    now = set(held)
    for step in plan:
        if step.present:
            now.add(step.fact)
        elif not isinstance(step.fact, Sysctl):
            now.discard(step.fact)
    return now


@given(plans)
def test_inverse_of_the_inverse_is_the_plan(plan: Plan) -> None:
    assert plan.inverse().inverse() == plan


@given(plans, plans)
def test_inverse_of_a_sum_is_the_sum_of_inverses_reversed(one: Plan, other: Plan) -> None:
    assert (one + other).inverse() == other.inverse() + one.inverse()


@given(st.lists(facts, unique=True))
def test_establishing_and_taking_back_leaves_nothing_but_sysctls(wanted: list[Fact]) -> None:
    plan = establish(wanted)
    assert run(plan, set()) == set(wanted) == set(plan.facts())
    assert {f for f in run(plan + plan.inverse(), set()) if not isinstance(f, Sysctl)} == set()


@given(st.lists(facts))
def test_withdraw_is_the_inverse_of_establish(wanted: list[Fact]) -> None:
    assert withdraw(wanted) == establish(wanted).inverse()
    assert [s.fact for s in withdraw(wanted)] == wanted[::-1]
    assert withdraw(wanted).facts() == ()


@given(st.lists(facts), st.sets(facts))
def test_difference_leads_from_actual_to_desired(desired: list[Fact], actual: set[Fact]) -> None:
    reached = run(difference(desired, actual), actual)
    assert set(desired) <= reached
    assert all(isinstance(f, Sysctl) for f in reached - set(desired))


@given(st.lists(facts), st.sets(facts))
def test_difference_does_nothing_twice(desired: list[Fact], actual: set[Fact]) -> None:
    plan = difference(desired, actual)
    assert len(set(plan.steps)) == len(plan)
    assert difference(desired, run(plan, actual)) == EMPTY


@given(st.lists(facts), st.sets(facts))
def test_difference_touches_only_what_differs(desired: list[Fact], actual: set[Fact]) -> None:
    """And the connections of an address of a sandbox that goes."""
    touched = {step.fact for step in difference(desired, actual)}
    differing = {f for f in set(desired) ^ actual if f in desired or not isinstance(f, Sysctl)}
    gone = [f for f in differing - set(desired) if isinstance(f, Address) and f.namespace != HOST]
    assert touched == differing | ({Flows(host(f.address)) for f in gone} - set(desired))


@given(st.lists(facts), st.sets(facts))
def test_difference_withdraws_dependants_first_then_establishes_in_order(
    desired: list[Fact], actual: set[Fact]
) -> None:
    plan = difference(desired, actual)
    going = [ORDER.index(type(s.fact)) for s in plan if not s.present]
    assert going == sorted(going, reverse=True)
    assert [s.present for s in plan] == sorted(s.present for s in plan)
    assert list(plan.facts()) == [f for f in dict.fromkeys(desired) if f not in actual]


def test_every_kind_of_fact_has_its_place_in_the_order() -> None:
    assert set(ORDER) == set(Fact.__args__)


def test_a_plan_is_a_sequence_of_steps() -> None:
    plan = establish([Namespace("a"), Element("s", ("x",))])
    assert len(plan) == 2
    assert list(plan) == [Step(Namespace("a")), Step(Element("s", ("x",)))]
    assert not EMPTY.steps
    assert HOST == ""
