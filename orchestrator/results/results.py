"""Gather the results of a study so far in one frozen value, for the command line, the report and the dashboard.

`Results.to_json()` is public; `schema_version` is raised by each change that is not an addition. Version 1:

- `study`: name, question, scale, version, state, study_id, spec_hash, recipe, seeds, baseline (arm key), objective,
  rule (in words).
- `metrics`: list of {name, kind: aggregate | category | benchmark | loss | cost | outside, category, is_decisive}.
- `arms`: list in the study's order, see `analysis.table.ArmResult`; `metrics` maps a metric to {mean, half_width, n,
  by_seed, delta: {value, half_width, half_width_holm, p_holm, is_told_apart, n} | null}. Scores are 0 to 100, losses
  nats.
- `trials`: list of {trial_key, arm_key, seed, state, metrics, withheld, stage_ids}.
- `verdict`: {kind, sentence, chosen, best, tied, feasible, num_seeds, num_diverged, num_missing}; arms by key.
- `claims`: list of {id, statement, outcome, sentence}; `published`: {title, source, chosen, scores: arm key -> metric
  -> number} or null.
- `search`: {objectives: [[metric, direction]], pareto: [arm key], stopped: {arm key: {name, rung, fraction, values,
  rank, among, reason}}, refused: {arm key: {name, constraint, metric, value, violations, reason}}} or null: the
  feasible arms that no other arm beats in all objectives, the arms that a rung stopped, and the arms that were not
  trained because they violate a constraint that is known before training.
- `data`: list of {arm_key, kind, source, asked, samples, tokens, supervised, passes, broken, filled, data_wait,
  num_trials}: the training data of each arm by training stage and source, as means over its trials. `passes` is null if
  a source is unlimited. `filled` is the fraction of the stage's token positions that are not padding, `data_wait` the
  fraction of its time spent waiting for samples; both are 0 to 1, and null if they were not measured.
- `confounds`: list of {what, values: arm key -> text, sentence}: differences between arms that are not factors; `seen`:
  arm key -> {samples, tokens, supervised} of its training stages.
- `budget`: {limit, estimate, spent}: the study's limit or null, its expected cost at submission or null, and its cost
  so far, {hours, gpu_hours, wall_hours, flops, checkpoint_gb}.
- `outside`: list of {path, stage_id, artifact, images, values, errors, is_share, limited, version, date, trial_keys}:
  the results of lmms-eval that were read, with its standard errors over items. Their metrics, `TASK/METRIC`, are of
  kind `outside`, keep the scale of lmms-eval, and enter no average and no verdict.
- `predictions`: list of {arm_key, name, metric, predicted, form, correlation, num_arms, source, measured, half_width,
  n}: the score that a mixture surrogate predicted for an arm, and the measured one (null before the arm has run).
- `at_branches`: list of {trial_key, arm_key, seed, kind, step, benchmark, score, num_items, num_unparseable}: what
  intermediate checkpoints scored, which enters no average and no verdict.
- `noise`: list of {arm_key, ratio, p_holm}: arms whose deciding score varies more between seeds than the other arms'.
- `counts`, `cost`: see `Counts` and `Cost`; `varies_with_seed`: kinds of stage that differ between seeds.
"""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.config.benchmark import Benchmark
from model.config.stages import TRAINING
from model.evaluation.benchmarks.registry import BENCHMARKS, own_of
from orchestrator.analysis import claims, confounds, pareto, scores, selection, statistics, table
from orchestrator.analysis.claims import ClaimResult
from orchestrator.analysis.confounds import Confound, Executed, Run, SampleInfo
from orchestrator.analysis.data_seen import DataSeen, supplied
from orchestrator.analysis.noise import NoisyArm, noisy_arms
from orchestrator.analysis.predictions import Predicted, with_measurements
from orchestrator.analysis.scores import TrialScores
from orchestrator.analysis.selection import Rule, Verdict
from orchestrator.analysis.table import ArmResult
from orchestrator.errors import StudyError
from orchestrator.ledger import read, rows
from orchestrator.ledger.engine import Engine
from orchestrator.ledger.rows import ArmRow, StageRow, StudyRow, TrialRow
from orchestrator.plan.arms import Arm, baseline_of
from orchestrator.results.branches import BranchScore, branch_scores
from orchestrator.results.budget import Spent, resources_of, spent
from orchestrator.results.counts import Cost, Counts, cost, counts, varies_with_seed
from orchestrator.results.lmms_eval import LmmsEvalFile, match
from orchestrator.results.titles import title
from orchestrator.states import TrialState
from orchestrator.study.documents import Published, PublishedClaim, load_published
from orchestrator.study.study import Study

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric: one column of the table."""

    name: str
    kind: str
    """aggregate, category, benchmark, loss (in nats, lower is better), cost or outside."""
    category: str | None
    """The category of a benchmark; None for other kinds."""
    is_decisive: bool
    """Whether the selection rule uses it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedScores:
    """The scores of the paper, which are shown beside ours and never mixed with them."""

    title: str
    source: str
    chosen: str | None
    """The key of the arm that the paper chose."""
    scores: dict[str, dict[str, float]]
    """Arm key -> metric -> score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFound:
    """The results of a search beside its verdict."""

    objectives: tuple[tuple[str, str], ...]
    """Metrics, each with `maximize` or `minimize`."""
    pareto: tuple[str, ...]
    """The keys of the feasible arms that no other feasible arm beats in all objectives, by their means."""
    stopped: dict[str, dict[str, Any]]
    """Arm key -> the reason and the scores at the rung, for arms that a rung stopped."""
    refused: dict[str, dict[str, Any]]
    """Arm key -> the constraint and the value, for proposed arms that violate a constraint before any training. They
    have no trials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The results of a study; for the JSON form see the docstring of this module."""

    study: StudyRow
    question: str
    source: str | None
    objective: str
    """The metric that the rule maximizes."""
    rule: str
    """The selection rule in words."""
    recipe: str
    seeds: tuple[int, ...]
    baseline: str | None
    """The key of the baseline arm."""
    metrics: tuple[Metric, ...]
    arms: tuple[ArmResult, ...]
    trials: tuple[TrialScores, ...]
    trial_rows: tuple[TrialRow, ...]
    stages: tuple[StageRow, ...]
    verdict: Verdict
    claims: tuple[ClaimResult, ...]
    published: PublishedScores | None
    search: SearchFound | None
    confounds: tuple[Confound, ...]
    """The differences between arms that are not factors."""
    seen: dict[str, SampleInfo]
    """Arm key -> the samples and tokens that it was trained on."""
    noisy: tuple[NoisyArm, ...]
    """Arms whose deciding score varies more between seeds than that of the others."""
    looks: int
    """The number of looks at the scores while seeds are added; 1 if the number of seeds is fixed."""
    data: tuple[DataSeen, ...]
    """The training data of each arm, by training stage and source."""
    counts: Counts
    cost: Cost
    spent: Spent
    """The cost of all attempts made for this study; the expected cost is `study.estimate`."""
    varies_with_seed: tuple[str, ...]
    """The kinds of stage that differ between the seeds of an arm."""
    outside: tuple[tuple[LmmsEvalFile, tuple[str, ...]], ...] = ()
    """The results of lmms-eval beside the study's own, each with the keys of the trials that it belongs to."""
    predictions: tuple[Predicted, ...] = ()
    """The scores that a surrogate predicted for arms, beside the measured ones."""
    at_branches: tuple[BranchScore, ...] = ()
    """What intermediate checkpoints scored, beside the final table."""

    @property
    def seed_note(self) -> str:
        """A sentence that says which stages the seeds vary; the variance of shared stages is not sampled."""
        if len(self.seeds) < 2:
            return "n=1: one seed, so no interval."
        if not self.varies_with_seed:
            return "The seeds vary nothing yet."
        part = {"both": "", "data": " (the draw of data alone)", "init": " (the initial weights alone)"}
        kinds = ", ".join(self.varies_with_seed) + part[study_of(self.study).seed_varies]
        if self.looks > 1:
            numbers = sorted({arm.num_trials for arm in self.arms})
            spread = f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else str(numbers[0] if numbers else 0)
            return (f"{spread} seeds an arm vary {kinds}: more where the rule could not tell arms apart. Intervals of "
                    f"differences are widened so that all {self.looks} looks together keep 5 %; means of arms with "
                    "more seeds are chosen by the data.")
        return (f"{len(self.seeds)} seeds vary {kinds}; earlier stages are shared, so their variance is not in the "
                "intervals.")

    def arm(self, key: str) -> ArmResult:
        """Return the arm with this key."""
        return next(arm for arm in self.arms if arm.key == key)

    def to_json(self) -> dict[str, Any]:
        """Return the results as plain JSON values; the docstring of this module describes them."""
        row = self.study
        stage_ids = {each.trial_key: list(each.stage_ids) for each in self.trial_rows}
        return {
            "schema_version": SCHEMA_VERSION,
            "study": {"name": row.name, "question": self.question, "source": self.source, "scale": row.scale,
                      "version": row.version, "state": row.state, "study_id": row.study_id, "spec_hash": row.spec_hash,
                      "recipe": self.recipe, "seeds": list(self.seeds), "baseline": self.baseline,
                      "objective": self.objective, "rule": self.rule},
            "metrics": [dataclasses.asdict(each) for each in self.metrics],
            "arms": [_plain(each) for each in self.arms],
            "trials": [{**_plain(each), "stage_ids": stage_ids[each.trial_key]} for each in self.trials],
            "verdict": _plain(self.verdict),
            "claims": [{"id": each.claim.claim_id, "statement": each.claim.statement, "outcome": each.outcome,
                        "sentence": each.sentence} for each in self.claims],
            "published": self.published and _plain(self.published),
            "search": self.search and _plain(self.search),
            "data": [dataclasses.asdict(each) for each in self.data],
            "budget": {"limit": row.spec["study"].get("budget"), "estimate": row.estimate, "spent": _plain(self.spent)},
            "confounds": [_plain(each) for each in self.confounds], "seen": _plain(self.seen),
            "outside": [{**_plain(file), "trial_keys": list(keys)} for file, keys in self.outside],
            "predictions": [dataclasses.asdict(each) for each in self.predictions],
            "at_branches": [dataclasses.asdict(each) for each in self.at_branches],
            "noise": [{"arm_key": each.arm, "ratio": each.ratio, "p_holm": each.p_holm} for each in self.noisy],
            "counts": _plain(self.counts), "cost": _plain(self.cost), "varies_with_seed": list(self.varies_with_seed),
            "seed_note": self.seed_note,
        }


