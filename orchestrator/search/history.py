"""A study's arms, trials and scores as the ledger has them now: what its growth is decided from.

- A search asks for them before each proposal. What no later proposal can change is kept between two of them: the study
  as it was written, its planner, and the trials' configurations.
- Arms of an earlier version of the study with the same base and ranges are part of its record: a search that gets more
  trials, or another sampler, takes them up one after the other before anything new is proposed.
- A planner that read files of the operator is made anew each time, so that a file that changed is noticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import takewhile
from typing import Any

from orchestrator.analysis import selection
from orchestrator.analysis.scores import TrialScores, trial_scores
from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine
from orchestrator.ledger.rows import ArmRow, RowCache, TrialRow
from orchestrator.ledger.summaries import StudyHead, earlier_versions, submitted
from orchestrator.plan.cost import metrics_of_config
from orchestrator.plan.plan import Plan, Planner, search_base
from orchestrator.results.results import baseline_key
from orchestrator.search import ObservedTrial, constraints, observe, violations
from orchestrator.settings import Settings
from orchestrator.states import TERMINAL_TRIALS
from orchestrator.study import library
from orchestrator.study.catalogue import catalogue_of
from orchestrator.study.documents import Scale
from orchestrator.study.documents import read as read_document
from orchestrator.study.strict_yaml import ParsedYaml
from orchestrator.study.study import Study


@dataclass(slots=True)
class _Cached:
    """What is known of a study whatever its trials do."""

    spec: dict[str, Any]
    study: Study
    planner: Planner | None = None
    known: RowCache = field(default_factory=RowCache)
    tried: tuple[ArmRow, ...] = ()
    """Arms of earlier versions of the study, in the order of their proposal."""


class Histories:
    """Reads the records of studies that grow."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        """Remember where to read."""
        self._engine, self._settings = engine, settings
        self._kept: dict[str, _Cached] = {}

    def read(self, study_id: str) -> StudyHistory:
        """Return a study's record as it is now."""
        row = submitted(self._engine, study_id)
        kept = self._kept.get(study_id)
        if kept is None or kept.spec != row.spec:
            study = read_document(Study, ParsedYaml(row.name, row.spec["study"], {}))
            kept = self._kept[study_id] = _Cached(row.spec, study, tried=self._tried(row) if study.search else ())
        return StudyHistory(self._engine, row, kept.study, kept.known, kept.tried)

    def _tried(self, row: StudyHead) -> tuple[ArmRow, ...]:
        """Return the arms that earlier versions of a search proposed from the same base and ranges."""
        base, found = search_base(row.spec), dict[str, ArmRow]()
        for version in earlier_versions(self._engine, row.study_id):
            if "search" in version.spec["study"] and search_base(version.spec) == base:
                arms = read.arms(self._engine, version.study_id)
                own = baseline_key(
                    read_document(Study, ParsedYaml(version.name, version.spec["study"], {})), candidates(arms)
                )
                found |= {arm.key: arm for arm in arms if arm.key != own and arm.key not in found}
        return tuple(found.values())

    def planner(self, record: StudyHistory) -> Planner:
        """Return who plans what the study grows by."""
        kept, row = self._kept[record.row.study_id], record.row
        if kept.planner is not None:
            return kept.planner
        # A scale that was given as a file is in no library: the ledger has what it said.
        is_known = row.scale in library.names("scale")
        scale = row.scale if is_known else read_document(Scale, ParsedYaml(row.scale, row.spec["scale"], {}))
        planner = Planner(
            record.study,
            scale,
            selections=row.spec.get("selections"),
            checkpoints=self._settings.home / "checkpoints",
            catalogue=partial(catalogue_of, self._settings),
        )
        kept.planner = None if planner.reads_files else planner
        return planner

    def forget(self, study_id: str) -> None:
        """Let go of a study that grows no more."""
        self._kept.pop(study_id, None)


