"""A stage cut at its branching points trains what it trains in one piece, bit for bit."""

from dataclasses import replace

import pytest

from model.config.fields import FieldError
from model.config.stages import Alpha, DataConfig, SftMixture
from model.training.schedule import learning_rate
from model.training.stage import STATE, train_stage
from orchestrator.plan.stages import parts_of
from tests.support.gloo import CONFIG, DENSE

WHOLE = replace(CONFIG, steps=5, schedule="wsd", decay_steps=2, warmup_steps=1, final_lr=0.1)
CUT = replace(WHOLE, branch_every=1)


def trained(folder, config, *, start=None):
    result = train_stage(config=config, model_config=DENSE, data=DataConfig(), seed=0, start=start, checkpoints=folder / "checkpoints",
                         out=folder / "out", report=lambda _: None, should_stop=lambda: False)
    return folder / "out", result


LATE = {"branch_every": 1, "late_from": 2, "late_mixture": SftMixture(alpha=Alpha(general=1, text_rich=2))}


@pytest.mark.parametrize(
    "changes", [{}, {"optimizer": "adamw", "weight_decay": 0.1}, LATE], ids=["adafactor", "adamw", "late mixture"])
def test_a_stage_in_parts_equals_one_in_a_piece(tmp_path, changes):
    whole, expected = trained(tmp_path / "whole", replace(WHOLE, **changes))
    at, results = None, []
    for part in parts_of(replace(CUT, **changes)):
        at, result = trained(tmp_path / str(part.begin), part, start=at)
        results.append(result)
    assert (at / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert results[-1]["loss"] == expected["loss"]
    for name in ("samples", "tokens", "supervised"):
        assert sum(each[name] for each in results) == expected[name]
    for category, count in expected["drawn"].items():
        found = [each["sources"][category] for each in results if category in each["sources"]]
        assert sum(each["drawn"].get(category, 0) for each in results) == count
        for name in ("samples", "tokens", "supervised", "asked"):
            assert sum(each[name] for each in found) == pytest.approx(expected["sources"][category][name])
    assert not (at / STATE).exists()


def test_a_late_mixture_is_drawn_from_its_step_on(tmp_path):
    _, result = trained(tmp_path, replace(WHOLE, **LATE))
    early, late = 2 * WHOLE.batch, 3 * WHOLE.batch
    expected = {"general": early / 1.5 + late / 3, "science": early / 3, "text_rich": late / 1.5}
    assert result["drawn"] == pytest.approx(expected, abs=1)
    assert sum(result["drawn"].values()) == result["samples"] == 5 * WHOLE.batch


def test_a_branch_without_the_state_of_its_trunk_is_refused(tmp_path):
    start, _ = trained(tmp_path / "trunk", replace(WHOLE, steps=2, decay_steps=0))
    with pytest.raises(ValueError, match="no state of step 2, from which the stage goes on; found: step 0"):
        trained(tmp_path / "branch", replace(CUT, begin=2), start=start)


def test_the_rate_rises_stays_and_falls():
    rates = [learning_rate(step, replace(WHOLE, steps=8, warmup_steps=2, decay_steps=3, lr=1.0)) for step in range(8)]
    assert rates == pytest.approx([0.5, 1, 1, 1, 1, 1, 0.7, 0.4])
    assert learning_rate(8, replace(WHOLE, steps=8, warmup_steps=2, decay_steps=3, lr=1.0)) == pytest.approx(0.1)


@pytest.mark.parametrize(("changes", "says"), [
    ({"schedule": "cosine"}, "decay_steps: 2; allowed with schedule cosine: 0"),
    ({"decay_steps": 5}, r"decay_steps: 5; allowed: 0 to steps - warmup_steps \(4\)"),
    ({"begin": 3, "branch_every": 2}, "begin: 3; allowed: 0, or a multiple of branch_every up to steps"),
])
def test_what_cannot_branch_is_refused(changes, says):
    with pytest.raises(FieldError, match=says):
        replace(CUT, **changes)