NO_VERDICT = Verdict(kind="none", sentence="The study declares no rule (`select.maximize`), so nothing is chosen.")


@dataclass(frozen=True, slots=True)
class ResultsCache:
    """The final parts of a study's results, kept between calls of `study_results`."""

    rows: rows.RowCache = field(default_factory=rows.RowCache)
    scores: dict[str, TrialScores] = field(default_factory=dict)
    """Trial key -> scores, for trials that succeeded: these never change."""


def study_results(engine: Engine, row: StudyRow, outside: Sequence[LmmsEvalFile] = (),
                  known: ResultsCache | None = None) -> Results:
    """Gather the results of a study, finished or not.

    Args:
        engine: the ledger.
        row: the study, from `ledger.read`.
        outside: results of lmms-eval to show beside the study's own.
        known: a cache for this study, which is read and extended; None to read everything from the ledger.

    Raises:
        StudyError: a result of lmms-eval fits no trial.
    """
    known = known or ResultsCache()
    all_rows, stages = read.trials(engine, row.study_id, known.rows), read.stages(engine, row.study_id, known.rows)
    trial_rows = [each for each in all_rows if each.rung == 0]
    joined = match(trial_rows, stages, _scored(engine, row.study_id, trial_rows, known.scores), outside)
    trials = joined.trials
    study = study_of(row)
    arms = arms_of(trial_rows)
    baseline = baseline_key(study, arms)
    own = tuple({each.name: each for row in trial_rows for each in own_of(row.config.get("evaluate", {}))}.values())
    names = scores.metric_names(trials, own)
    fits = table.fits_of(trials, names, looks=study.looks)
    rule = rule_of(study, baseline, names)
    published = _published(study)
    verdict = selection.select(rule, arms, trials) if study.select.maximize else NO_VERDICT
    runs = _runs(trial_rows, stages)
    shown = tuple(table.arm_results(arms, trials, fits, baseline))
    return Results(
        study=row, question=study.question, source=study.source, objective=rule.objective,
        rule=rule_text(study), recipe=study.recipe, seeds=study.seed_list, baseline=baseline,
        metrics=tuple(_metric(name, rule, own) for name in names),
        arms=shown, predictions=with_measurements(study.predictions, shown), trials=tuple(trials),
        trial_rows=tuple(trial_rows), stages=tuple(stages), verdict=verdict,
        claims=_judged(published, arms, trials),
        published=None if published is None else _by_key(published, arms),
        search=_search_found(study, read.arms(engine, row.study_id), fits, verdict), looks=max(1, len(study.looks)),
        data=supplied([(each.arm_key, each.stage_ids) for each in trial_rows],
                      {each.stage_id: (each.kind, each.result) for each in stages if each.kind in TRAINING}),
        noisy=noisy_arms(fits[study.select.maximize]) if study.select.maximize in fits else (),
        confounds=_confounds(study, runs, arms), seen=confounds.seen(runs),
        counts=counts(row, trials, stages), cost=cost(row, trial_rows, stages),
        spent=spent(engine, row.study_id, resources_of(row.spec)),
        varies_with_seed=varies_with_seed(trial_rows, stages), outside=joined.sources,
        at_branches=branch_scores(trial_rows, stages, read.branch_scores(engine, row.study_id)))


