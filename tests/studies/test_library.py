"""Every document under studies/ is read, planned and consistent with the others."""

from collections.abc import Callable

import pytest
import torch

from model.config.stages import PRESETS
from model.data.mixture import shares
from model.network.mm15 import MM15
from orchestrator.plan.arms import designed_arms
from orchestrator.plan.layers import required_studies
from orchestrator.plan.plan import Plan, Planner
from orchestrator.plan.trial_config import resolve
from orchestrator.results.campaign import sorted_studies
from orchestrator.study import library
from orchestrator.study.documents import Published, load_published, load_recipe, load_scale
from orchestrator.study.study import Study, load_campaign, load_study
from tests.support.chosen import CHOSEN

STUDIES = list(library.names("study"))
SCALES = list(library.names("scale"))
PUBLISHED = list(library.names("published"))
FROM_THE_DECK = {
    "data-categories": 6, "alpha-science": 6, "alpha-math": 6, "alpha-code": 6, "alpha-refer-ground": 5, "w-text": 5, "w-multi": 5,
    "mixing-categories": 4, "continual-resolution": 4, "continual-source": 6, "pretrain-ratio": 3, "resolution-and-tokens": 7,
    "grid-configuration": 7, "grid-configuration-larger": 6, "indicator-and-overview": 4, "final-recipe": 2,
    "mm1-vs-final": 2, "model-size": 2,
}
"""Study -> number of arms."""


@pytest.fixture
def plan() -> Callable[..., Plan]:
    """Plan a study by name."""
    return lambda name, scale="tiny": Planner(
        load_study(name), scale, selections=CHOSEN if required_studies(load_study(name)) else None).plan()


def training(found: Plan) -> set[str]:
    return {stage.stage_id for stage in found.stages.values() if stage.kind not in ("import", "evaluate")}


def test_all_studies_of_the_deck_are_written_down() -> None:
    folder = {path.stem for path in (library.ROOT / "mm15").glob("*.yaml")}
    assert folder == set(FROM_THE_DECK)


@pytest.mark.parametrize("name", FROM_THE_DECK)
def test_study_has_the_arms_of_the_deck(name: str) -> None:
    assert len(designed_arms(load_study(name))) == FROM_THE_DECK[name]


@pytest.mark.parametrize("scale", ["tiny", "mm1.5-3b"])
@pytest.mark.parametrize("name", STUDIES)
def test_study_is_planned(name: str, scale: str, plan: Callable[..., Plan]) -> None:
    found = plan(name, scale)
    assert len({trial.key for trial in found.trials}) == len(found.trials) == len(found.arms) * len(found.study.seed_list)
    assert found.num_unique <= found.num_requested
    assert found.baseline_key is not None


@pytest.mark.parametrize(("name", "scale"), [
    *(("final-recipe", each) for each in library.names("scale") if each.startswith("mm1.5")),
    *(("pretrain-ratio", each) for each in library.names("scale") if each.startswith("mm1.5")),
    ("grid-configuration", "mm1.5-1b"), ("grid-configuration", "mm1.5-3b"), ("grid-configuration", "mm1.5-7b"),
])
def test_training_at_the_sizes_of_the_paper_fits_into_80_gb(name: str, scale: str, plan: Callable[..., Plan]) -> None:
    needs = [stage.memory for stage in plan(name, scale).stages.values() if stage.memory]
    assert needs
    assert max(needs) < 0.85 * 80e9


@pytest.mark.parametrize("name", library.names("campaign"))
def test_campaign_orders_studies_that_exist_after_those_they_need(name: str) -> None:
    ordered = [study.name for study in sorted_studies(load_campaign(name))]
    for i, study in enumerate(ordered):
        assert set(required_studies(load_study(study))) <= set(ordered[:i])


@pytest.mark.parametrize("scale", SCALES)
def test_final_recipe_resolves_at_every_scale(scale: str) -> None:
    config = resolve(load_study("final-recipe"), scale, {}, 0)
    assert list(config.stages) == ["pretrain", "continual", "sft"]


