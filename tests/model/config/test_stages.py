"""Configuration refuses what cannot work, keeps the deck's values, and keeps its defaults."""

import dataclasses

import pytest

from model.config.fields import FieldError, build, to_plain
from model.config.stages import (
    PRESETS,
    Alpha,
    ConnectorConfig,
    ContinualConfig,
    ContinualMixture,
    DataConfig,
    DecoderConfig,
    EvaluateConfig,
    GroupWeights,
    ImageConfig,
    ModelConfig,
    PretrainConfig,
    PretrainMixture,
    SftConfig,
    VisionConfig,
)

IMAGES = {"mode": "single", "tile": 64, "tokens": 16}
SFT = {"images": IMAGES, "steps": 10, "batch": 4, "lr": 1e-3}
VISION = {"width": 128, "layers": 3, "heads": 4, "mlp_width": 512, "patch": 8, "tile": 64}
DECODER = {"width": 128, "layers": 3, "heads": 4, "kv_heads": 2, "mlp_width": 352, "vocabulary": 1024, "context": 2048}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_plain_values(name):
    assert build(ModelConfig, to_plain(PRESETS[name])) == PRESETS[name]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_whole_heads_and_patches(name):
    preset = PRESETS[name]
    assert preset.decoder.width % preset.decoder.heads == preset.vision.tile % preset.vision.patch == 0


@pytest.mark.parametrize(("cls", "plain", "changes", "path"), [
    (VisionConfig, VISION, {"heads": 3}, "heads"),
    (VisionConfig, VISION, {"tile": 65}, "tile"),
    (VisionConfig, VISION, {"stem": "conv", "patch": 7, "tile": 63}, "stem"),
    (VisionConfig, VISION, {"heads": 0}, "heads"),
    (VisionConfig, VISION, {"patch": 0}, "patch"),
    (DecoderConfig, DECODER, {"heads": 5}, "heads"),
    (DecoderConfig, DECODER, {"kv_heads": 3}, "kv_heads"),
    (DecoderConfig, DECODER, {"kv_heads": 0}, "kv_heads"),
    (DecoderConfig, DECODER, {"experts": 4, "experts_per_token": 5}, "experts_per_token"),
    (ImageConfig, IMAGES, {"n_min": 9, "n_max": 4}, "n_min"),
    (ImageConfig, IMAGES, {"n_max": 65}, "n_min"),
    (ImageConfig, IMAGES, {"n_min": 0}, "n_min"),
    (ImageConfig, IMAGES, {"tokens": 15}, "tokens"),
    (ImageConfig, IMAGES, {"tokens": 0}, "tokens"),
    (ImageConfig, IMAGES, {"tokens": -4}, "tokens"),
    (ImageConfig, IMAGES, {"tile": 0}, "tile"),
    (ImageConfig, IMAGES, {"mode": "dynamics"}, "mode"),
    (Alpha, {}, {"science": -0.1}, "science"),
    (Alpha, {}, {"general": 0}, "general"),
    (GroupWeights, {}, {"single": 0.8, "multi": 0.1, "text": 0.2}, "single"),
    (GroupWeights, {}, {"single": 1.2, "multi": -0.2, "text": 0}, "single"),
    (GroupWeights, {}, {"multi": 0.6, "text": 0.6}, "multi"),
    (GroupWeights, {}, {"text": 1.5}, "text"),
    (PretrainMixture, {}, {"caption": 0.5, "interleaved": 0.1, "text": 0.5}, "caption"),
    (PretrainMixture, {}, {"caption": 0.5, "interleaved": -0.1, "text": 0.6}, "interleaved"),
    (ContinualMixture, {}, {"ocr": 0.5}, "ocr"),
    (SftConfig, SFT, {"steps": -1}, "steps"),
    (SftConfig, SFT, {"batch": 0}, "batch"),
    (SftConfig, SFT, {"lr": 0}, "lr"),
    (SftConfig, SFT, {"lr": "1e-5"}, "lr"),
    (SftConfig, SFT, {"warmup_steps": 11}, "warmup_steps"),
    (SftConfig, SFT, {"final_lr": 1.5}, "final_lr"),
    (SftConfig, SFT, {"threads": 0}, "threads"),
    (SftConfig, SFT, {"clip": -1}, "clip"),
    (SftConfig, SFT, {"weight_decay": -0.1}, "weight_decay"),
    (SftConfig, SFT, {"micro_batch": -1}, "micro_batch"),
    (SftConfig, SFT, {"max_tokens": 0}, "max_tokens"),
    (SftConfig, SFT, {"checkpoint_every": 0}, "checkpoint_every"),
    (SftConfig, SFT, {"mixture": {"alpha": {"maths": 1}}}, "mixture.alpha.maths"),
    (EvaluateConfig, {"images": IMAGES, "benchmarks": ["a"]}, {"num_items": -1}, "num_items"),
    (EvaluateConfig, {"images": IMAGES, "benchmarks": ["a"]}, {"batch": 0}, "batch"),
    (EvaluateConfig, {"images": IMAGES, "benchmarks": ["a"]}, {"threads": 0}, "threads"),
])
def test_value_that_cannot_work_is_refused_at_its_path(cls, plain, changes, path):
    with pytest.raises(FieldError) as caught:
        build(cls, {**plain, **changes})
    assert caught.value.path == path


