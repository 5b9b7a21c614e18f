"""What a study adds while it runs: arms of a search, further rungs of an arm, seeds where they decide.

- One step at a time, from the ledger's history alone: the same history gives the same step.
- First the arms that wait at a rung are judged. The best `keep` of the arms measured at that rung continue; the others
  are stopped, and the reason is recorded. All are compared on the same seed and the same fraction of the steps. The
  baseline is never stopped.
- Then a search adopts the arms that an earlier version of it tried, and proposes new ones, until it has tried `trials`
  arms. If it finds nothing new before that, it says so. A proposal that violates a constraint on what is known before
  training (image tokens) is recorded as infeasible and told to the sampler; it is neither trained nor counted.
- Then the selection rule looks at the scores. While more seeds could separate some arms, these arms (and no others) get
  one more seed, up to the study's limit. All looks together err in at most 5 % of studies (`analysis.looks`).
- A proposal that needs torch is computed in a worker process. The driver asks again until it is there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from orchestrator.analysis import selection
from orchestrator.errors import StudyError
from orchestrator.ledger.engine import Engine
from orchestrator.ledger.rows import TrialRow
from orchestrator.plan.arms import Arm
from orchestrator.plan.plan import Plan, TrialRequest
from orchestrator.results.results import rule_of
from orchestrator.search import ObservedTrial, needs_torch, propose, propose_from
from orchestrator.search.history import Histories, StudyHistory, candidates
from orchestrator.search.proposals import DRAWS
from orchestrator.settings import Settings
from orchestrator.states import TERMINAL_TRIALS
from orchestrator.study.study import AddedSeeds, Pruning, Search

MOST_REFUSED = 64
"""Infeasible proposals in a row after which a search ends: its ranges hold nothing new that is feasible."""
Call = Callable[..., "Future[Any]"]
"""Calls a function of plain values in another process: (function, *arguments) -> a future of its result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextTrials:
    """What a study adds or stops now."""

    plan: Plan | None = None
    """Trials to add."""
    stopped: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """Arm key -> why the arm is stopped."""
    refused: tuple[Arm, dict[str, Any]] | None = None
    """An arm that was proposed but is not trained, and why."""
    is_over: bool = False
    """Whether the study will add nothing more."""
    reason: str = ""
    """Why a search ends before it has tried all its arms."""


class AdaptiveStudies:
    """Finds the next step of any study from its history. It keeps only the proposals that are being computed.

    `call` runs a function in a worker process, for proposals that need torch.
    """

    def __init__(self, engine: Engine, settings: Settings, call: Call) -> None:
        self._records, self._call = Histories(engine, settings), call
        self._asked: dict[str, tuple[str, Future[Any]]] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether a proposal is being computed in a worker process."""
        return bool(self._asked)

    def step(self, study_id: str) -> NextTrials:
        """Return what a study does next. An empty step means that there is nothing to do yet.

        Raises:
            StudyError: the recipe or scale in the library has changed since the study was submitted.
        """
        record = self._records.read(study_id)
        step = self._next(record)
        if step.is_over:
            self._records.forget(study_id)
        return step

    def _next(self, record: StudyHistory) -> NextTrials:
        if not record.study.grows:
            raise StudyError(record.row.name, 0, "the study adds no trials: no search, and a fixed number of seeds")
        stopped, going_on = _judged(record)
        if going_on:
            return NextTrials(plan=self._planned(record, going_on), stopped=stopped)
        ended = ""
        if record.study.search is not None and record.num_proposed < record.study.search.trials:
            ended = _why_ended(record, record.study.search) if record.num_refused_last >= MOST_REFUSED else ""
            step = None if ended else self._proposal(record, record.study.search, stopped)
            if step is not None:
                return step
            ended = ended or _why_ended(record, record.study.search)
        if stopped or record.is_open:
            return NextTrials(stopped=stopped)
        more = seeds_to_add(record)
        return NextTrials(plan=self._planned(record, more)) if more else NextTrials(is_over=True, reason=ended)

    def _proposal(
        self, record: StudyHistory, search: Search, stopped: Mapping[str, dict[str, Any]]
    ) -> NextTrials | None:
        """Return the next arm, an empty step while it is being computed, or None if there is nothing new to try."""
        levels = self._levels(record, search, record.history(stopped))
        if levels is None:
            return NextTrials(stopped=stopped)
        if levels[0] is None:
            return None
        first = (
            TrialRequest(levels[0], record.study.seed_list[:1], 1)
            if search.prune
            else TrialRequest(levels[0], record.study.seed_list)
        )
        plan = self._planned(record, [first])
        why = record.infeasible_by(plan)
        return (
            NextTrials(refused=(plan.arms[0], why), stopped=stopped) if why else NextTrials(plan=plan, stopped=stopped)
        )

    def _levels(
        self, record: StudyHistory, search: Search, history: list[ObservedTrial]
    ) -> list[dict[str, Any] | None] | None:
        """Return the next arm's levels in a list, or None while they are being computed."""
        known = record.to_take_up()
        if known is not None:
            return [known]
        if needs_torch(search):
            return self._elsewhere(record, search, history)
        return [propose(search, history, seed=search.seed)]

    def _elsewhere(
        self, record: StudyHistory, search: Search, history: list[ObservedTrial]
    ) -> list[dict[str, Any] | None] | None:
        """Return the proposal in a list once a worker has computed it.

        One that was computed from an older history is dropped.
        """
        state, study_id = repr(history), record.row.study_id
        asked = self._asked.get(study_id)
        if asked is None or asked[0] != state:
            text = search.model_dump_json(by_alias=True, exclude_unset=True)
            self._asked[study_id] = (state, self._call(propose_from, text, history, search.seed))
            return None
        if not asked[1].done():
            return None
        del self._asked[study_id]
        error = asked[1].exception()
        if error is not None:
            raise StudyError(record.row.name, 0, f"sampler {search.sampler} failed to propose an arm: {error}")
        return [asked[1].result()]

    def _planned(self, record: StudyHistory, wanted: Sequence[TrialRequest]) -> Plan:
        row, plan = record.row, self._records.planner(record).plan(wanted)
        if plan.spec_hash != row.spec_hash:
            raise StudyError(
                row.name,
                0,
                f"recipe {record.study.recipe} or scale {row.scale} changed since the study was submitted",
                "submit it again with `--update`; finished stages are reused",
            )
        return plan


