"""The next arm of a search: the ledger's record, Optuna's proposal, our plan."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from orchestrator.analysis.scores import trial_scores
from orchestrator.catalogue import LoadCatalogue, no_catalogue
from orchestrator.errors import StudyError
from orchestrator.ledger import read
from orchestrator.ledger.reach import Engine
from orchestrator.plan import Plan, plan_arms
from orchestrator.results import arms_of, baseline_key
from orchestrator.schema import read as read_document
from orchestrator.search import Observed, needs_torch, observe, propose
from orchestrator.states import TERMINAL_TRIALS
from orchestrator.strict_yaml import Document
from orchestrator.study import Search, Study


def next_arm(engine: Engine, study_id: str, *, checkpoints: Path | None = None,
             catalogue: LoadCatalogue = no_catalogue) -> Plan | None:
    """Plan one more arm of a search; None if its space holds nothing new. The rest as for `plan_arms`.

    Raises:
        StudyError: the library's recipe or scale is no longer the one that the study was submitted with.
    """
    row = read.study(engine, study_id)
    study = read_document(Study, Document(row.name, row.spec["study"], {}))
    if study.search is None:
        raise StudyError(row.name, 0, "the study has no search")
    levels = _proposed(study.search, _history(engine, study_id, study))
    if levels is None:
        return None
    plan = plan_arms(study, row.scale, [levels], checkpoints=checkpoints, catalogue=catalogue)
    if plan.spec_hash != row.spec_hash:
        raise StudyError(row.name, 0, f"recipe {study.recipe} or scale {row.scale} changed since the study was submitted",
                         "submit it again with --update; finished stages are found again")
    return plan


def _history(engine: Engine, study_id: str, study: Study) -> list[Observed]:
    rows = read.trials(engine, study_id)
    trials = trial_scores(rows, read.scores(engine, study_id))
    metrics: dict[str, list[dict[str, float]]] = {}
    for trial in trials:
        is_final = trial.state in TERMINAL_TRIALS
        metrics.setdefault(trial.arm_key, []).append(trial.metrics if is_final else {})
    arms = arms_of(rows)
    baseline = _means(metrics.get(baseline_key(study, arms) or "", []))
    return [observe(study, arm.levels, _means(metrics[arm.key]), baseline) for arm in arms]


def _means(seeds: Sequence[dict[str, float]]) -> dict[str, float]:
    """Average the metrics that every seed of an arm has."""
    names = set.intersection(*(set(each) for each in seeds)) if seeds else set()
    return {name: sum(each[name] for each in seeds) / len(seeds) for name in names}


def _proposed(search: Search, history: list[Observed]) -> dict[str, Any] | None:
    if not needs_torch(search):
        return propose(search, history, seed=search.seed)
    # A process of its own: the driver stays without torch.
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(propose, search, history, seed=search.seed).result()
