"""The page Trial: one trial's state and scores, how it learned, its attempts, configuration, log and checkpoints."""

from __future__ import annotations

import time

import streamlit as st

from dashboard import learning, text
from dashboard.charts import series
from dashboard.rows import trials as tables
from dashboard.views import downloads, shared
from orchestrator.artifacts.store import is_record
from orchestrator.ledger import read
from orchestrator.ledger.rows import AttemptRow, StageRow, TrialRow
from orchestrator.results.results import Results
from orchestrator.results.titles import title
from orchestrator.settings import OFF, redact


def show() -> None:
    """Show all trials, then the chosen one."""
    results = shared.results(shared.chosen())
    if not results.trial_rows:
        st.info("This study has no trials yet.", icon=":material/hourglass_top:")
        return
    with st.expander(f"All {len(results.trials)} trials"):
        rows = tables.trial_rows(results)
        shared.table(rows, key="trials", alt=f"{len(results.trials)} trials of the study", selection_mode="single-row",
                     on_select=lambda: _pick(results))
        shared.note("Choose a row to see its trial below.")
        downloads.offer_rows(rows, "trials")
    names = list(dict.fromkeys(row.arm_name for row in results.trial_rows))
    arm = st.selectbox("Arm", names, key="arm", format_func=text.visible, bind="query-params") or names[0]
    seeds = [row.seed for row in results.trial_rows if row.arm_name == arm and row.rung == 0]
    seed = st.pills("Seed", seeds, default=seeds[0], key="seed", bind="query-params", required=True)
    position = learning.trial_of(results, arm, seeds[0] if seed is None else seed)
    if position is not None:
        _trial(results, position)


def _pick(results: Results) -> None:
    """Make the trial of the chosen row the one that is shown."""
    for i in st.session_state["trials"]["selection"]["rows"]:
        if i < len(results.trial_rows) and results.trial_rows[i].rung == 0:
            st.session_state["arm"], st.session_state["seed"] = results.trial_rows[i].arm_name, results.trial_rows[i].seed


def _trial(results: Results, position: int) -> None:
    row, trial = results.trial_rows[position], results.trials[position]
    scores = ", ".join(
        f"{title(name)} {trial.metrics[name]:.1f}"
        for name in dict.fromkeys([results.objective, "mmbase"])
        if name in trial.metrics
    )
    st.markdown(f"{text.badge(trial.state)} &nbsp; {text.plain_markdown(scores or 'no scores')}")
    attempts = read.attempts(shared.engine(), results.study.study_id)
    own = [each for each in attempts if each.stage_id in row.stage_ids]
    stages = [
        stage
        for stage in results.stages
        if stage.stage_id in row.stage_ids and stage.kind not in ("import", "evaluate")
    ]
    if stages:
        _learning(results, row, stages, attempts)
    _branches(results, row)
    _attempts(results, row, own)
    _configuration(results, row)
    _log(own)
    _outside(results, row)


def _learning(results: Results, row: TrialRow, stages: list[StageRow], attempts: list[AttemptRow]) -> None:
    st.header("Learning curves")
    labels = {stage.kind: stage for stage in stages}
    kind = st.segmented_control("Stage", list(labels), default=list(labels)[-1], key="stage", bind="query-params",
                                required=True) or list(labels)[-1]
    own = learning.reports(shared.artifacts(), [each for each in attempts if each.stage_id == labels[kind].stage_id])
    metrics = learning.metrics_of(own)
    if not metrics:
        shared.note("No metric was reported to this ledger: an imported stage has its scores alone."
                    if labels[kind].artifact and is_record(labels[kind].artifact or "") else
                    "This stage has reported no metric yet.")
        return
    metric = (
        st.pills("Metric", metrics, default=metrics[0], key="metric", bind="query-params", required=True) or metrics[0]
    )
    curves = [learning.curve(own, metric, name=f"seed {row.seed}")]
    for other in results.trial_rows:
        if other.arm_key == row.arm_key and other.seed != row.seed and other.rung == row.rung:
            curves += _quiet(results, other, kind, metric, attempts)
    words = f"{metric} of {row.arm_name}, seed {row.seed}: {len(curves[0].steps)} reports, {len(curves[0].restarts)} restarts"
    last = curves[0].values[-1] if curves[0].values else None
    shared.draw(
        series.learning_figure(
            curves,
            revision=f"{row.trial_key}/{kind}/{metric}",
            metric=metric,
            colours=shared.colours(),
            span=_span(learning.last_step(own)),
        ),
        key="learning",
        alt=words + (f", last {last:.4g}" if last is not None else ""),
        rows=[{"step": step, metric: value} for step, value in zip(curves[0].steps, curves[0].values, strict=True)],
    )
    shared.note("Faint: the other seeds of the arm. A cross marks a value that is not finite, a dotted line where "
                "another attempt took over.")


