"""Held-out loss: the cross-entropy that training would have, over samples that no training draws."""

from dataclasses import replace

import pytest
import torch

from model.config.stages import PRESETS, DataConfig, EvaluateConfig, ImageConfig
from model.data.encoding import Encoder
from model.data.tokenizer import load_tokenizer
from model.evaluation.averages import DAGGER, averages
from model.evaluation.benchmark_scores import total
from model.evaluation.benchmarks.held_out import LOSSES
from model.evaluation.benchmarks.registry import BENCHMARKS, SUITES
from model.evaluation.generation import Generator
from model.evaluation.held_out import item_sample
from model.evaluation.metrics import loss, score_item
from model.evaluation.stage import evaluate_stage
from model.evaluation.stored_answers import read, rescored
from model.evaluation.workbench_items import workbench_item
from model.manifest import publish
from model.network.mm15 import MM15
from model.workbench import make_sample, sample_makers

IMAGES = ImageConfig(mode="dynamic", tile=32, tokens=4, n_min=2, n_max=4)
CONFIG = EvaluateConfig(images=IMAGES, benchmarks=("loss-general",), num_items=6, batch=4)
COUNT = 6


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    tiny = PRESETS["tiny"]
    shapes = replace(tiny, vision=replace(tiny.vision, layers=1, tile=32), decoder=replace(tiny.decoder, layers=1))
    return MM15(shapes).eval()


@pytest.fixture
def encoder():
    return Encoder(load_tokenizer(), IMAGES, max_tokens=2048)


def items(name):
    return [workbench_item(BENCHMARKS[name], index, seed=0) for index in range(COUNT)]


def measured(model, encoder, name, **changes):
    return Generator(model, encoder, replace(CONFIG, **changes), 4).loss(iter(items(name)), COUNT)


def score(name, answered):
    scores = [score_item("loss", each.prediction, each.item) for each in answered]
    return total(BENCHMARKS[name], [each.item for each in answered], scores, CONFIG.scoring, is_limited=True)


@pytest.mark.parametrize("name", ["loss-general", "loss-multi-image", "loss-text-only", "loss-interleaved"])
def test_it_is_the_loss_that_training_would_have(model, encoder, name):
    encoded = [encoder.sample(item_sample(each)) for each in items(name)]
    with torch.no_grad():
        expected = float(model(encoder.collate(encoded), tokens=IMAGES.tokens)) / sum(each.num_supervised for each in encoded)
    found = score(name, measured(model, encoder, name))
    assert found.score == pytest.approx(expected, rel=1e-5)
    assert (found.num_unparseable, found.is_complete) == (0, True)
    assert found.details["num_tokens"] == sum(each.num_supervised for each in encoded)


def test_it_depends_neither_on_batches_nor_on_shared_pictures(model, encoder):
    alone, shared = (measured(model, encoder, "loss-general", **changes) for changes in ({"batch": 1}, {"share_images": True}))
    for one, other in zip(alone, shared, strict=True):
        assert loss.read(one.prediction)[0] == pytest.approx(loss.read(other.prediction)[0], rel=1e-5)
        assert loss.read(one.prediction)[1] == loss.read(other.prediction)[1]


def test_blind_it_needs_no_picture(model, encoder):
    seen, blind = (score("loss-general", measured(model, encoder, "loss-general", blind=each)) for each in (False, True))
    assert seen.score != blind.score
    assert seen.details["num_tokens"] == blind.details["num_tokens"]


def test_long_answers_weigh_more():
    parts = [(loss.said(30.0, 10), 0), (loss.said(2.0, 2), 1)]
    found = score("loss-general", [type("A", (), {"prediction": said, "item": items("loss-general")[at]}) for said, at in parts])
    assert found.score == pytest.approx(32 / 12)


@pytest.mark.parametrize("said", ["", "nan", "3 nats over 0 tokens", "x nats over 3 tokens"])
def test_what_is_no_loss_is_refused(said):
    with pytest.raises(ValueError, match=r"allowed: NUMBER nats over NUMBER tokens|could not convert"):
        loss.read(said)


def test_every_category_of_the_workbench_has_one_that_no_training_draws():
    assert {each.made_of[0] for each in LOSSES} == set(sample_makers())
    for each in LOSSES:
        drawn = {make_sample(each.made_of[0], "train", index).turns for index in range(40)}
        assert all(item_sample(workbench_item(each, index, seed=0)).turns not in drawn for index in range(10))


def test_it_enters_no_average():
    suite = (*SUITES["workbench"], "loss-general", DAGGER)
    scores = dict.fromkeys(SUITES["workbench"], 50.0) | {"loss-general": 3.0}
    found = averages(scores, suite)
    assert set(found.values.values()) == {50.0}
    assert "held_out" not in found.values | found.withheld
    assert found.values == averages(scores, (*SUITES["workbench"], DAGGER)).values


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, model):
    directory = tmp_path_factory.mktemp("model") / "checkpoint"

    def write(target):
        model.save_pretrained(target)
        load_tokenizer().save_pretrained(target)

    publish(directory, write)
    return directory


def test_a_stage_measures_it_and_stored_answers_give_it_again(checkpoint, tmp_path):
    result = evaluate_stage(benchmark="loss-general", config=CONFIG, data=DataConfig(), checkpoint=checkpoint, out=tmp_path / "out",
                            report=lambda _: None, should_stop=lambda: False)
    assert (result["num_items"], result["num_unparseable"], result["is_complete"]) == (COUNT, 0, True)
    assert 1 < result["score"] < 12
    answers = read(tmp_path / "out" / "items.jsonl", "loss-general")
    assert rescored(BENCHMARKS["loss-general"], answers, CONFIG.scoring, is_limited=True).score == result["score"]
    assert all(0 < each.score.strict < 1 for each in answers)


def test_a_model_of_another_family_is_not_asked(checkpoint, tmp_path):
    with pytest.raises(ValueError, match=r"weighs text by our tokens; allowed with evaluate.model: benchmarks with answers"):
        evaluate_stage(benchmark="loss-general", config=replace(CONFIG, model="operator:theirs"), data=DataConfig(), checkpoint=checkpoint,
                       out=tmp_path / "out", report=lambda _: None, should_stop=lambda: False)
