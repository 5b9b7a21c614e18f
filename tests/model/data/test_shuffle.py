"""A pass takes every row once, each pass in another order, and any position can be asked for by itself."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from model.data.shuffle import permuted, running_totals, shuffled, union


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 700), st.text(max_size=5))
def test_a_pass_takes_every_row_once(size, key):
    assert sorted(permuted(position, size=size, key=key) for position in range(size)) == list(range(size))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 60), st.integers(1, 4))
def test_passes_are_counted_and_repeat_nothing_within(size, passes):
    found = [shuffled(k, size=size, key="x") for k in range(size * passes)]
    assert Counter(found) == Counter({(row, number): 1 for row in range(size) for number in range(passes)})


def test_another_pass_and_another_key_are_another_order():
    orders = [[shuffled(k, size=100, key=key)[0] for k in range(start, start + 100)] for key, start in (("a", 0), ("a", 100), ("b", 0))]
    assert len({tuple(order) for order in orders}) == 3


def test_rows_are_spread_evenly_over_positions():
    """Chi-squared of where row 0 lands over 2,000 keys in 20 places: 19 degrees of freedom, above 43.8 with p = 0.001."""
    places = Counter(permuted(0, size=20, key=str(key)) for key in range(2000))
    assert sum((places[place] - 100) ** 2 / 100 for place in range(20)) < 43.8


def test_neighbours_do_not_stay_neighbours():
    order = [permuted(position, size=10_000, key="x") for position in range(10_000)]
    assert sum(abs(a - b) == 1 for a, b in zip(order, order[1:], strict=False)) < 20


def test_a_large_set_is_permuted_without_being_listed():
    size = 2 * 10**9
    found = {permuted(position, size=size, key="large") for position in range(1000)}
    assert len(found) == 1000
    assert max(found) < size


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any))
def test_a_union_holds_every_row_of_every_set_once(sizes):
    ends = running_totals(sizes)
    assert [union(index, ends) for index in range(ends[-1])] == [(which, row) for which, size in enumerate(sizes) for row in range(size)]
