"""Shares follow from the mixture; draws follow from the shares, exactly and in any order of asking."""

import dataclasses
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.config.stages import Alpha, ContinualMixture, GroupWeights, PretrainMixture, SftMixture
from model.data.mixture import MixtureDraw, alphas_from_shares, sample_index, shares

ROOT = Path(__file__).parents[3]
FINAL = SftMixture(alpha=Alpha(text_rich=3.29, refer_ground=2.0, math=0.5, code=0.2, science=0.1),
                   weights=GroupWeights(multi=0.1, text=0.1))
PUBLISHED = {"text_rich": 37.2, "refer_ground": 22.5, "general": 11.3, "math": 5.6, "code": 2.3, "science": 1.1,
             "multi_image": 10, "text_only": 10}
RATIOS = st.sampled_from([0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.29, 1 / 3, 0.123456789])


@st.composite
def mixtures(draw):
    alphas = {name: draw(RATIOS) for name in ("text_rich", "refer_ground", "science", "math", "code")}
    multi, text = draw(st.sampled_from([0.0, 0.05, 0.1])), draw(st.sampled_from([0.0, 0.15, 0.2]))
    return SftMixture(alpha=Alpha(**alphas), weights=GroupWeights(multi=multi, text=text))


def sequence(mixture, *, batch, seed, steps):
    drawing = MixtureDraw(mixture, batch=batch, seed=seed)
    return [drawing.batch(step) for step in range(steps)]


def test_the_final_mixture_has_the_published_shares():
    found = {name: 100 * share for name, share in shares(FINAL).items()}
    assert found.keys() == PUBLISHED.keys()
    assert found == pytest.approx(PUBLISHED, abs=0.1)


def test_published_shares_give_the_alphas_back():
    found = alphas_from_shares({name: share / 100 for name, share in PUBLISHED.items()})
    expected = {"general": 1, "text_rich": 3.29, "refer_ground": 1.99, "math": 0.496, "code": 0.204, "science": 0.097}
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=0.005)


@given(mixtures())
def test_alphas_and_shares_are_inverse(mixture):
    found, wanted = alphas_from_shares(shares(mixture)), dataclasses.asdict(mixture.alpha)
    assert wanted.pop("own") == ()
    assert {name: found.get(name, 0.0) for name in wanted} == pytest.approx(wanted, rel=1e-9)


def test_alphas_need_general_samples():
    with pytest.raises(ValueError, match="no general samples"):
        alphas_from_shares({"science": 1.0})


@pytest.mark.parametrize(("mixture", "expected"), [
    (PretrainMixture(caption=0.5, interleaved=0.1, text=0.4), {"caption": 0.5, "interleaved": 0.1, "text_hq": 0.4}),
    (PretrainMixture(caption=0.5, interleaved=0.5, text=0.0), {"caption": 0.5, "interleaved": 0.5}),
    (PretrainMixture(caption=0.45, interleaved=0.45, text=0.1, text_data="mm1"), {"caption": 0.45, "interleaved": 0.45, "text_mm1": 0.1}),
    (ContinualMixture(), {"ocr": 1.0}),
    (ContinualMixture(ocr=0.5, recap=0.25, sharegpt4v=0.25), {"ocr": 0.5, "recap": 0.25, "sharegpt4v": 0.25}),
    (SftMixture(alpha=Alpha(science=0.0)), {"general": 1.0}),
    (SftMixture(weights=GroupWeights(single=0.0, multi=0.4, text=0.6)), {"multi_image": 0.4, "text_only": 0.6}),
])
def test_shares_by_kind_leave_out_what_has_none(mixture, expected):
    assert shares(mixture) == pytest.approx(expected, abs=1e-12)


@given(mixtures())
def test_shares_sum_to_one(mixture):
    assert sum(shares(mixture).values()) == pytest.approx(1, abs=1e-12)


@settings(deadline=None)
@given(mixtures(), st.integers(1, 5))
def test_every_prefix_is_within_one_of_its_share(mixture, seed):
    found, counts = shares(mixture), Counter()
    for position, (draw,) in enumerate(sequence(mixture, batch=1, seed=seed, steps=400), start=1):
        counts[draw.category] += 1
        assert all(abs(counts[name] - share * position) < 1 for name, share in found.items())


@settings(deadline=None, max_examples=30)
@given(mixtures(), st.integers(1, 40), st.integers(0, 9), st.integers(0, 9))
def test_counts_of_each_batch_do_not_depend_on_the_seed(mixture, batch, a, b):
    counted = [[Counter(draw.category for draw in draws) for draws in sequence(mixture, batch=batch, seed=seed, steps=12)]
               for seed in (a, b)]
    assert counted[0] == counted[1]


