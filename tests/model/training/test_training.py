"""Training: optimizer and schedule against references, resume bit for bit, divergence as a result."""

import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from transformers.optimization import Adafactor as ReferenceAdafactor

from model.config.stages import (
    PRESETS,
    Alpha,
    DataConfig,
    ImageConfig,
    PretrainConfig,
    PretrainMixture,
    SftConfig,
    SftMixture,
)
from model.data.encoding import Encoder
from model.data.loader import Steps
from model.data.packing import FULL
from model.data.tokenizer import load_tokenizer
from model.manifest import CorruptDirectory
from model.network.mm15 import MM15
from model.training import checkpoints
from model.training.gradients import gradients
from model.training.loop import Diverged, Stopped
from model.training.optimizer import Adafactor, make_optimizer
from model.training.parallel import Workers
from model.training.schedule import learning_rate
from model.training.stage import counts_by_category, train_stage

CONFIG = SftConfig(images=ImageConfig(mode="single", tile=64, tokens=4), mixture=SftMixture(alpha=Alpha(general=1, science=0.5)),
                   steps=4, batch=3, lr=1e-3, warmup_steps=1, optimizer="adamw", checkpoint_every=2, max_tokens=512)
MODEL = replace(PRESETS["tiny"], vision=replace(PRESETS["tiny"].vision, layers=1), decoder=replace(PRESETS["tiny"].decoder, layers=1))


def stage(folder, config=CONFIG, *, stop_after=None, report=None, start=None, seed=0):
    asked = iter(range(100))
    return train_stage(config=config, model_config=MODEL, data=DataConfig(), seed=seed, start=start, checkpoints=folder / "checkpoints",
                       out=folder / "out", report=report or (lambda progress: None),
                       should_stop=lambda: stop_after is not None and next(asked) >= stop_after)


def weights(folder):
    return load_file(folder / "out" / "model.safetensors")


@pytest.mark.parametrize("name", ["adamw", "adafactor"])
def test_stop_and_resume_equals_straight_through_bit_for_bit(tmp_path, name):
    config = replace(CONFIG, optimizer=name)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    straight = stage(tmp_path / "a", config)
    with pytest.raises(Stopped):
        stage(tmp_path / "b", config, stop_after=3)
    resumed = stage(tmp_path / "b", config)
    assert resumed["resumed_from"] == 3
    assert {key: resumed[key] for key in ("samples", "tokens", "loss")} == {key: straight[key] for key in ("samples", "tokens", "loss")}
    for key, value in weights(tmp_path / "a").items():
        assert torch.equal(value, weights(tmp_path / "b")[key]), key


@pytest.mark.parametrize(("varies", "changes_weights", "changes_data"), [
    ("data", False, True), ("init", True, False), ("both", True, True)])
def test_a_seed_changes_what_it_is_declared_to(tmp_path, varies, changes_weights, changes_data):
    """With a learning rate next to 0 the weights stay those that were drawn; the draw of data is in the tokens of each step."""
    config, found = replace(CONFIG, seed_varies=varies, lr=1e-12, steps=2), []
    for seed in (0, 1):
        reports = []
        stage(tmp_path / str(seed), config, seed=seed, report=reports.append)
        drawn = torch.cat([each.flatten() for each in weights(tmp_path / str(seed)).values()])
        found.append(([each["tokens"] for each in reports], drawn))
    assert (found[0][0] != found[1][0]) == changes_data
    assert (not torch.allclose(found[0][1], found[1][1], atol=1e-6)) == changes_weights


def test_a_damaged_checkpoint_is_reported_and_the_one_before_it_used(tmp_path):
    with pytest.raises(Stopped):
        stage(tmp_path, stop_after=3)
    newest, = sorted((tmp_path / "checkpoints").glob("step_*"))[-1].glob("*.safetensors")
    newest.write_bytes(newest.read_bytes()[:-1] + b"?")
    reports = []
    assert stage(tmp_path, report=reports.append)["resumed_from"] == 2
    assert newest.name in reports[0]["corrupt"]


def test_a_damaged_start_checkpoint_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    stage(tmp_path / "a")
    (tmp_path / "a" / "out" / "config.json").write_text("{}")
    with pytest.raises(CorruptDirectory, match=r"config\.json"):
        stage(tmp_path, start=tmp_path / "a" / "out")


def test_divergence_carries_its_record_and_moves_nothing(tmp_path):
    with pytest.raises(Diverged) as caught:
        stage(tmp_path, replace(CONFIG, lr=1.0, clip=0, steps=40, warmup_steps=0, checkpoint_every=1000, optimizer="adafactor"),
              report=lambda progress: torch.nn.init.constant_(_EVERY[0], math.nan) if progress["step"] == 2 else None)
    assert caught.value.record["step"] == 2
    assert len(caught.value.record["losses"]) == 3


