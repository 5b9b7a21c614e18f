"""The page Compare: arms of one study or of several, side by side, paired by seed."""

from __future__ import annotations

import streamlit as st

from dashboard import forests, queries, text
from dashboard.charts import forest, series
from dashboard.forests import Side
from dashboard.rows import arms, trials
from dashboard.views import downloads, shared
from orchestrator.results.results import Results
from orchestrator.results.titles import title

MOST_SIDES = 5
"""Arms that one figure can tell apart."""


def show() -> None:
    """Choose arms, then show differences, scores by category, and in what the arms differ."""
    own = queries.label_of(shared.chosen())
    known = queries.labelled(shared.studies())
    further = [label for label in known if label != own]
    # An empty choice would be drawn switched off, in a grey too pale to read.
    others = st.multiselect("Further studies", further, key="with", bind="query-params") if further else []
    found = {label: shared.results(known[label]) for label in (own, *others)}
    options = {f"{label} · {arm.name}" if others else arm.name: Side(label=arm.name, results=results, arm_key=arm.key)
               for label, results in found.items() for arm in results.arms}
    picked = st.multiselect("Arms, the first is what the others are compared with", list(options),
                            default=_default(found[own], options), key="arms", max_selections=MOST_SIDES,
                            format_func=text.visible, bind="query-params")
    sides = [Side(label=name, results=options[name].results, arm_key=options[name].arm_key) for name in picked]
    if len(sides) < 2:
        st.info("Choose two arms or more.", icon=":material/compare_arrows:")
        return
    _differences(sides)
    _slopes(sides)
    _configurations(sides)


def _default(results: Results, options: dict[str, Side]) -> list[str]:
    """Return the names of the baseline and the chosen arm, or of the first two arms."""
    wanted = [key for key in (results.baseline, results.verdict.chosen) if key]
    keys = list(dict.fromkeys([*wanted, *(arm.key for arm in results.arms)]))[:2]
    return [
        next(name for name, side in options.items() if side.results is results and side.arm_key == key) for key in keys
    ]


def _differences(sides: list[Side]) -> None:
    metrics = [metric.name for metric in sides[0].results.metrics if metric.kind in ("aggregate", "category")]
    found = forests.between(sides, metrics)
    st.header("Differences")
    if not found:
        st.info("These arms have no metric in common yet.", icon=":material/hourglass_top:")
        return
    effects = forests.effects_of(found)
    subject = f"against {sides[0].label}"
    shared.draw(
        forest.forest_figure(
            effects,
            revision="/".join(side.label for side in sides),
            axis="difference, points",
            colours=shared.colours(),
        ),
        key="differences",
        alt=forest.forest_words(effects, subject),
        rows=arms.difference_rows(found),
    )
    shared.note(text.plain_markdown(f"Each further arm minus {sides[0].label}, paired by seed; Holm's correction within a metric. "
                                    f"{forest.forest_legend(effects)}."))
    downloads.offer_rows(arms.difference_rows(found), "differences")
    if len({side.results.study.study_id for side in sides}) > 1:
        shared.note("Arms of different studies are paired where they have the same seed. What else differs between "
                    "them stands in the table of configurations: only then is a difference an effect.")


def _slopes(sides: list[Side]) -> None:
    categories = [metric.name for metric in sides[0].results.metrics if metric.kind == "category"]
    lines = [(side.label, [_mean(side, name) for name in categories]) for side in sides]
    st.header("By category")
    words = "; ".join(f"{name}: " + ", ".join("–" if value is None else f"{value:.1f}" for value in values)
                      for name, values in lines)
    shared.draw(series.slope_figure(lines, [title(name) for name in categories], colours=shared.colours(),
                                    revision="/".join(side.label for side in sides)),
                key="slopes", alt=f"Scores by category. {words}",
                rows=[{"arm": text.safe(name), **{title(each): value for each, value in zip(categories, own, strict=True)}}
                      for name, own in lines])


def _mean(side: Side, metric: str) -> float | None:
    cell = side.results.arm(side.arm_key).metrics.get(metric)
    return cell.mean if cell else None


def _configurations(sides: list[Side]) -> None:
    st.header("Configurations")
    for number, side in enumerate(sides[1:]):
        rows = trials.config_rows(sides[0].config, side.config, names=(sides[0].label, side.label))
        rows = [row for row in rows if row["path"] != "seed"]
        st.markdown(f"**{text.plain_markdown(side.label)}** differs in {len(rows)} setting{'s' if len(rows) != 1 else ''}")
        if rows:
            shared.table(rows, key=f"config-{number}", alt=f"Settings in which {side.label} differs")


study = shared.chosen()
shared.title("Compare", study)
shared.repeating(show, every=shared.live(study, shared.SLOW_S), key="compare")