class StudyHistory:
    """A study's arms, trials and scores, as the ledger has them now."""

    def __init__(
        self, engine: Engine, row: StudyHead, study: Study, known: RowCache, tried: Sequence[ArmRow] = ()
    ) -> None:
        """Read it, but for what is known from before."""
        self.row, self.study, self._tried = row, study, tried
        self.rows: list[TrialRow] = read.trials(engine, row.study_id, known)
        self.scores: list[TrialScores] = trial_scores(self.rows, read.scores(engine, row.study_id))
        self.arms = read.arms(engine, row.study_id)
        self.baseline = baseline_key(self.study, candidates(self.arms))

    @property
    def is_open(self) -> bool:
        """Whether any trial is still to end."""
        return any(row.state not in TERMINAL_TRIALS for row in self.rows)

    @property
    def num_proposed(self) -> int:
        """Arms that a search proposed, the baseline not counted."""
        return sum(arm.key != self.baseline and not arm.is_refused for arm in self.arms)

    @property
    def num_refused_last(self) -> int:
        """How many proposals in a row, up to the last one, missed a constraint before training."""
        return sum(1 for _ in takewhile(lambda arm: arm.is_refused, reversed(self.arms)))

    def to_take_up(self) -> dict[str, Any] | None:
        """Return the levels of the next arm that an earlier version tried and this one did not yet, None if there is none."""
        own = {arm.key for arm in self.arms}
        return next((dict(arm.levels) for arm in self._tried if arm.key not in own), None)

    def infeasible_by(self, plan: Plan) -> dict[str, Any] | None:
        """Return which constraint the plan's arm misses by what is known before training, None if it misses none."""
        known = metrics_of_config(plan.trials[0].config)
        baseline = next((metrics_of_config(row.config) for row in self.rows if row.arm_key == self.baseline), {})
        for each in constraints(self.study):
            if each.is_known(known, baseline) and not each.is_met(known[each.metric], baseline):
                value = known[each.metric]
                return {"constraint": each.text, "metric": each.metric, "value": value,
                        "violations": list(violations(self.study, known, baseline)),
                        "reason": f"infeasible before training: {each.text}, and it has {value:.4g}"}
        return None

    def means(self, arm_key: str, rung: int = 0) -> dict[str, float]:
        """Return the means over an arm's seeds at a rung, once all of them are over."""
        mine = [(row, each) for row, each in zip(self.rows, self.scores, strict=True)
                if row.arm_key == arm_key and row.rung == rung]
        if any(row.state not in TERMINAL_TRIALS for row, _ in mine):
            return {}
        return _means([each.metrics for _, each in mine])

    def observed(self, arm_key: str, rung: int = 0) -> ObservedTrial:
        """Return what a search learns from an arm at a rung."""
        levels = next(arm.levels for arm in self.arms if arm.key == arm_key)
        baseline = self.means(self.baseline, rung) if self.baseline else {}
        return observe(self.study, levels, self.means(arm_key, rung), baseline, self._by_seed(arm_key, rung))

    def _by_seed(self, arm_key: str, rung: int) -> dict[int, Mapping[str, float]]:
        """Return the scores of each seed of an arm at a rung."""
        return {row.seed: each.metrics for row, each in zip(self.rows, self.scores, strict=True)
                if row.arm_key == arm_key and row.rung == rung and not each.is_diverged}

    def history(self, stopped: Mapping[str, dict[str, Any]]) -> list[ObservedTrial]:
        """Return all arms in the order of their proposal; those just stopped as stopped."""
        reasons = {row.arm_key: row.stopped for row in self.rows if row.stopped} | dict(stopped)
        found = []
        for arm in self.arms:
            if arm.is_refused:
                missed = tuple((arm.stopped or {})["violations"])
                found.append(ObservedTrial(levels=arm.levels, values=None, violations=missed, is_refused=True))
                continue
            why = reasons.get(arm.key)
            each = self.observed(arm.key, why["rung"] if why else 0)
            found.append(replace(each, stopped_at=why["rung"]) if why else each)
        return found


def candidates(arms: Iterable[ArmRow]) -> list[selection.ArmLevels]:
    """Return the arms as a rule knows them."""
    return [selection.ArmLevels(key=arm.key, name=arm.name, levels=arm.levels) for arm in arms]


def _means(seeds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average the metrics that every seed of an arm has."""
    names = set.intersection(*(set(each) for each in seeds)) if seeds else set()
    return {name: sum(each[name] for each in seeds) / len(seeds) for name in names}
