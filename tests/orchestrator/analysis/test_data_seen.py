"""Means over the trials of an arm, by stage and source."""

from orchestrator.analysis.data_seen import supplied


def row(samples, **more):
    return {"asked": 10.0, "samples": samples, "tokens": 100 * samples, "supervised": 10 * samples, **more}


STAGES = {
    "a": ("sft", {"sources": {"general": row(9), "science/ScienceQA": row(4, passes=0.5)}, "filled": 0.9, "data_wait": 0.25}),
    "b": ("sft", {"sources": {"general": row(11), "science/ScienceQA": row(4, passes=1.5, broken=2)}, "filled": 0.98}),
    "running": ("sft", None), "score": ("evaluate", {"score": 50.0}),
}


def test_sources_are_averaged_over_the_trials_of_an_arm():
    general, science = supplied([("x", ["a", "score"]), ("x", ["b"])], STAGES)
    assert (general.arm_key, general.kind, general.source, general.num_trials) == ("x", "sft", "general", 2)
    assert (general.asked, general.samples, general.tokens, general.supervised, general.passes) == (10, 10, 1000, 100, None)
    assert (science.passes, science.broken) == (1, 1)
    assert (general.filled, science.filled) == (0.94, 0.94)
    assert (general.data_wait, science.data_wait) == (0.25, 0.25)  # of those that measured it


def test_parts_of_a_stage_add_up_before_trials_are_averaged():
    parts = {"trunk": ("sft", {"sources": {"general": row(8)}}),
             "end": ("sft", {"sources": {"general": row(2), "math": row(6)}}),
             "other": ("sft", {"sources": {"general": row(4), "math": row(4)}})}
    general, math = supplied([("x", ["trunk", "end"]), ("x", ["trunk", "other"])], parts)
    assert (general.num_trials, general.asked, general.samples, general.tokens) == (2, 20, 11, 1100)
    assert (math.num_trials, math.samples) == (2, 5)


def test_a_result_that_says_nothing_of_its_positions_has_no_filling():
    (only,) = supplied([("x", ["old"])], {"old": ("sft", {"sources": {"general": row(9)}})})
    assert only.filled is None
    assert only.data_wait is None


def test_what_has_no_result_yet_is_left_out():
    assert supplied([("x", ["running", "unknown", "score"])], STAGES) == ()
