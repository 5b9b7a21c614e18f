from hypothesis import given
from hypothesis import strategies as st

from orchestrator.scheduler.fair_share import assign_slots
from orchestrator.scheduler.index import place_of
from orchestrator.scheduler.views import StageView, StudyView
from orchestrator.states import StageState, StudyState


def study(name, *, priority=0, max_slots=0, created_at=1.0):
    return StudyView(name, StudyState.RUNNING, created_at, priority=priority, max_slots=max_slots)


def stage(name, position=0, workers=1):
    return StageView(stage_id=name, kind="sft", state=StageState.QUEUED, position=position, workers=workers)


def handed_out(studies, stages, *, in_use=None, num_free=100, num_wanted=None):
    """Stages are (stage, names of the studies that want it)."""
    num_wanted = num_wanted or {each.stage_id: 1 for each, _ in stages}
    ready = sorted((each for each, _ in stages), key=lambda stage: place_of(stage, num_wanted[stage.stage_id]))
    found = assign_slots(lambda: iter(ready), {each.stage_id: frozenset(names) for each, names in stages}.__getitem__,
                       {each.study_id: each for each in studies}, in_use or {}, num_free=num_free)
    return [(each.stage_id, study_id) for each, study_id in found]


def own(name, number, workers=1):
    return [(stage(f"{name}{i}", i, workers), [name]) for i in range(number)]


def test_equal_studies_take_turns():
    found = handed_out([study("a"), study("b", created_at=2.0)], own("a", 4) + own("b", 4), num_free=5)
    assert found == [("a0", "a"), ("b0", "b"), ("a1", "a"), ("b1", "b"), ("a2", "a")]


def test_study_that_holds_few_slots_catches_up():
    found = handed_out([study("a"), study("b", created_at=2.0)], own("a", 4) + own("b", 4), in_use={"a": 3}, num_free=4)
    assert [name for _, name in found] == ["b", "b", "b", "a"]


def test_higher_priority_goes_first_until_it_has_nothing_left():
    found = handed_out([study("a"), study("b", priority=1)], own("a", 3) + own("b", 2), num_free=4)
    assert [name for _, name in found] == ["b", "b", "a", "a"]


def test_cap_leaves_the_rest_to_others():
    found = handed_out([study("a", max_slots=2, priority=9), study("b")], own("a", 5) + own("b", 2), in_use={"a": 1}, num_free=9)
    assert [name for _, name in found] == ["a", "b", "b"]


def test_shared_stage_of_a_capped_study_goes_by_the_other():
    both = [(stage("shared"), ["a", "b"])]
    assert handed_out([study("a", max_slots=1, priority=9), study("b")], both, in_use={"a": 1}) == [("shared", "b")]


def test_stage_that_most_trials_wait_for_goes_first():
    stages = [(stage("few", 0), ["a"]), (stage("many", 9), ["a"])]
    assert handed_out([study("a")], stages, num_wanted={"few": 1, "many": 5})[0] == ("many", "a")


def test_wide_stage_is_not_overtaken():
    stages = [(stage("wide", 0, workers=4), ["a"]), (stage("narrow", 1), ["a"])]
    assert handed_out([study("a")], stages, num_free=3) == []


@given(st.data())
def test_nothing_is_handed_out_twice_beyond_the_slots_or_beyond_a_cap(data):
    names = ["a", "b", "c"]
    studies = [study(name, priority=data.draw(st.integers(0, 2)), max_slots=data.draw(st.integers(0, 4))) for name in names]
    stages = [(stage(str(i), i, data.draw(st.integers(1, 3))), data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True)))
              for i in range(data.draw(st.integers(0, 12)))]
    in_use, num_free = {name: data.draw(st.integers(0, 3)) for name in names}, data.draw(st.integers(0, 10))
    found = handed_out(studies, stages, in_use=in_use, num_free=num_free)
    workers = {each.stage_id: each.workers for each, _ in stages}
    assert len({stage_id for stage_id, _ in found}) == len(found)
    assert sum(workers[stage_id] for stage_id, _ in found) <= num_free
    assert all(study_id in dict((each.stage_id, wanted) for each, wanted in stages)[stage_id] for stage_id, study_id in found)
    for each in studies:
        mine = sum(workers[stage_id] for stage_id, study_id in found if study_id == each.study_id)
        assert not each.max_slots or mine == 0 or in_use[each.study_id] + mine <= each.max_slots


@given(st.integers(1, 6), st.integers(0, 20))
def test_equal_studies_with_enough_to_do_differ_by_one_slot_at_most(num_studies, num_free):
    studies = [study(f"s{i}", created_at=float(i)) for i in range(num_studies)]
    stages = [pair for each in studies for pair in own(each.study_id, 20)]
    counts = [sum(name == each.study_id for _, name in handed_out(studies, stages, num_free=num_free)) for each in studies]
    assert sum(counts) == num_free
    assert max(counts) - min(counts) <= 1
