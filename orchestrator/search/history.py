"""The history of a study (arms, trials, scores) as the ledger has it now: what its next step is decided from.

- A search reads it before each proposal. What no later proposal can change is cached: the study's document, its
  planner, and the trials' configurations.
- Arms of an earlier version of the study with the same base and ranges belong to its history. A search that gets more
  trials, or another sampler, adopts them one after the other before it proposes anything new.
- A planner that reads the operator's files is created anew each time, so that a changed file is noticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import takewhile
from typing import Any

from orchestrator.analysis.scores import TrialScores, trial_scores
from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine
from orchestrator.ledger.rows import ArmRow, RowCache, TrialRow
from orchestrator.ledger.summaries import StudyHead, earlier_versions, submitted
from orchestrator.plan.arms import Arm
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
    """What does not depend on the progress of a study's trials."""

    spec: dict[str, Any]
    study: Study
    planner: Planner | None = None
    known: RowCache = field(default_factory=RowCache)
    tried: tuple[ArmRow, ...] = ()
    """Arms of earlier versions of the study, in the order of their proposal."""


class Histories:
    """Reads the histories of studies that add trials while they run."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine, self._settings = engine, settings
        self._kept: dict[str, _Cached] = {}

    def read(self, study_id: str) -> StudyHistory:
        """Return a study's history as it is now."""
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
        """Return the planner that plans what the study adds."""
        kept, row = self._kept[record.row.study_id], record.row
        if kept.planner is not None:
            return kept.planner
        # A scale that was given as a file is in no library; the ledger stores its contents.
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
        """Drop the cache of a study that adds nothing more."""
        self._kept.pop(study_id, None)


class StudyHistory:
    """A study's arms, trials and scores, as the ledger has them now.

    `known` holds rows from earlier reads, and `tried` the arms of earlier versions of the study.
    """

    def __init__(
        self, engine: Engine, row: StudyHead, study: Study, known: RowCache, tried: Sequence[ArmRow] = ()
    ) -> None:
        self.row, self.study, self._tried = row, study, tried
        self.rows: list[TrialRow] = read.trials(engine, row.study_id, known)
        self.scores: list[TrialScores] = trial_scores(self.rows, read.scores(engine, row.study_id))
        self.arms = read.arms(engine, row.study_id)
        self.baseline = baseline_key(self.study, candidates(self.arms))

    @property
    def is_open(self) -> bool:
        """Whether any trial has not ended yet."""
        return any(row.state not in TERMINAL_TRIALS for row in self.rows)

    @property
    def num_proposed(self) -> int:
        """Arms that the search proposed, without the baseline."""
        return sum(arm.key != self.baseline and not arm.is_refused for arm in self.arms)

    @property
    def num_refused_last(self) -> int:
        """How many of the last proposals in a row violated a constraint before training."""
        return sum(1 for _ in takewhile(lambda arm: arm.is_refused, reversed(self.arms)))

    def to_take_up(self) -> dict[str, Any] | None:
        """Return the levels of the next arm that an earlier version tried and this one has not, if there is one."""
        own = {arm.key for arm in self.arms}
        return next((dict(arm.levels) for arm in self._tried if arm.key not in own), None)

    def infeasible_by(self, plan: Plan) -> dict[str, Any] | None:
        """Return the constraint that the plan's arm violates by what is known before training, if there is one."""
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
        """Return an arm's means over its seeds at a rung, once all of these trials have ended; empty before."""
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
        """Return all arms in the order of their proposal; `stopped` are the arms that are being stopped now."""
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


def candidates(arms: Iterable[ArmRow]) -> list[Arm]:
    """Return the arms of these rows."""
    return [Arm(arm.key, arm.name, arm.levels) for arm in arms]


def _means(seeds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average the metrics that every seed of an arm has."""
    names = set.intersection(*(set(each) for each in seeds)) if seeds else set()
    return {name: sum(each[name] for each in seeds) / len(seeds) for name in names}
