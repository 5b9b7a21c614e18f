"""Plain values become frozen configuration, or an error that says where, what and what is allowed."""

import pickle
from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config.fields import FieldError, build, did_you_mean, to_plain


@dataclass(frozen=True, kw_only=True)
class Inner:
    ratio: float
    name: str = "a"

    def __post_init__(self):
        if self.ratio < 0:
            raise FieldError("ratio", f"{self.ratio:g}; allowed: >= 0", "ratios count samples")


@dataclass(frozen=True, kw_only=True)
class Outer:
    count: int
    mode: Literal["on", "off"] = "on"
    inner: Inner | None = None
    shares: tuple[float, ...] = ()
    parts: tuple[Inner, ...] = ()
    is_fast: bool = False


def test_nested_values_are_built():
    built = build(Outer, {"count": 2, "inner": {"ratio": 1}, "shares": [1, 0.5], "parts": [{"ratio": 3, "name": "b"}]})
    assert built == Outer(count=2, inner=Inner(ratio=1.0), shares=(1.0, 0.5), parts=(Inner(ratio=3.0, name="b"),))


def test_whole_number_in_a_float_field_becomes_a_float():
    assert isinstance(build(Inner, {"ratio": 2}).ratio, float)


@pytest.mark.parametrize(("plain", "path", "says"), [
    ({"count": 1, "inner": {"ratoi": 1}}, "t.inner.ratoi", "unknown field"),
    ({"count": 1, "inner": {}}, "t.inner.ratio", "missing; Inner needs it"),
    ({}, "t.count", "missing; Outer needs it"),
    ({"count": "1e-5"}, "t.count", "'1e-5' is text; allowed: a whole number"),
    ({"count": 1.0}, "t.count", "1.0 is a number; allowed: a whole number"),
    ({"count": True}, "t.count", "True is true or false; allowed: a whole number"),
    ({"count": None}, "t.count", "None is empty; allowed: a whole number"),
    ({"count": 1, "inner": {"ratio": True}}, "t.inner.ratio", "True is true or false; allowed: a number"),
    ({"count": 1, "inner": {"ratio": "1e-5"}}, "t.inner.ratio", "'1e-5' is text; allowed: a number"),
    ({"count": 1, "inner": {"ratio": float("nan")}}, "t.inner.ratio", "nan; allowed: a finite number"),
    ({"count": 1, "inner": {"ratio": float("inf")}}, "t.inner.ratio", "inf; allowed: a finite number"),
    ({"count": 1, "inner": {"ratio": 10**400}}, "t.inner.ratio", "allowed: a finite number"),
    ({"count": 1, "inner": {"ratio": -1}}, "t.inner.ratio", "-1; allowed: >= 0"),
    ({"count": 1, "mode": "of"}, "t.mode", "'of'; allowed: on, off"),
    ({"count": 1, "mode": True}, "t.mode", "True; allowed: on, off"),
    ({"count": 1, "mode": ["on"]}, "t.mode", "['on']; allowed: on, off"),
    ({"count": 1, "shares": 0.5}, "t.shares", "0.5 is not a list"),
    ({"count": 1, "shares": "0.5"}, "t.shares", "'0.5' is not a list"),
    ({"count": 1, "shares": [0.5, "x"]}, "t.shares[1]", "'x' is text; allowed: a number"),
    ({"count": 1, "parts": [{"ratio": 1}, {"ratio": -1}]}, "t.parts[1].ratio", "-1; allowed: >= 0"),
    ({"count": 1, "inner": [1]}, "t.inner", "[1] is not a mapping; allowed: the fields of Inner"),
    ({"count": 1, "is_fast": 1}, "t.is_fast", "1 is a whole number; allowed: true or false"),
    ({"count": 1, 7: 2}, "t.7", "unknown field"),
    ([], "t", "[] is not a mapping; allowed: the fields of Outer"),
])
def test_value_that_cannot_be_used_is_named_with_its_path(plain, path, says):
    with pytest.raises(FieldError) as caught:
        build(Outer, plain, "t")
    assert (caught.value.path, says in caught.value.problem) == (path, True)


def test_misspelt_field_and_choice_get_the_nearest_name():
    with pytest.raises(FieldError, match="did you mean 'count'"):
        build(Outer, {"cuont": 1})
    with pytest.raises(FieldError, match="did you mean 'off'"):
        build(Outer, {"count": 1, "mode": "of"})


def test_name_without_a_near_one_gets_all_of_them():
    assert did_you_mean("zzz", {"beta": 1, "alpha": 2}) == "known: alpha, beta"


def test_message_holds_path_problem_and_hint():
    with pytest.raises(FieldError) as caught:
        build(Outer, {"count": 1, "inner": {"ratio": -2}}, "sft")
    assert str(caught.value) == "sft.inner.ratio: -2; allowed: >= 0\nhint: ratios count samples"


def test_error_survives_pickling():
    error = pickle.loads(pickle.dumps(FieldError("a.b", "wrong", "try this")))  # noqa: S301 (own bytes)
    assert (error.path, error.problem, error.hint, str(error)) == ("a.b", "wrong", "try this", "a.b: wrong\nhint: try this")


INNERS = st.builds(Inner, ratio=st.floats(0, 1e6), name=st.text(max_size=5))
OUTERS = st.builds(
    Outer, count=st.integers(), mode=st.sampled_from(["on", "off"]), inner=st.none() | INNERS, is_fast=st.booleans(),
    shares=st.lists(st.floats(-1e9, 1e9)).map(tuple), parts=st.lists(INNERS, max_size=3).map(tuple))


@given(OUTERS)
def test_plain_values_and_configuration_are_inverse(outer):
    assert build(Outer, to_plain(outer)) == outer


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["count", "inner", "ratio", "x"]), inner), max_leaves=8)


@given(st.dictionaries(st.sampled_from(["count", "mode", "inner", "shares", "parts", "is_fast"]), JSON))
def test_whatever_comes_ends_in_a_configuration_or_a_field_error(plain):
    assert isinstance(built_or_error(plain), Outer | FieldError)


def built_or_error(plain):
    try:
        return build(Outer, plain)
    except FieldError as error:
        return error
