import dataclasses
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config import stages as model_config
from model.config.fields import FieldError, build, to_plain
from model.config.stages import PRESETS, DataConfig, ImageConfig, PretrainConfig, SftConfig
from orchestrator.plan import identity as identity_module
from orchestrator.plan.identity import canonical, digest, digest_but, stage_identity

ALPHA = st.floats(0, 10, allow_nan=False) | st.integers(0, 10)


def spec(**changes: Any) -> dict[str, Any]:
    config = SftConfig(images=ImageConfig(mode="static", tile=112, tokens=16), steps=80, batch=16, lr=5e-4)
    return {
        "kind": "sft", "version": "1", "model": to_plain(PRESETS["tiny"]), "config": to_plain(config), "data": to_plain(DataConfig()),
        "data_fingerprint": "f" * 64, "seed": 0, "parent_id": "p" * 64,
    } | changes


def config(**changes: Any) -> dict[str, Any]:
    return spec()["config"] | changes


def shuffled(value: Any, source: random.Random) -> Any:
    if not isinstance(value, dict):
        return value
    items = [(name, shuffled(item, source)) for name, item in value.items()]
    source.shuffle(items)
    return dict(items)


@given(st.randoms(use_true_random=False))
def test_order_of_fields_does_not_matter(source: random.Random) -> None:
    assert stage_identity(shuffled(spec(), source)) == stage_identity(spec())


@given(st.integers(0, 1000))
def test_integer_and_float_of_a_float_field_are_one(value: int) -> None:
    one, other = (config(mixture={"alpha": {"science": number}}) for number in (value, float(value)))
    assert stage_identity(spec(config=one)) == stage_identity(spec(config=other))


def test_minus_zero_is_zero() -> None:
    assert stage_identity(spec(config=config(weight_decay=-0.0))) == stage_identity(spec(config=config(weight_decay=0)))
    assert canonical(build(SftConfig, config(clip=-0.0))) == canonical(build(SftConfig, config(clip=0.0)))


def test_identity_survives_json() -> None:
    assert stage_identity(json.loads(json.dumps(spec()))) == stage_identity(spec())


def test_fields_left_at_their_default_may_be_left_out() -> None:
    short = {"images": {"mode": "static", "tile": 112, "tokens": 16}, "steps": 80, "batch": 16, "lr": 0.0005}
    assert stage_identity(spec(config=short)) == stage_identity(spec())


@pytest.mark.parametrize("name", ["micro_batch", "checkpoint_every"])
def test_what_cannot_change_a_result_stays_out(name: str) -> None:
    assert stage_identity(spec(config=config(**{name: 7}))) == stage_identity(spec())


@pytest.mark.parametrize(("name", "value"), [
    ("steps", 81), ("batch", 8), ("lr", 4e-4), ("threads", 2), ("dtype", "bf16"), ("optimizer", "adamw"), ("warmup_steps", 5),
    ("mixture", {"alpha": {"science": 0.1}}), ("images", {"mode": "static", "tile": 112, "tokens": 16, "overview": "after"}),
])
def test_what_can_change_a_result_changes_the_name(name: str, value: Any) -> None:
    assert stage_identity(spec(config=config(**{name: value}))) != stage_identity(spec())


@pytest.mark.parametrize(("name", "value"), [
    ("version", "2"), ("data_fingerprint", "e" * 64), ("seed", 1), ("parent_id", None), ("model", to_plain(PRESETS["tiny-wide"])),
    ("data", {"source": "workbench", "seed": 1}),
])
def test_each_part_of_a_spec_changes_the_name(name: str, value: Any) -> None:
    assert stage_identity(spec(**{name: value})) != stage_identity(spec())


def test_new_field_at_its_default_keeps_old_names(monkeypatch: pytest.MonkeyPatch) -> None:
    later = dataclasses.make_dataclass("SftConfig", [("ema_decay", float, dataclasses.field(default=0.0))], bases=(SftConfig,),
                                       frozen=True, slots=True, kw_only=True, namespace={"__module__": model_config.__name__})
    before = stage_identity(spec())
    monkeypatch.setitem(identity_module.CONFIGS, "sft", later)
    assert stage_identity(spec()) == before
    assert stage_identity(spec(config=config(ema_decay=0.0))) == before
    assert stage_identity(spec(config=config(ema_decay=0.9))) != before


@given(st.lists(st.tuples(st.sampled_from(["science", "math", "code"]), ALPHA), min_size=2, max_size=2))
def test_names_are_equal_only_for_equal_configurations(levels: list[tuple[str, float]]) -> None:
    plains = [config(mixture={"alpha": {name: value}}) for name, value in levels]
    built = [build(SftConfig, plain) for plain in plains]
    names = [stage_identity(spec(config=plain)) for plain in plains]
    assert (built[0] == built[1]) == (names[0] == names[1])


def test_stages_of_different_kinds_have_different_names() -> None:
    mixture = {"caption": 1.0, "interleaved": 0.0, "text": 0.0}
    pretrain = to_plain(build(PretrainConfig, config(mixture=mixture)))
    assert stage_identity(spec(kind="pretrain", config=pretrain)) != stage_identity(spec())


def test_spec_with_an_unknown_field_is_refused() -> None:
    with pytest.raises(FieldError, match=r"config\.stepz: unknown field"):
        stage_identity(spec(config=config(stepz=1)))
    with pytest.raises(ValueError, match="note: not part of a stage's spec"):
        stage_identity(spec(note="x"))


def test_names_do_not_change_from_one_release_to_the_next() -> None:
    model = {
        "vision": {"width": 8, "layers": 1, "heads": 1, "mlp_width": 8, "patch": 8, "tile": 64},
        "connector": {"hidden": 8},
        "decoder": {"width": 8, "layers": 1, "heads": 1, "kv_heads": 1, "mlp_width": 8, "vocabulary": 16, "context": 64},
    }
    assert stage_identity(spec(model=model)) == "6f146720945cd123f7dea47a4138ec860ee64479266783d0bb7cdd04baf35cd7"


@given(st.dictionaries(st.text("abcz_", min_size=1), st.text(), min_size=1), st.randoms(use_true_random=False))
def test_a_digest_finished_later_is_the_same(parts: dict[str, str], chance: random.Random) -> None:
    fragments = {name: canonical(value) for name, value in parts.items()}
    name = chance.choice(sorted(fragments))
    others = {each: fragment for each, fragment in fragments.items() if each != name}
    assert digest_but(others, name)(fragments[name]) == digest(fragments)
