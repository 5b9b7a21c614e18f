"""A stage counts what it saw; a broken sample is one, however often it is met and whatever is said of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data.step import TokensSeen
from model.samples import Replaced
from model.training.tally import Tally

PLACES = st.sampled_from([f"general/x: a.jsonl:{row}" for row in range(5)])
MEETINGS = st.lists(st.tuples(PLACES, st.text(max_size=5)), max_size=40)


def seen(*replaced):
    return TokensSeen("general/x: a.jsonl:9", "general/x", replaced, 7, 3, 1)


def told(tally):
    return tally.report({"general/x": 1}, {})["general/x"]


@given(MEETINGS)
def test_broken_samples_are_counted_by_their_place(meetings):
    tally = Tally({"general/x": 5})
    tally.add([seen(Replaced(where, reason)) for where, reason in meetings])
    assert told(tally).get("broken", 0) == len({where for where, _ in meetings})


@given(MEETINGS, st.integers(0, 40))
def test_a_resumed_count_is_that_of_an_undisturbed_one(meetings, stop):
    steps = [seen(Replaced(where, reason)) for where, reason in meetings]
    straight, before, after = Tally({"general/x": 5}), Tally({"general/x": 5}), Tally({"general/x": 5})
    straight.add(steps)
    before.add(steps[:stop])
    after.restore(json.loads(json.dumps(before.state())))
    after.add(steps[stop:])
    assert told(after) == told(straight)


def test_one_sample_too_many_ends_the_stage_and_is_named():
    tally = Tally({"general/x": 1})
    tally.add([seen(Replaced("a.jsonl:1", "a GIF"), Replaced("a.jsonl:1", "a GIF at 0x7f"))])
    with pytest.raises(ValueError, match=r"2 broken samples in general/x; .*: 1; the latest is a\.jsonl:2: not JSON"):
        tally.add([seen(Replaced("a.jsonl:2", "not JSON"))])
