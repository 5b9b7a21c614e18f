from collections.abc import Callable
from dataclasses import replace

import pytest

from dashboard import forests
from dashboard.charts import forest, heat, look, mixture, panels, plane, search, series, states
from dashboard.charts.heat import HeatCell
from dashboard.charts.mixture import Blend
from dashboard.charts.series import Learning
from orchestrator.results import panels as described
from orchestrator.results import plane as planes
from orchestrator.results.panels import Panel
from orchestrator.results.results import Results
from orchestrator.study.metric_names import TOKENS
from tests.support.synthetic import SCIENCE

Found = Callable[..., Results]


@pytest.fixture
def panel(found: Found) -> Panel:
    return described.panel(found(), "knowledge")


def traces(figure: object) -> dict[str, object]:
    return {trace.name: trace for trace in figure.data}  # type: ignore[attr-defined]


def test_every_seed_is_drawn(panel: Panel) -> None:
    seeds = traces(panels.panel_figure(panel, study_id="s"))["one seed"]
    assert sorted(seeds.y) == sorted(value for point in panel.points for value in point.seeds.values())  # type: ignore[attr-defined]


def test_means_carry_their_half_widths(panel: Panel) -> None:
    means = traces(panels.panel_figure(panel, study_id="s"))["mean ± 95 %"]
    assert list(means.error_y.array) == [point.half_width for point in panel.points]  # type: ignore[attr-defined]


def test_ring_is_on_the_chosen_level(panel: Panel) -> None:
    ring = traces(panels.panel_figure(panel, study_id="s"))["chosen by the rule"]
    assert (ring.x, ring.y) == ((2,), (panel.points[2].mean,))  # type: ignore[attr-defined]


def test_baseline_is_a_dashed_line(panel: Panel) -> None:
    (line,) = panels.panel_figure(panel, study_id="s").layout.shapes
    assert (line.line.dash, line.y0) == ("dash", panel.points[0].mean)


def test_pending_arm_keeps_its_place_and_says_why(panel: Panel) -> None:
    pending = replace(panel.points[2], mean=None, seeds={}, note="3 to come", is_chosen=False)
    figure = panels.panel_figure(replace(panel, points=(*panel.points[:2], pending)), study_id="s")
    assert len(figure.layout.xaxis.tickvals) == 3
    assert "3 to come" in figure.layout.xaxis.ticktext[2]


def test_zoom_outlives_a_refresh(panel: Panel) -> None:
    assert panels.panel_figure(panel, study_id="s").layout.uirevision == "s/steps"


def test_names_are_not_markup(panel: Panel) -> None:
    evil = replace(panel.points[0], label='<a href="x">y</a>')
    figure = panels.panel_figure(replace(panel, points=(evil, *panel.points[1:])), study_id="s")
    assert figure.layout.xaxis.ticktext[0].startswith("&lt;a href")


def test_rows_for_named_arms_lie_on_their_side(panel: Panel) -> None:
    figure = panels.panel_figure(replace(panel, is_ordered=False), study_id="s")
    means = traces(figure)["mean ± 95 %"]
    assert list(means.y) == [0, 1, 2]  # type: ignore[attr-defined]
    assert list(means.error_x.array) == [point.half_width for point in panel.points]  # type: ignore[attr-defined]


def test_the_paper_is_drawn_as_difference_to_its_own_baseline(panel: Panel) -> None:
    printed = replace(panel.points[1], published=-0.7)
    figure = panels.panel_figure(replace(panel, points=(panel.points[0], printed, panel.points[2])), study_id="s")
    assert traces(figure)["paper, n=1, different setup"].y == (panel.points[0].mean - 0.7,)  # type: ignore[operator,attr-defined]


def test_words_say_best_and_chosen(panel: Panel) -> None:
    words = described.words(panel)
    assert words.startswith("Knowledge for 3 of 3 arms; highest 0.5:")
    assert "Chosen: 0.5 with" in words


