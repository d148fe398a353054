"""The sparse bitmap agrees with a plain set, at every size."""

from hypothesis import given
from hypothesis import strategies as st

from fairway.ipam.bitset import BitSet


@given(
    size=st.integers(1, 5000),
    numbers=st.lists(st.tuples(st.booleans(), st.integers(0, 4999)), max_size=200),
    start=st.integers(0, 4999),
)
def test_agrees_with_a_set(size: int, numbers: list[tuple[bool, int]], start: int) -> None:
    bits, model = BitSet(size), set[int]()
    for add, raw in numbers:
        number = raw % size
        if add:
            bits.add(number)
            model.add(number)
        else:
            bits.discard(number)
            model.discard(number)
    assert all((n in bits) == (n in model) for n in range(0, size, 7))
    expected = next((n for n in range(start % size, size) if n not in model), None)
    assert bits.lowest_free(start % size) == expected


def test_full_words_are_skipped_and_found_again() -> None:
    bits = BitSet(1 << 24)
    for number in range(5000):
        bits.add(number)
    assert bits.lowest_free(0) == 5000
    bits.discard(1234)
    assert bits.lowest_free(0) == 1234
    assert bits.lowest_free(1235) == 5000


def test_memory_follows_use_not_size() -> None:
    bits = BitSet(1 << 64)
    bits.add((1 << 64) - 1)
    assert bits.lowest_free(0) == 0
    assert bits.lowest_free((1 << 64) - 1) is None


def test_a_full_set_has_no_gap() -> None:
    bits = BitSet(1500)
    for number in range(1500):
        bits.add(number)
    assert bits.lowest_free(0) is None