def _span(last: int) -> tuple[int, int] | None:
    """Choose the steps to zoom to; they are part of the page's address."""
    if last < 2:
        return None
    found: tuple[int, int] = st.slider("Steps", 0, last, (0, last), key="steps", bind="query-params")
    return found if found != (0, last) else None


def _quiet(
    results: Results, other: TrialRow, kind: str, metric: str, attempts: list[AttemptRow]
) -> list[series.Learning]:
    stage = next((each for each in results.stages if each.stage_id in other.stage_ids and each.kind == kind), None)
    found = learning.reports(
        shared.artifacts(), [each for each in attempts if stage and each.stage_id == stage.stage_id]
    )
    curve = learning.curve(found, metric, name=f"seed {other.seed}", is_quiet=True)
    return [curve] if curve.steps else []


def _branches(results: Results, row: TrialRow) -> None:
    """Show what intermediate checkpoints scored, if a benchmark was asked at branching points."""
    curves = learning.branch_curves(results, row)
    if not curves:
        return
    st.header("Scores over steps")
    name = st.pills("Benchmark", list(curves), default=next(iter(curves)), key="at", bind="query-params", required=True)
    shown = curves.get(name or "") or next(iter(curves.values()))
    points = list(zip(shown[0].steps, shown[0].values, strict=True))
    words = ", ".join(f"step {step:g}: {value:.4g}" for step, value in points)
    drawn = series.learning_figure(
        shown, revision=f"{row.trial_key}/at/{name}", metric=str(name), colours=shared.colours())
    shared.draw(drawn, key="branches", alt=f"{name} of {row.arm_name}, seed {row.seed}: {words}",
                rows=[{"step": step, str(name): value} for step, value in points])
    shared.note("Asked at the branching points of training. Only the final score enters averages and the verdict. "
                "Faint: the other seeds of the arm.")


def _attempts(results: Results, row: TrialRow, own: list[AttemptRow]) -> None:
    st.header("Stages and attempts")
    if own:
        driver = shared.health()
        now = time.time() if driver.is_driven or not driver.driver else min(time.time(), max(
            driver.driver.expires_at, max(each.started_at for each in own)))
        spans = learning.spans(own, now=now)
        shared.draw(series.timeline_figure(spans, revision=row.trial_key, colours=shared.colours()), key="timeline",
                    alt=f"Timeline of {len(own)} attempts over {max(each.ended for each in spans):.0f} s",
                    rows=tables.attempt_rows(own))
    shared.table(
        tables.stage_rows(results, row.stage_ids), key="stages", alt="Stages of the trial, with their checkpoints"
    )


def _configuration(results: Results, row: TrialRow) -> None:
    st.header("Configuration against the baseline")
    other = next(
        (each for each in results.trial_rows if each.arm_key == results.baseline and each.seed == row.seed), None
    )
    if other is None or other.trial_key == row.trial_key:
        shared.note("This is a trial of the baseline." if other else "The study has no baseline.")
    else:
        rows = tables.config_rows(row.config, other.config, names=(row.arm_name, "baseline"))
        shared.table(rows, key="config", alt="Settings in which the trial differs from the baseline")
    with st.expander("Resolved configuration"):
        shared.table([{"path": path, "value": str(value)} for path, value in tables.flat(row.config).items()],
                     key="resolved", alt="Resolved configuration of the trial")


def _log(own: list[AttemptRow]) -> None:
    if not own:
        return
    st.header("Log")
    names = {f"{each.label}, attempt {each.attempt_no}": each for each in own}
    picked = st.selectbox("Attempt", list(names), key="attempt", format_func=text.visible, bind="query-params")
    tail = learning.log_tail(shared.artifacts(), names[picked or next(iter(names))])
    failure = names[picked or next(iter(names))].failure or {}
    written = text.visible(tail or str(failure.get("traceback") or ""))
    if written:
        st.code(written, language=None, height=260)
    else:
        shared.note("This attempt left no log here.")


def _outside(results: Results, row: TrialRow) -> None:
    st.header("MLflow")
    uri = shared.settings().mlflow_uri
    if uri == OFF:
        shared.note("MLflow is turned off (ABLATE\\_MLFLOW\\_URI=off).")
        return
    if uri.startswith(("http://", "https://")):
        st.link_button("Open MLflow", redact(uri), icon=":material/open_in_new:")
    else:
        st.code(f"mlflow ui --backend-store-uri {redact(uri)}", language="bash")
    shared.note(text.plain_markdown(f"The trial is a run of the experiment {results.study.name}; find it by"))
    st.code(
        f"ablate query --study {results.study.name} \"tags.arm = '{row.arm_name}' and tags.seed = '{row.seed}'\"",
        language="bash",
    )


study = shared.chosen()
shared.title("Trial", study)
shared.repeating(show, every=shared.live(study, shared.SLOW_S), key="trial")