def _why_ended(record: StudyHistory, search: Search) -> str:
    """Return why a search tries no more arms although it may."""
    so_far = f"the search ended after {record.num_proposed} of {search.trials} arms: "
    if record.num_refused_last >= MOST_REFUSED:
        why = (record.arms[-1].stopped or {}).get("reason", "")
        return f"{so_far}{MOST_REFUSED} proposals in a row violated a constraint; the last one was {why}"
    return f"{so_far}{DRAWS} draws in a row gave arms that were tried already; its ranges hold too few others"


# ---- rungs ---------------------------------------------------------------------------------------------------------


def _judged(record: StudyHistory) -> tuple[dict[str, dict[str, Any]], list[TrialRequest]]:
    """Judge the arms that wait at a rung.

    Return why each stopped arm is stopped, and the next training of the others.
    """
    prune = record.study.search.prune if record.study.search else None
    stopped: dict[str, dict[str, Any]] = {}
    going_on: list[TrialRequest] = []
    for arm_key, rung in _waiting(record) if prune else ():
        why = _why_stopped(record, prune, arm_key, rung) if prune else None
        levels = next(arm.levels for arm in record.arms if arm.key == arm_key)
        is_last = prune is None or rung == len(prune.rungs)
        if why is not None:
            stopped[arm_key] = why
        elif is_last:
            going_on.append(TrialRequest(levels, record.study.seed_list))
        else:
            going_on.append(TrialRequest(levels, record.study.seed_list[:1], rung + 1))
    return stopped, going_on


def _waiting(record: StudyHistory) -> list[tuple[str, int]]:
    """Return each arm whose newest rung has ended and was not judged yet, with that rung."""
    rungs: dict[str, list[TrialRow]] = {}
    for row in record.rows:
        if row.arm_key != record.baseline and not row.stopped:
            rungs.setdefault(row.arm_key, []).append(row)
    return [(key, max(row.rung for row in mine)) for key, mine in rungs.items()
            if all(row.rung > 0 and row.state in TERMINAL_TRIALS for row in mine)]


def _why_stopped(record: StudyHistory, prune: Pruning, arm_key: str, rung: int) -> dict[str, Any] | None:
    """Return why an arm is stopped at a rung, None if it continues."""
    signs = [1.0 if way == "maximize" else -1.0 for _, way in record.study.objectives]
    own = record.observed(arm_key, rung)
    detail: dict[str, Any] = {"rung": rung, "fraction": prune.rungs[rung - 1], "keep": prune.keep,
                              "metrics": [name for name, _ in record.study.objectives]}
    if own.values is None:
        return {**detail, "values": None, "reason": "it has no scores at this rung: it failed or diverged"}
    at_rung = {row.arm_key for row in record.rows if row.rung == rung and row.arm_key != record.baseline}
    measured = {
        key: each for key in sorted(at_rung) for each in [record.observed(key, rung)] if each.values is not None
    }
    better = sum(_is_better(each, own, signs) for key, each in measured.items() if key != arm_key)
    rank, allowed = better + 1, math.ceil(prune.keep * len(measured))
    if len(measured) <= prune.warmup or rank <= allowed:
        return None
    return {
        **detail,
        "values": list(own.values),
        "rank": rank,
        "among": len(measured),
        "reason": f"rank {rank} of {len(measured)} arms after {prune.rungs[rung - 1]:g} of the steps; "
        f"the first {allowed} continue",
    }


def _is_better(a: ObservedTrial, b: ObservedTrial, signs: Sequence[float]) -> bool:
    """Return whether `a` beats `b`: it violates less, or it violates as little and dominates `b` in the objectives."""
    missed_a, missed_b = (sum(max(0.0, each) for each in observed.violations) for observed in (a, b))
    if missed_a != missed_b:
        return missed_a < missed_b
    pairs = [(sign * x, sign * y) for sign, x, y in zip(signs, a.values or (), b.values or (), strict=True)]
    return all(x >= y for x, y in pairs) and any(x > y for x, y in pairs)


# ---- seeds where they matter ---------------------------------------------------------------------------------------


def seeds_to_add(record: StudyHistory) -> list[TrialRequest]:
    """Return further seeds for the arms that the rule cannot separate yet; none if it can, or at the limit of seeds."""
    seeds = record.study.seeds
    if not isinstance(seeds, AddedSeeds):
        return []
    whole = [each for row, each in zip(record.rows, record.scores, strict=True) if row.rung == 0]
    arms = candidates(arm for arm in record.arms if any(each.arm_key == arm.key for each in whole))
    verdict = selection.select(rule_of(record.study, record.baseline), arms, whole)
    if verdict.kind != "underpowered" or len(verdict.open) < 2:
        return []
    found = []
    for arm in arms:
        have = sum(each.arm_key == arm.key for each in whole)
        if arm.key in verdict.open and have < seeds.most:
            more = next(count for count in seeds.rounds if count > have)
            found.append(TrialRequest(arm.levels, tuple(range(have, more))))
    return found

