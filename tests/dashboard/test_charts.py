from collections.abc import Callable
from dataclasses import replace

import pytest

from dashboard import charts, queries
from orchestrator.analysis.scores import TOKENS
from orchestrator.results.results import Results
from tests.support.synthetic import SCIENCE

Found = Callable[..., Results]


@pytest.fixture
def panel(found: Found) -> queries.Panel:
    return queries.panel(found(), "knowledge")


def traces(figure: object) -> dict[str, object]:
    return {trace.name: trace for trace in figure.data}  # type: ignore[attr-defined]


def test_every_seed_is_drawn(panel: queries.Panel) -> None:
    seeds = traces(charts.panel_figure(panel, study_id="s"))["one seed"]
    assert sorted(seeds.y) == sorted(value for point in panel.points for value in point.seeds.values())  # type: ignore[attr-defined]


def test_means_carry_their_half_widths(panel: queries.Panel) -> None:
    means = traces(charts.panel_figure(panel, study_id="s"))["mean ± 95 %"]
    assert list(means.error_y.array) == [point.half_width for point in panel.points]  # type: ignore[attr-defined]


def test_ring_is_on_the_chosen_level(panel: queries.Panel) -> None:
    ring = traces(charts.panel_figure(panel, study_id="s"))["chosen by the rule"]
    assert (ring.x, ring.y) == ((2,), (panel.points[2].mean,))  # type: ignore[attr-defined]


def test_baseline_is_a_dashed_line(panel: queries.Panel) -> None:
    (line,) = charts.panel_figure(panel, study_id="s").layout.shapes
    assert (line.line.dash, line.y0) == ("dash", panel.points[0].mean)


def test_pending_arm_keeps_its_place_and_says_why(panel: queries.Panel) -> None:
    pending = replace(panel.points[2], mean=None, seeds={}, note="3 to come", is_chosen=False)
    figure = charts.panel_figure(replace(panel, points=(*panel.points[:2], pending)), study_id="s")
    assert len(figure.layout.xaxis.tickvals) == 3
    assert "3 to come" in figure.layout.xaxis.ticktext[2]


def test_zoom_outlives_a_refresh(panel: queries.Panel) -> None:
    assert charts.panel_figure(panel, study_id="s").layout.uirevision == "s"


def test_names_are_not_markup(panel: queries.Panel) -> None:
    evil = replace(panel.points[0], label='<a href="x">y</a>')
    figure = charts.panel_figure(replace(panel, points=(evil, *panel.points[1:])), study_id="s")
    assert figure.layout.xaxis.ticktext[0].startswith("&lt;a href")


def test_rows_for_named_arms_lie_on_their_side(panel: queries.Panel) -> None:
    figure = charts.panel_figure(replace(panel, is_ordered=False), study_id="s")
    means = traces(figure)["mean ± 95 %"]
    assert list(means.y) == [0, 1, 2]  # type: ignore[attr-defined]
    assert list(means.error_x.array) == [point.half_width for point in panel.points]  # type: ignore[attr-defined]


def test_printed_numbers_of_the_paper_are_apart(panel: queries.Panel) -> None:
    printed = replace(panel.points[1], published=47.0)
    figure = charts.panel_figure(replace(panel, points=(panel.points[0], printed, panel.points[2])), study_id="s")
    assert traces(figure)["paper, n=1, different setup"].y == (47.0,)  # type: ignore[attr-defined]


def test_words_say_best_and_chosen(panel: queries.Panel) -> None:
    words = charts.panel_words(panel)
    assert words.startswith("Knowledge for 3 of 3 arms; highest 0.5:")
    assert "Chosen: 0.5 with" in words


def test_words_without_scores(found: Found) -> None:
    assert charts.panel_words(queries.panel(found(state="RUNNING", done=0.0), "knowledge")) == "Knowledge: no scores yet."


def test_front_is_joined_and_the_rest_is_quiet(found: Found) -> None:
    tokens = {0: 100.0, 0.1: 400.0, 0.5: 300.0}
    trades = queries.trades(found(tokens=lambda levels: tokens[levels[SCIENCE]]), TOKENS, "knowledge")
    figure = charts.trade_figure(trades, TOKENS, "knowledge", study_id="s")
    assert traces(figure)["dominated"].x == (400.0,)  # type: ignore[attr-defined]
    assert traces(figure)["front: nothing is better in both"].x == (100.0, 300.0)  # type: ignore[attr-defined]
    assert "on the front: science=0, science=0.5" in charts.trade_words(trades, TOKENS, "knowledge")


def luminance(colour: str) -> float:
    channels = (int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("palette", "page"), [(charts.LIGHT, "#FFFFFF"), (charts.DARK, "#0E1117")])
@pytest.mark.parametrize("name", ["series", "chosen", "baseline", "paper", "quiet", "text"])
def test_colours_stand_out_from_the_page(palette: charts.Palette, page: str, name: str) -> None:
    low, high = sorted((luminance(getattr(palette, name)), luminance(page)))
    assert (high + 0.05) / (low + 0.05) >= 3


def test_of_many_levels_some_are_named_and_all_are_drawn(found: Found) -> None:
    panel = queries.panel(found(arms=tuple({SCIENCE: number / 100} for number in range(100)), seeds=6), "knowledge")
    figure = charts.panel_figure(panel, study_id="s")
    marked = {i for i, point in enumerate(panel.points) if point.is_chosen or point.is_baseline}
    assert len(traces(figure)["mean ± 95 %"].x) == 100  # type: ignore[attr-defined]
    assert len(marked) == 2
    assert marked <= set(figure.layout.xaxis.tickvals)
    assert len(figure.layout.xaxis.tickvals) <= charts.MOST_TICKS + 2
    free = set(figure.layout.xaxis.tickvals) - marked
    assert min(abs(i - each) for i in free for each in marked) >= 100 // charts.MOST_TICKS  # no label lies on another


def test_of_many_arms_the_best_have_rows_and_the_words_say_of_how_many(found: Found) -> None:
    results = found(arms=tuple({SCIENCE: number / 100, "sft.lr": 1e-3 * (number % 2 + 1)} for number in range(100)), seeds=2)
    panel = queries.panel(results, "knowledge")
    kept, by_mean = {point.key for point in panel.points}, {arm.key: arm.metrics["knowledge"].mean for arm in results.arms}
    special = {point.key for point in panel.points if point.is_chosen or point.is_baseline}
    assert (len(kept), panel.num_arms) == (queries.MOST_ROWS, 100)
    assert {arm.key for arm in results.arms if arm.is_baseline or arm.key == results.verdict.chosen} == special
    assert min(by_mean[key] for key in kept - special) >= max(mean for key, mean in by_mean.items() if key not in kept)
    assert [arm.key for arm in results.arms if arm.key in kept] == [point.key for point in panel.points]
    assert "40 of 100 arms" in charts.panel_words(panel)
