"""Values that pages show: grids of the splitting explorer, designs, learning curves, what decides a claim."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import designs, forests, grids, learning, pictures
from model.config.stages import ImageConfig
from model.evaluation.benchmarks.registry import BENCHMARKS
from model.evaluation.metrics import ItemScore
from model.evaluation.stored_answers import Answer
from model.evaluation.workbench_items import workbench_item
from model.images.drawing import annotated, tile_images
from model.images.splitting import select_grid
from model.images.tiling import tiles
from orchestrator.artifacts.store import PROGRESS, Artifacts
from orchestrator.ledger.rows import AttemptRow
from orchestrator.plan.layers import required_studies
from orchestrator.results.campaign import sorted_studies
from orchestrator.results.results import Results
from orchestrator.study.study import load_campaign

Found = Callable[..., Results]
SETTING = ImageConfig(mode="dynamic", tile=32, tokens=9, n_min=1, n_max=9)


# ---- splitting -----------------------------------------------------------------------------------------------------


@given(st.integers(2, 3000), st.integers(2, 3000), st.sampled_from(["longer", "fit"]))
def test_chosen_grid_is_the_one_that_the_model_takes(height: int, width: int, fit: str) -> None:
    config = dataclasses.replace(SETTING, fit=fit)  # type: ignore[arg-type]
    (chosen,) = [each for each in grids.weighed(height, width, config) if each.is_chosen]
    grid = select_grid(height, width, tile=32, n_min=1, n_max=9, fit=fit)  # type: ignore[arg-type]
    assert (chosen.rows, chosen.cols, chosen.is_allowed) == (grid.rows, grid.cols, True)
    assert chosen.scale == pytest.approx(grid.scale)
    assert (chosen.loss == 0) == (chosen.scale >= 1) == grid.covers


@given(st.integers(2, 3000), st.integers(2, 3000))
def test_no_covering_grid_has_less_padding_than_the_chosen_one(height: int, width: int) -> None:
    found = grids.weighed(height, width, SETTING)
    (chosen,) = [each for each in found if each.is_chosen]
    covering = [each for each in found if each.is_allowed and each.scale >= 1]
    rounding = 1e-9 * max(chosen.padded_px, height * width * chosen.scale**2)  # a square image pads nothing, to the last bit or not
    assert all(each.padded_px >= chosen.padded_px - rounding for each in covering)


def test_other_ways_of_splitting_count_their_tokens() -> None:
    found = {each.name: each for each in grids.tilers(32, 96, SETTING)}
    assert (found["one tile"].num_tiles, found["one tile"].num_tokens) == (1, 9)
    assert (found["static 2 × 2"].num_tiles, found["static 2 × 2"].num_tokens) == (5, 45)
    assert (found["this setting"].rows, found["this setting"].cols) == (1, 3)


def test_sequence_is_readable() -> None:
    config = dataclasses.replace(SETTING, indicator="seps")
    assert grids.sequence(1, 2, config) == ": [overview × 9] [tile 1 × 9] , [tile 2 × 9]"
    assert grids.sequence(1, 1, config) == "[tile 0 × 9]"


def test_tile_borders_are_drawn_where_tiles_meet() -> None:
    image = workbench_item(BENCHMARKS["scene-qa"], 0, seed=1).images[0].resize((64, 64))
    plain, split = (annotated(image, config) for config in (None, dataclasses.replace(SETTING, mode="static")))
    assert plain.size == split.size == (320, 320)
    assert split.getpixel((160, 10)) == (0, 114, 178)
    assert plain.getpixel((160, 10)) != (0, 114, 178)
    assert [tile.size for tile in tile_images(tiles(image, SETTING))] == [(32, 32)] * 5


def test_borders_of_a_stretched_picture_part_it_evenly() -> None:
    image = workbench_item(BENCHMARKS["scene-qa"], 0, seed=1).images[0].resize((64, 32))
    config = dataclasses.replace(SETTING, mode="internvl", n_min=4, n_max=4)
    (tiler,) = [each for each in grids.tilers(32, 64, config) if each.name == "InternVL"]
    split = annotated(image, config)
    assert split.getpixel((split.width // tiler.cols, 10)) == (0, 114, 178)
    assert (split.getpixel((10, split.height // tiler.rows)) == (0, 114, 178)) == (tiler.rows > 1)


# ---- items ---------------------------------------------------------------------------------------------------------


def answer(item_id: str, benchmark: str = "scene-qa") -> Answer:
    item = dataclasses.replace(workbench_item(BENCHMARKS["scene-qa"], 3, seed=1), images=(), item_id=item_id, benchmark=benchmark)
    return Answer(item, "[0, 0, 500, 500]", ItemScore(1.0, 1.0, "x"))


def test_picture_comes_from_the_generator() -> None:
    made = pictures.item_pictures(answer("scene-qa/1/3"))
    assert [image.tobytes() for image in made] == [image.tobytes() for image in workbench_item(BENCHMARKS["scene-qa"], 3, seed=1).images]


@pytest.mark.parametrize("item_id", [
    "../../etc/passwd", "scene-qa/1/../3", "scene-qa/1", "/etc/passwd/1/2", "scene-qa/x/3", "form-fields/1/3"])
def test_no_other_name_has_a_picture(item_id: str) -> None:
    assert pictures.item_pictures(answer(item_id)) == []


# ---- campaigns -----------------------------------------------------------------------------------------------------


def test_a_campaigns_graph_draws_no_arrow_past_another() -> None:
    ordered = sorted_studies(load_campaign("mm15"))
    before = {study.name: required_studies(study) for study in ordered}
    found = designs.nearest(before)
    assert found["chosen-w-text"] == ["alpha-science", "alpha-math", "alpha-code", "alpha-refer-ground"]
    assert found["chosen-w-multi"] == ["chosen-w-text"]
    assert all(set(near) <= set(before[name]) for name, near in found.items())


# ---- claims --------------------------------------------------------------------------------------------------------


def test_undecided_claim_says_what_would_decide_it(found: Found) -> None:
    results = found(published="alpha-science", seeds=1)
    assert results.claims
    for claim in results.claims:
        assert forests.what_decides(claim, results).startswith(("At least two seeds", "The study has no arm"))


def test_decided_claim_needs_nothing(found: Found) -> None:
    results = found(published="alpha-science", noise=0.01)
    decided = [claim for claim in results.claims if claim.outcome != "undecided"]
    assert decided
    assert [forests.what_decides(claim, results) for claim in decided] == [""] * len(decided)


# ---- designs -------------------------------------------------------------------------------------------------------


def with_configs(results: Results, configs: list[dict[str, object]]) -> Results:
    keys = [arm.key for arm in results.arms]
    rows = [dataclasses.replace(row, config=configs[keys.index(row.arm_key)]) for row in results.trial_rows]
    arms = [dataclasses.replace(arm, levels={}) for arm in results.arms]
    return dataclasses.replace(results, trial_rows=tuple(rows), arms=tuple(arms))


def images(n_min: int, n_max: int) -> dict[str, object]:
    return {"images": {"mode": "dynamic", "n_min": n_min, "n_max": n_max}}


def test_grids_at_inference_alone_have_a_facet_of_their_own(found: Found) -> None:
    results = with_configs(found(), [{"sft": images(4, 4), "evaluate": images(4, 4)}, {"sft": images(4, 9), "evaluate": images(4, 9)},
                                     {"sft": images(4, 4), "evaluate": images(1, 9)}])
    facets = designs.facets(designs.gridded(results))
    assert {name.split(",")[0]: list(facet) for name, facet in facets.items()} == {
        "trained with the grid": [(4, 4), (4, 9)], "inference alone": [(1, 9)]}
    cells, rows, columns = designs.grid_cells(next(iter(facets.values())), "knowledge")
    assert (rows, columns, cells[0][0].text.split("\n")[0]) == (["n_min 4"], ["n_max 4", "n_max 9"], "baseline")


def test_a_study_of_one_grid_has_no_plane(found: Found) -> None:
    assert designs.gridded(with_configs(found(), [{"sft": images(4, 9), "evaluate": images(4, 9)}] * 3)) == []


def test_an_empty_share_is_the_rest(found: Found) -> None:
    mixtures = [{"sft": {"mixture": {"weights": {"single": None, "multi": multi, "text": 0.1}}}} for multi in (0.0, 0.1, 0.3)]
    parts, blends = designs.blends(with_configs(found(), mixtures), "knowledge") or ((), [])
    assert parts == ("single", "multi", "text")
    assert [tuple(round(share, 9) for share in each.shares) for each in blends] == [(0.9, 0.0, 0.1), (0.8, 0.1, 0.1), (0.6, 0.3, 0.1)]
    assert designs.blends(found(name="other"), "knowledge") is None


# ---- learning ------------------------------------------------------------------------------------------------------


def attempt(number: int, state: str = "SUCCEEDED") -> AttemptRow:
    return AttemptRow(stage_id="ab" * 32, label="sft", attempt_no=number, state=state, started_at=100.0 + number,
                      ended_at=None if state == "RUNNING" else 110.0 + number, failure=None)


def test_curve_joins_attempts_and_marks_where_one_took_over(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)
    for number, steps in ((1, (1, 2)), (2, (2, 3))):
        path = artifacts.attempt_dir("ab" * 32, number) / PROGRESS
        path.parent.mkdir(parents=True)
        lines = [{"at": 1.0, "started": True}, *({"at": 1.0, "step": step, "steps": 3, "lr": 0.1, "loss": 1.0 / step} for step in steps)]
        path.write_text("\n".join(map(json.dumps, lines)) + '\n{"half')
    reports = learning.reports(artifacts, [attempt(1, "LOST"), attempt(2)])
    curve = learning.curve(reports, "loss", name="seed 0")
    assert learning.metrics_of(reports) == ["loss", "lr"]
    assert (curve.steps, curve.restarts) == ((1.0, 2.0, 2.0, 3.0), (2.0,))
    assert curve.values == (1.0, 0.5, 0.5, pytest.approx(1 / 3))


def test_live_attempts_reach_to_now() -> None:
    spans = learning.spans([attempt(1, "LOST"), attempt(2, "RUNNING")], now=130.0)
    assert [(each.began, each.ended) for each in spans] == [(0.0, 10.0), (1.0, 29.0)]