def test_words_without_scores(found: Found) -> None:
    assert described.words(described.panel(found(state="RUNNING", done=0.0), "knowledge")) == "Knowledge: no scores yet."


def test_front_is_joined_and_the_rest_is_quiet(found: Found) -> None:
    tokens = {0: 100.0, 0.1: 400.0, 0.5: 300.0}
    shown = planes.plane(found(tokens=lambda levels: tokens[levels[SCIENCE]]), TOKENS, "knowledge")
    figure = plane.plane_figure(shown, study_id="s")
    assert traces(figure)["dominated"].x == (400.0,)  # type: ignore[attr-defined]
    assert traces(figure)["front: no feasible arm is better in both"].x == (100.0, 300.0)  # type: ignore[attr-defined]
    assert {note.text for note in figure.layout.annotations} == {"science=0 (baseline)", "science=0.5"}


def test_levels_keep_their_order_on_every_axis_and_zero_has_a_place(found: Found) -> None:
    panel = described.panel(found(arms=tuple({SCIENCE: level} for level in (0, 0.05, 0.1, 1))), "knowledge")
    for axis in ("steps", "linear", "symlog"):
        places = list(traces(panels.panel_figure(panel, study_id="s", axis=axis))["mean ± 95 %"].x)  # type: ignore[attr-defined,arg-type]
        assert places == sorted(places)
        assert places[0] == 0
    assert places[2] - places[1] < places[3] - places[2] < 1 / 0.05


def test_forest_shows_both_intervals_within_its_axis() -> None:
    effects = [forest.Effect(label="a", value=2.0, half_width=1.0, population=3.0, n=3, is_told_apart=True),
               forest.Effect(label="b", value=-1.0, half_width=None, n=1, is_told_apart=False)]
    figure = forest.forest_figure(effects, revision="s", axis="points")
    assert traces(figure)["95 % for these items"].x == (1.0, 3.0, None)  # type: ignore[attr-defined]
    assert traces(figure)["95 % for the population of items"].x == (-1.0, 5.0, None)  # type: ignore[attr-defined]
    low, high = figure.layout.xaxis.range
    assert low < -1 < 5 < high


def test_every_state_of_the_matrix_has_its_own_colour_and_sign() -> None:
    cells = {("a", 0): "SUCCEEDED", ("a", 1): "FAILED", ("b", 0): "DIVERGED"}
    (trace,) = states.states_figure(cells, ["a", "b"], [0, 1], revision="s").data
    order = list(states.COLOURS)
    assert [[order[value] for value in row] for row in trace.z] == [["SUCCEEDED", "FAILED"], ["DIVERGED", ""]]
    assert [list(row) for row in trace.text] == [["✓", "✗"], ["≋", ""]]


def test_cells_without_a_difference_say_why() -> None:
    cells = [[HeatCell(colour=2.0, text="+2.0", hover="a"), HeatCell(colour=None, text="–", hover="b")]]
    figure = heat.heat_figure(cells, ["arm"], ["x", "y"], revision="s")
    assert figure.data[0].zmin == -figure.data[0].zmax == -2.0
    assert [note.text for note in figure.layout.annotations] == ["–"]


def test_thinned_curve_keeps_its_extremes_and_what_is_not_finite() -> None:
    values = [0.0] * 5000
    values[1234], values[2345], values[3456] = 9.0, -9.0, float("nan")
    kept = series.thinned([float(i) for i in range(5000)], values)
    assert len(kept) <= series.MOST_POINTS + 2
    assert {(1234.0, 9.0), (2345.0, -9.0)} <= set(kept)
    assert 3456.0 in [step for step, _ in kept]


def test_restarts_and_values_that_are_not_finite_are_marked() -> None:
    curve = Learning(name="seed 0", steps=(1, 2, 3), values=(1.0, float("nan"), 0.5), restarts=(3,))
    figure = series.learning_figure([curve], revision="s", metric="loss")
    assert traces(figure)["not finite (seed 0)"].x == (2,)  # type: ignore[attr-defined]
    assert [shape.x0 for shape in figure.layout.shapes] == [3]