def test_weights_that_do_not_sum_to_one_say_what_they_sum_to():
    with pytest.raises(FieldError, match=r"weights sum to 1.1 \(single 0.8, multi 0.1, text 0.2\); allowed: 1"):
        GroupWeights(single=0.8, multi=0.1, text=0.2)


@pytest.mark.parametrize(("weights", "single"), [
    (GroupWeights(), 1.0), (GroupWeights(multi=0.1, text=0.1), 0.8), (GroupWeights(single=0.8, multi=0.1, text=0.1), 0.8),
    (GroupWeights(multi=0.5, text=0.5), 0.0),
])
def test_single_share_is_what_the_others_leave(weights, single):
    assert weights.single_share == pytest.approx(single)


def test_rounding_in_shares_is_forgiven():
    assert PretrainMixture(caption=0.1 + 0.2, interleaved=0.3, text=0.4).caption == pytest.approx(0.3)


def defaults(cls):
    """Return the default of every field that has one, nested ones as plain values."""
    return {each.name: to_plain(each.default) for each in dataclasses.fields(cls) if each.default is not dataclasses.MISSING}


ALPHA = {"general": 1.0, "text_rich": 0.0, "refer_ground": 0.0, "science": 0.0, "math": 0.0, "code": 0.0, "own": []}
WEIGHTS = {"single": None, "multi": 0.0, "text": 0.0}
TRAIN = {
    "warmup_steps": 0, "schedule": "cosine", "final_lr": 0.0, "optimizer": "adafactor", "weight_decay": 0.0, "clip": 1.0,
    "max_tokens": 4096, "dtype": "fp32", "threads": 1, "micro_batch": 0, "checkpoint_every": 100,
}
FROZEN_DEFAULTS = {
    VisionConfig: {"stem": "patch", "activation": "quick_gelu", "class_token": False, "stem_bias": False, "norm_in": True,
                   "norm_eps": 1e-5, "pixels": "clip"},
    ConnectorConfig: {"kind": "c_abstractor", "depth": 3},
    ImageConfig: {"n_min": 4, "n_max": 9, "fit": "longer", "overview": "before", "indicator": "none"},
    Alpha: ALPHA,
    GroupWeights: WEIGHTS,
    ContinualMixture: {"ocr": 1.0, "recap": 0.0, "sharegpt4v": 0.0},
    PretrainConfig: TRAIN,
    ContinualConfig: {**TRAIN, "mixture": {"ocr": 1.0, "recap": 0.0, "sharegpt4v": 0.0}},
    SftConfig: {**TRAIN, "mixture": {"alpha": ALPHA, "weights": WEIGHTS}},
    EvaluateConfig: {"num_items": 0, "batch": 32, "dtype": "fp32", "threads": 1},
    DataConfig: {"source": "workbench", "seed": 0},
    DecoderConfig: {"rope_theta": 500000.0, "tied": True, "experts": 0, "experts_per_token": 2, "moe_every": 2,
                    "head_width": 0, "transformers": "", "plain_head": True},
}


@pytest.mark.parametrize("cls", FROZEN_DEFAULTS)
def test_known_defaults_never_change(cls):
    """A changed default would give old results a new meaning; a new field may be added here."""
    assert {name: defaults(cls)[name] for name in FROZEN_DEFAULTS[cls]} == FROZEN_DEFAULTS[cls]


@pytest.mark.parametrize(("cls", "names"), [
    (SftConfig, {"micro_batch", "checkpoint_every", "recompute", "loaders", "pass_tokens", "pass_tiles", "sync_once"}),
    (EvaluateConfig, {"batch", "share_images"}), (ImageConfig, set()),
    (DecoderConfig, set()),
])
def test_only_what_cannot_change_a_result_stays_out_of_the_identity(cls, names):
    assert {each.name for each in dataclasses.fields(cls) if not each.metadata.get("identity", True)} == names


def test_final_mixture_of_the_deck_is_accepted():
    weights = build(GroupWeights, {"single": 0.8, "multi": 0.1, "text": 0.1})
    alpha = build(Alpha, {"text_rich": 3.29, "refer_ground": 2, "science": 0.1, "math": 0.5, "code": 0.2})
    assert (weights.single_share, alpha.general) == (0.8, 1.0)
