from hypothesis import given
from hypothesis import strategies as st

from orchestrator.analysis.pareto import pareto_set

GOALS = (("mmbase", "maximize"), ("tokens_per_image", "minimize"))


def test_dominated_arms_are_left_out_and_equal_ones_stay():
    means = {"cheap": {"mmbase": 40, "tokens_per_image": 16}, "good": {"mmbase": 50, "tokens_per_image": 80},
             "twin": {"mmbase": 50, "tokens_per_image": 80}, "worse": {"mmbase": 45, "tokens_per_image": 96}}
    assert pareto_set(means, GOALS) == ("cheap", "good", "twin")


def test_an_arm_without_an_objective_is_left_out():
    assert pareto_set({"half": {"mmbase": 99}, "whole": {"mmbase": 1, "tokens_per_image": 1}}, GOALS) == ("whole",)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12))
def test_every_arm_outside_the_set_is_beaten_by_one_inside(points):
    means = {str(i): {"mmbase": a, "tokens_per_image": b} for i, (a, b) in enumerate(points)}
    found = pareto_set(means, GOALS)
    for arm, own in means.items():
        beaten = [means[each]["mmbase"] >= own["mmbase"] and means[each]["tokens_per_image"] <= own["tokens_per_image"]
                  and means[each] != own for each in found]
        assert any(beaten) == (arm not in found)