@pytest.mark.parametrize("name", library.names("recipe"))
def test_recipe_says_what_it_is(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.about
    assert recipe.source


@pytest.mark.parametrize("name", ["alpha-science", "alpha-math", "alpha-code", "alpha-refer-ground"])
def test_alpha_study_mixes_general_and_its_target_alone(name: str) -> None:
    study = load_study(name)
    for arm in designed_arms(study)[1:]:
        config = resolve(study, "tiny", arm.levels, 0)
        assert config.sft is not None
        assert set(shares(config.sft.mixture)) == {"general", name.removeprefix("alpha-").replace("-", "_")}


def test_every_arm_trains_on_the_same_number_of_samples() -> None:
    study = load_study("alpha-refer-ground")
    configs = [resolve(study, "mm1.5-3b", arm.levels, 0).sft for arm in designed_arms(study)]
    assert len({config.steps * config.batch for config in configs if config is not None}) == 1


def test_final_mixture_has_the_published_shares() -> None:
    config = resolve(load_study("final-recipe"), "mm1.5-3b", {}, 0)
    assert config.sft is not None
    percent = {name: 100 * share for name, share in shares(config.sft.mixture).items()}
    published = {"text_rich": 37.2, "refer_ground": 22.5, "general": 11.3, "math": 5.6, "code": 2.3, "science": 1.1,
                 "multi_image": 10, "text_only": 10}
    assert percent == pytest.approx(published, abs=0.1)


SHARING = [
    ("data-categories", "alpha-science", 10), ("data-categories", "alpha-refer-ground", 10),
    ("continual-resolution", "continual-source", 15), ("resolution-and-tokens", "w-text", 5), ("w-text", "w-multi", 5),
    ("mixing-categories", "w-multi", 5),
    ("resolution-and-tokens", "grid-configuration", 10), ("grid-configuration", "indicator-and-overview", 5),
    ("mm1-vs-final", "model-size", 15), ("final-recipe", "model-size", 3), ("search-alpha-science", "quickstart", 2),
]


@pytest.mark.parametrize(("one", "other", "num_shared"), SHARING)
def test_studies_share_what_both_train(one: str, other: str, num_shared: int, plan: Callable[..., Plan]) -> None:
    assert len(training(plan(one)) & training(plan(other))) == num_shared


@pytest.mark.parametrize(("one", "other", "num_shared"), [each for each in SHARING if "search" not in each[0]])
def test_studies_share_the_same_at_the_size_of_the_paper(one: str, other: str, num_shared: int, plan: Callable[..., Plan]) -> None:
    assert len(training(plan(one, "mm1.5-3b")) & training(plan(other, "mm1.5-3b"))) == num_shared


def test_inference_only_rows_share_the_trained_model(plan: Callable[..., Plan]) -> None:
    found = plan("grid-configuration")
    trained = {arm.name: found.trials[5 * i].stage_ids[1] for i, arm in enumerate(found.arms)}
    assert len({trained[name] for name in trained if name.split(" ")[0] in ("1", "5", "6", "7")}) == 1
    assert len(set(trained.values())) == 4


def arms_named_in(published: Published) -> set[str]:
    named = {row.arm for row in published.rows} | ({published.chosen} if published.chosen else set())
    for claim in published.claims:
        named |= {arm for comparison in claim.compare for arm in (comparison.a, comparison.b)}
        named |= {arm for gain in claim.gains for arm in (*gain.larger, *gain.smaller)}
        named |= {claim.optimum.arm} if claim.optimum else set()
    return named


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_arms_are_arms_of_the_study(name: str) -> None:
    study: Study = load_study(name)
    assert study.published == name
    assert arms_named_in(load_published(name)) <= {arm.name for arm in designed_arms(study)}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_differences_follow_from_the_rows(name: str) -> None:
    published = load_published(name)
    scores = {row.arm: row.scores for row in published.rows}
    pairs = [(comparison.published, scores[comparison.a][comparison.metric] - scores[comparison.b][comparison.metric])
             for claim in published.claims for comparison in claim.compare if comparison.published is not None]
    assert [printed for printed, _ in pairs] == pytest.approx([difference for _, difference in pairs], abs=0.051)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_claim_has_a_test(name: str) -> None:
    assert all(claim.compare or claim.gains or claim.optimum for claim in load_published(name).claims)


@pytest.mark.parametrize("scale", SCALES)
def test_models_of_a_scale_exist(scale: str) -> None:
    models = load_scale(scale).models
    assert {row.until_then or row.preset for row in models.values()} <= PRESETS.keys()


@pytest.mark.parametrize("preset", PRESETS)
def test_model_is_built_on_the_meta_device(preset: str) -> None:
    with torch.device("meta"):
        assert sum(weight.numel() for weight in MM15(PRESETS[preset]).parameters()) > 0