def _scored(engine: Engine, study_id: str, trials: Sequence[TrialRow],
            known: dict[str, TrialScores]) -> list[TrialScores]:
    """Return the scores of each trial; `known` caches those of succeeded trials, and is extended."""
    others = [each for each in trials if each.trial_key not in known]
    names = [each.trial_key for each in others] if known else None
    computed = {each.trial_key: each for each in scores.trial_scores(others, read.scores(engine, study_id, names))}
    known.update({key: each for key, each in computed.items() if each.state == TrialState.SUCCEEDED})
    return [known.get(each.trial_key) or computed[each.trial_key] for each in trials]


def study_of(row: StudyRow) -> Study:
    """Return the study as it was submitted, even if its file has changed since."""
    return Study.model_validate_json(json.dumps(row.spec["study"]))


def arms_of(rows: Sequence[TrialRow]) -> list[Arm]:
    """Return the distinct arms of these trials, in the order of the trials."""
    unique = {row.arm_key: Arm(row.arm_key, row.arm_name, row.levels) for row in rows}
    return list(unique.values())


def baseline_key(study: Study, arms: Sequence[Arm]) -> str | None:
    """Return the key of the baseline arm; None without one."""
    if study.search is not None:
        return next((arm.key for arm in arms if arm.name == "baseline"), None)
    baseline = baseline_of(study, arms) if arms else None
    return baseline.key if baseline else None