@settings(deadline=None, max_examples=30)
@given(mixtures(), st.integers(1, 40), st.permutations(range(12)))
def test_steps_may_be_asked_for_in_any_order(mixture, batch, order):
    straight, drawing = sequence(mixture, batch=batch, seed=0, steps=12), MixtureDraw(mixture, batch=batch, seed=0)
    assert {step: drawing.batch(step) for step in order} == dict(enumerate(straight))


@settings(deadline=None, max_examples=30)
@given(mixtures(), st.integers(1, 40))
def test_a_category_is_numbered_without_gaps(mixture, batch):
    numbers = {}
    for draw in (draw for draws in sequence(mixture, batch=batch, seed=3, steps=10) for draw in draws):
        numbers.setdefault(draw.category, []).append(draw.k)
    assert all(sorted(ks) == list(range(len(ks))) for ks in numbers.values())


@settings(deadline=None, max_examples=30)
@given(mixtures(), st.integers(1, 40), st.integers(0, 12))
def test_counts_equal_what_is_drawn(mixture, batch, steps):
    drawn = Counter(draw.category for draws in sequence(mixture, batch=batch, seed=0, steps=steps) for draw in draws)
    assert MixtureDraw(mixture, batch=batch, seed=0).counts(steps) == {name: drawn[name] for name in shares(mixture)}


def test_a_step_far_away_is_reached_by_whole_periods():
    drawing, step = MixtureDraw(FINAL, batch=256, seed=0), 10**12
    draws = drawing.batch(step)
    assert drawing.counts(step) == pytest.approx({name: share * 256 * step for name, share in shares(FINAL).items()}, abs=1, rel=0)
    assert draws == drawing.batch(step)


def test_a_hundredth_of_a_small_alpha_is_never_lost():
    rare = SftMixture(alpha=Alpha(science=0.01))
    assert MixtureDraw(rare, batch=16, seed=0).counts(101)["science"] == 16


def test_batches_are_shuffled_and_seeds_shuffle_differently():
    half = SftMixture(alpha=Alpha(science=1.0))
    orders = [[draw.category for draws in sequence(half, batch=64, seed=seed, steps=1) for draw in draws] for seed in (0, 1)]
    assert orders[0] != orders[1]
    assert orders[0] not in (["general", "science"] * 32, ["science", "general"] * 32)


def test_the_same_general_samples_come_in_every_arm_of_a_seed():
    few, many = (sequence(SftMixture(alpha=Alpha(science=alpha)), batch=16, seed=7, steps=20) for alpha in (0.1, 1.0))
    seen = [{sample_index(7, "general", d.k) for draws in arm for d in draws if d.category == "general"} for arm in (few, many)]
    assert seen[1] < seen[0]


@given(st.integers(0, 2**31), st.integers(0, 10**9))
def test_sample_indices_are_31_bits_and_separate_what_they_depend_on(seed, k):
    named = [(seed, "general", k), (seed, "science", k), (seed + 1, "general", k), (seed, "general", k + 1)]
    indices = {sample_index(*name) for name in named}
    assert len(indices) == 4
    assert all(0 <= index < 2**31 for index in indices)


def test_draws_do_not_depend_on_the_hash_seed_of_the_process():
    code = ("import json; from model.config.stages import *; from model.data.mixture import *;"
            "d = MixtureDraw(SftMixture(alpha=Alpha(science=.5, math=.2)), batch=8, seed=4);"
            "print(json.dumps([[x.category, x.k, sample_index(4, x.category, x.k)] for x in d.batch(3)]))")
    runs = [subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, cwd=ROOT, check=True, capture_output=True)
            for seed in ("1", "2")]
    assert json.loads(runs[0].stdout) == json.loads(runs[1].stdout)


def test_the_mixture_is_torch_free():
    code = "import sys, model.data.mixture, model.evaluation.metrics, model.evaluation.averages; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_late_mixture_goes_on_where_the_one_before_it_ended():
    early, late = SftMixture(alpha=Alpha(science=0.5)), SftMixture(alpha=Alpha(science=3, math=1))
    drawing, alone = (MixtureDraw(early, batch=4, seed=3, **more) for more in ({"late": late, "late_from": 5}, {}))
    steps = [drawing.batch(step) for step in range(12)]
    assert steps[:5] == [alone.batch(step) for step in range(5)]
    assert [drawing.batch(step) for step in reversed(range(12))] == steps[::-1]
    draws = [draw for step in steps for draw in step]
    drawn = {name: sorted(draw.k for draw in draws if draw.category == name) for name in ("general", "science", "math")}
    assert all(ks == list(range(len(ks))) for ks in drawn.values())
    assert drawing.counts(12) == {name: len(ks) for name, ks in drawn.items()}
    assert drawing.counts(5) == alone.counts(5)
    assert {draw.category for step in steps[:5] for draw in step} == {"general", "science"}