def test_best_so_far_never_falls() -> None:
    figure = search.history_figure(["a", "b", "c"], [3.0, None, 2.0], revision="s", metric="MMBase", chosen=0)
    assert traces(figure)["best so far"].y == (3.0, 3.0)  # type: ignore[attr-defined]


def test_chosen_mixture_is_ringed_and_unscored_ones_are_hollow() -> None:
    blends = [Blend(name="a", shares=(0.8, 0.1, 0.1), score=40.0, n=3, is_chosen=True, is_baseline=False),
              Blend(name="b", shares=(1.0, 0.0, 0.0), score=None, n=0, is_chosen=False, is_baseline=True)]
    drawn = traces(mixture.ternary_figure(blends, ("single", "multi", "text"), revision="s", metric="MMBase"))
    assert drawn["chosen by the rule"].a == (0.8,)  # type: ignore[attr-defined]
    assert drawn["no score"].marker.symbol == "circle-open"  # type: ignore[attr-defined]


def test_differences_of_sides_are_those_of_the_results(found: Found) -> None:
    results = found()
    sides = [forests.Side(label=arm.name, results=results, arm_key=arm.key) for arm in results.arms]
    by_label = {label: each for label, each in forests.between(sides, ["knowledge"])}
    for arm in results.arms[1:]:
        assert by_label[f"Knowledge: {arm.name}"].value == pytest.approx(arm.metrics["knowledge"].delta.value)  # type: ignore[union-attr]
        assert by_label[f"Knowledge: {arm.name}"].half_width == pytest.approx(arm.metrics["knowledge"].delta.half_width)  # type: ignore[union-attr]


def luminance(colour: str) -> float:
    channels = (int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("palette", "page"), [(look.LIGHT, "#FFFFFF"), (look.DARK, "#0E1117")])
@pytest.mark.parametrize("name", ["series", "chosen", "baseline", "paper", "quiet", "text"])
def test_colours_stand_out_from_the_page(palette: look.Palette, page: str, name: str) -> None:
    low, high = sorted((luminance(getattr(palette, name)), luminance(page)))
    assert (high + 0.05) / (low + 0.05) >= 3


def test_of_many_levels_some_are_named_and_all_are_drawn(found: Found) -> None:
    panel = described.panel(found(arms=tuple({SCIENCE: number / 100} for number in range(100)), seeds=6), "knowledge")
    figure = panels.panel_figure(panel, study_id="s")
    marked = {i for i, point in enumerate(panel.points) if point.is_chosen or point.is_baseline}
    assert len(traces(figure)["mean ± 95 %"].x) == 100  # type: ignore[attr-defined]
    assert len(marked) == 2
    assert marked <= set(figure.layout.xaxis.tickvals)
    assert len(figure.layout.xaxis.tickvals) <= panels.MOST_TICKS + 2
    free = set(figure.layout.xaxis.tickvals) - marked
    assert min(abs(i - each) for i in free for each in marked) >= 100 // panels.MOST_TICKS  # no label lies on another


def test_of_many_arms_the_best_have_rows_and_the_words_say_of_how_many(found: Found) -> None:
    results = found(arms=tuple({SCIENCE: number / 100, "sft.lr": 1e-3 * (number % 2 + 1)} for number in range(100)), seeds=2)
    panel = described.panel(results, "knowledge")
    kept, by_mean = {point.key for point in panel.points}, {arm.key: arm.metrics["knowledge"].mean for arm in results.arms}
    special = {point.key for point in panel.points if point.is_chosen or point.is_baseline}
    assert (len(kept), panel.num_arms) == (described.MOST_ROWS, 100)
    assert {arm.key for arm in results.arms if arm.is_baseline or arm.key == results.verdict.chosen} == special
    assert min(by_mean[key] for key in kept - special) >= max(mean for key, mean in by_mean.items() if key not in kept)
    assert [arm.key for arm in results.arms if arm.key in kept] == [point.key for point in panel.points]
    assert "40 of 100 arms" in described.words(panel)