def rule_of(study: Study, baseline: str | None, names: Sequence[str] = ()) -> Rule:
    """Return the selection rule that the study declares.

    Args:
        study: the study.
        baseline: the key of its baseline arm.
        names: the metrics that it has. A study that declares no rule leads with MMBase, or else with the first of them.
    """
    select = study.select
    lead = "mmbase" if "mmbase" in names else next(iter(names), "")
    return Rule(objective=select.maximize or lead, subject_to=select.constraints, baseline=baseline,
                prefer=select.prefer, effect=study.effect, looks=study.looks, title=title)


def rule_text(study: Study) -> str:
    """Return the selection rule of the study in words."""
    if study.select.maximize is None:
        return "none is declared: differences are shown, and nothing is chosen"
    bounds = f", subject to {' and '.join(study.select.subject_to)}" if study.select.subject_to else ""
    return (f"maximize {title(study.select.maximize)}{bounds}; among arms that cannot be told apart prefer the "
            f"{study.select.prefer}; an effect of {study.effect:g} matters")


def _runs(trials: Sequence[TrialRow], stages: Sequence[StageRow]) -> list[Run]:
    done = {stage.stage_id: Executed(kind=stage.kind, result=stage.result or {}) for stage in stages
            if stage.state == "SUCCEEDED"}
    return [Run(arm=row.arm_key, seed=row.seed, config=row.config, is_done=row.state == "SUCCEEDED",
                stages=[done[stage_id] for stage_id in row.stage_ids if stage_id in done]) for row in trials]


