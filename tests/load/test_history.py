"""The judge of histories, judged: on short ones whose verdict is known."""

from load.history import FREE, TAKEN, Effect, Operation, change, contradiction, leave, maybe, see, take


def at(sent: float, answered: float, effect: Effect) -> Operation:
    return Operation(sent, answered, effect, "")


def test_one_after_the_other() -> None:
    assert not contradiction(
        [at(0, 1, take("a")), at(2, 3, TAKEN), at(4, 5, leave("a")), at(6, 7, take("b"))]
    )


def test_a_name_taken_twice() -> None:
    assert contradiction([at(0, 1, take("a")), at(2, 3, take("b"))])
    assert contradiction([at(0, 3, take("a")), at(1, 2, take("b"))]), "in no order"


def test_taken_by_whom_it_is_free() -> None:
    assert contradiction([at(0, 1, TAKEN)])
    assert not contradiction([at(0, 2, TAKEN), at(1, 3, take("a"))]), "it may have come first"
    assert contradiction([at(0, 1, TAKEN), at(2, 3, take("a"))]), "it came too late"


def test_what_is_seen_must_have_been() -> None:
    assert not contradiction([at(0, 9, take("a")), at(1, 2, see(FREE)), at(3, 4, see("a"))])
    assert contradiction([at(0, 9, take("a")), at(1, 2, see("a")), at(3, 4, see(FREE))])


def test_who_leaves_frees_only_its_own() -> None:
    assert not contradiction([at(0, 1, take("a")), at(2, 3, leave("b")), at(4, 5, see("a"))])
    assert contradiction([at(0, 1, take("a")), at(2, 3, leave("a")), at(4, 5, see("a"))])


def test_two_that_end_the_same() -> None:
    stop = change("running", "exited", "exited")
    begin = [at(0, 1, take("running"))]
    assert not contradiction([*begin, at(2, 4, stop), at(3, 5, stop)])
    assert contradiction(
        [*begin, at(2, 4, change("running", "exited")), at(3, 5, change("running", "exited"))]
    )


def test_a_later_answer_decides_what_came_first() -> None:
    """Both creations are under way; only the second order explains what is seen afterwards."""
    history = [
        at(0, 9, take("a")),
        at(0, 9, leave("a")),
        at(0, 9, take("b")),
        at(10, 11, see("b")),
    ]
    assert not contradiction(history)
    assert contradiction([*history, at(12, 13, see("a"))])


def test_what_may_happen_need_not() -> None:
    may = maybe(lambda before: ("idle",) if before == "running" else ())
    begin = [at(0, 1, take("running"))]
    assert not contradiction([*begin, at(2, 5, may), at(3, 4, see("running")), at(6, 7, see("running"))])
    assert not contradiction([*begin, at(2, 5, may), at(3, 4, see("idle")), at(6, 7, see("idle"))])
    assert not contradiction([*begin, at(2, 5, may), at(6, 7, see("idle"))])
    assert contradiction([*begin, at(2, 5, may), at(3, 4, see("idle")), at(6, 7, see("running"))])
    assert contradiction([*begin, at(2, 3, see("idle")), at(4, 5, may)])