_EVERY: list[torch.Tensor] = []


@pytest.fixture(autouse=True)
def _watch_parameters(monkeypatch):
    """Let a test reach a weight of the model under training, to poison it."""
    def keep(model, config):
        _EVERY[:] = list(model.parameters())
        return make_optimizer(model, config)
    monkeypatch.setattr("model.training.loop.make_optimizer", keep)


def test_adafactor_equals_transformers():
    torch.manual_seed(0)
    start = [torch.randn(6, 5), torch.randn(4, 3, 2, 2), torch.randn(7)]
    ours, theirs = ([weight.clone().requires_grad_() for weight in start] for _ in range(2))
    steps = [(Adafactor(ours, lr=0.01), ours),
             (ReferenceAdafactor(theirs, lr=0.01, scale_parameter=False, relative_step=False, warmup_init=False), theirs)]
    for seed in range(5):
        for movement, moved in steps:
            torch.manual_seed(seed)
            for weight in moved:
                weight.grad = torch.randn_like(weight)
            movement.step()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_schedule_is_its_closed_form():
    config = replace(CONFIG, steps=110, warmup_steps=10, lr=0.5, final_lr=0.1)
    assert learning_rate(0, config) == pytest.approx(0.05)
    assert learning_rate(10, config) == pytest.approx(0.5)
    assert learning_rate(60, config) == pytest.approx(0.5 * (0.1 + 0.9 / 2))
    assert learning_rate(110, config) == pytest.approx(0.05)


def test_gradients_do_not_depend_on_the_micro_batch(tmp_path):
    torch.manual_seed(0)
    from_sizes = []
    for size in (0, 1):
        torch.manual_seed(0)
        model, encoder = MM15(MODEL), Encoder(load_tokenizer(), CONFIG.images, max_tokens=512)
        config, alone = replace(CONFIG, micro_batch=size), Workers(torch.device("cpu"))
        step = Steps(config=config, data=DataConfig(), encoder=encoder, seed=0).opened()(0)
        loss = gradients(model, step.batches, config, alone).loss
        from_sizes.append((loss, [weight.grad for weight in model.parameters() if weight.grad is not None]))
    (loss_a, a), (loss_b, b) = from_sizes
    assert loss_a == pytest.approx(loss_b, rel=1e-5)
    for one, other in zip(a, b, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


def test_every_arm_draws_its_share(tmp_path):
    assert counts_by_category(replace(CONFIG, steps=20, batch=3, warmup_steps=0), seed=1) == {"general": 40, "science": 20}


def test_checkpoints_are_kept_two_at_a_time(tmp_path):
    model = torch.nn.Linear(2, 2)
    movement = torch.optim.AdamW(model.parameters())
    for step in range(5):
        checkpoints.save(tmp_path, model, movement, step=step, extra={}, workers=Workers(torch.device("cpu")))
    assert [path.name[:13] for path in sorted(tmp_path.glob("step_*"))] == ["step_00000003", "step_00000004"]


def test_packed_training_resumes_bit_for_bit_and_draws_its_shares(tmp_path):
    config = PretrainConfig(images=CONFIG.images, mixture=PretrainMixture(caption=0.5, interleaved=0.25, text=0.25), steps=3, batch=4,
                            lr=1e-3, checkpoint_every=2, max_tokens=512, pack=512, optimizer="adamw")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    reports = []
    straight = stage(tmp_path / "a", config, report=reports.append)
    with pytest.raises(Stopped):
        stage(tmp_path / "b", config, stop_after=2)
    assert stage(tmp_path / "b", config)["resumed_from"] == 2
    assert min(straight["filled"], *(each["filled"] for each in reports)) >= FULL
    assert straight["drawn"] == {"caption": 6, "interleaved": 3, "text_hq": 3}
    assert {name: source["samples"] for name, source in straight["sources"].items()} == straight["drawn"]
    for key, value in weights(tmp_path / "a").items():
        assert torch.equal(value, weights(tmp_path / "b")[key]), key


def test_a_frozen_part_keeps_its_weights_and_the_others_move(tmp_path):
    for name, config in (("start", replace(CONFIG, steps=1, warmup_steps=0)), ("after", replace(CONFIG, steps=1, freeze_vision=True))):
        (tmp_path / name).mkdir()
        stage(tmp_path / name, config, start=tmp_path / "start" / "out" if name == "after" else None)
    before, after = weights(tmp_path / "start"), weights(tmp_path / "after")
    same = {key.split(".")[0] for key in before if torch.equal(before[key], after[key])}
    assert same == {"vision"}