def _confounds(study: Study, runs: Sequence[Run], arms: Sequence[Arm]) -> tuple[Confound, ...]:
    differences = confounds.confounds(runs, {arm.key: arm.name for arm in arms}, _factors(study, arms))
    is_planned = bool(study.looks)  # with an adaptive number of seeds arms differ by design; the seed note says so
    return tuple(each for each in differences if not (is_planned and each.what == "seeds"))


def _factors(study: Study, arms: Sequence[Arm]) -> set[str]:
    searched = study.search.parameters if study.search else ()
    return {path for arm in arms for path in arm.levels} | set(study.vary or ()) | set(searched)


def _search_found(study: Study, arms: Sequence[ArmRow], fits: Mapping[str, statistics.Fit],
                  verdict: Verdict) -> SearchFound | None:
    if study.search is None:
        return None
    means = {arm: {metric: fitted.means[arm].value for metric, fitted in fits.items() if arm in fitted.means}
             for arm in verdict.feasible}
    goals = study.objectives
    ended = [arm for arm in arms if arm.stopped]
    return SearchFound(objectives=goals, pareto=pareto.pareto_set(means, goals),
                       stopped={arm.key: {"name": arm.name, **(arm.stopped or {})} for arm in ended
                                if not arm.is_refused},
                       refused={arm.key: {"name": arm.name, **(arm.stopped or {})} for arm in ended
                                if arm.is_refused})


def report_path(home: Path, row: StudyRow) -> Path:
    """Return the path of a study's report below the home folder."""
    return home / "reports" / f"{row.name}-{row.scale}-v{row.version}.html"


def _metric(name: str, rule: Rule, own: Sequence[Benchmark]) -> Metric:
    return Metric(name=name, kind=scores.metric_kind(name, own), category=scores.category_of(name, own),
                  is_decisive=name in rule.metrics)


def _published(study: Study) -> Published | None:
    """Read the paper's scores; None if the study names none, or if the library no longer has them."""
    try:
        return load_published(study.published) if study.published else None
    except StudyError:
        return None


def _judged(published: Published | None, arms: Sequence[Arm], trials: Sequence[TrialScores]) -> tuple[ClaimResult, ...]:
    if published is None:
        return ()
    names = {arm.key: arm.name for arm in arms}
    named = [dataclasses.replace(each, arm_key=names[each.arm_key]) for each in trials]
    scored = {metric for each in trials for metric in each.metrics}
    testable = [claims.renamed(claims.published_claim(each, list(names.values())), _stand_ins(scored))
                for each in published.claims]
    metrics = {comparison.metric for claim in testable for comparison in claim.comparisons}
    fits = {metric: statistics.fit(selection.values_of(named, metric)) for metric in metrics}
    judged = [claims.judge(claim, fits, titled=title) for claim in testable]
    return tuple(_within_remit(each, result, scored) for each, result in zip(published.claims, judged, strict=True))


def _within_remit(claim: PublishedClaim, result: ClaimResult, scored: Set[str]) -> ClaimResult:
    reason = next((text for benchmark, text in claim.beyond.items() if benchmark in scored), None)
    return claims.withdrawn(result, reason) if reason else result


def _stand_ins(scored: Set[str]) -> dict[str, str]:
    """Return the public benchmarks that were not run -> the one benchmark that was run in the manner of each."""
    run: dict[str, list[str]] = defaultdict(list)
    for name in sorted(scored & BENCHMARKS.keys()):
        run[BENCHMARKS[name].manner_of].append(name)
    return {name: run[each.title][0] for name, each in BENCHMARKS.items()
            if name not in scored and len(run.get(each.title, ())) == 1 and each.title}


def _by_key(published: Published, arms: Sequence[Arm]) -> PublishedScores:
    keys = {arm.name: arm.key for arm in arms}
    return PublishedScores(title=published.title, source=published.source, chosen=keys.get(published.chosen or ""),
                           scores={keys[row.arm]: dict(row.scores) for row in published.rows if row.arm in keys})


def _plain(value: Any) -> Any:
    """Return plain values of dataclasses and containers; keys of mappings become text, as JSON requires."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
