"""Ledgers full of made-up results: what pages, tables and screenshots are tried on.

Rows are inserted straight into the tables, so that a thousand trials take a moment; the numbers are seeded and smooth
(more science data teaches science and costs a little of the rest), so that pages look as they will with real ones.
"""

import hashlib
import itertools
import json
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine

from model.evaluation.benchmarks.registry import BENCHMARKS
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import transaction
from orchestrator.plan.arms import arm_key, level_text

TEN = ("scene-qa", "scene-probe", "form-fields", "chart-values", "science-names", "science-choice", "drawn-sums", "box-name", "name-box",
       "sums-text")
SCIENCE = "sft.mixture.alpha.science"
Levels = dict[str, Any]
LIVE = {"LEASED", "RUNNING"}
BEGUN = {*LIVE, "SUCCEEDED", "FAILED", "DIVERGED"}
DONE = {"SUCCEEDED", "FAILED", "DIVERGED", "SKIPPED", "CANCELLED"}


def science_curve(levels: Levels, category: str) -> float:
    """Score by the share of science data: knowledge saturates, the others lose a little."""
    alpha = float(levels.get(SCIENCE, 0))
    gain = 1 - math.exp(-9 * alpha)
    rises = {"general": 62 - 1.5 * alpha, "text_rich": 41 - 3 * alpha, "knowledge": 22 + 38 * gain, "refer_ground": 31 - 6 * alpha}
    return rises.get(category, 35.0)


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """What a made-up study looks like."""

    name: str = "quickstart"
    question: str = "How much science data per general sample teaches the new facts without losing the old abilities?"
    arms: tuple[Levels, ...] = ({SCIENCE: 0}, {SCIENCE: 0.1}, {SCIENCE: 0.5})
    names: tuple[str, ...] = ()
    seeds: int = 3
    benchmarks: tuple[str, ...] = TEN
    state: str = "COMPLETED"
    done: float = 1.0
    """Share of trials that are finished; the next two run, the others wait."""
    states: dict[tuple[int, int], str] = field(default_factory=dict)
    """(number of the arm, seed) -> state of its training stage, where it is not SUCCEEDED."""
    select: dict[str, Any] = field(default_factory=lambda: {
        "maximize": "knowledge", "subject_to": ["general >= baseline.general - 5"], "baseline": {SCIENCE: 0}, "prefer": "smallest"})
    published: str | None = None
    noise: float = 1.3
    scale: str = "tiny"
    training_flops: float = 3.1e11
    """Of each training stage."""
    age_s: float = 300.0
    score: Callable[[Levels, str], float] = science_curve
    tokens: Callable[[Levels], float] = lambda levels: 16.0


def stage_id(*parts: object) -> str:
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()


def sketch(engine: Engine, wanted: Sketch, *, seed: int = 0) -> str:
    """Insert a study, its arms, trials, stages, attempts and scores; return its id."""
    study_id, now = stage_id(wanted.name, wanted.scale)[:32], time.time()
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in ("arms", "trials", "stages", "parents", "links", "attempts", "scores")}
    rows["stages"].append(_stage(stage_id("import"), "import", "packaged:tiny", "SUCCEEDED", position=0, began=now - wanted.age_s))
    trials = list(itertools.product(range(len(wanted.arms)), range(wanted.seeds)))
    for number, levels in enumerate(wanted.arms):
        name = wanted.names[number] if wanted.names else level_text(levels)
        rows["arms"].append({"study_id": study_id, "arm_key": arm_key(levels), "number": number, "name": name,
                             "levels": json.dumps(levels)})
    for number, (arm, replicate) in enumerate(trials):
        state = wanted.states.get((arm, replicate)) or _by_progress(number, round(wanted.done * len(trials)))
        _trial(rows, wanted, study_id, number, arm, replicate, state, random.Random(f"{seed}/{arm}/{replicate}"), now)
    with transaction(engine) as connection:
        connection.execute(t.studies.insert(), [_study(wanted, study_id, len(trials), now)])
        known = {row.stage_id for row in connection.execute(t.stages.select().where(t.stages.c.kind == "import"))}
        rows["stages"] = [row for row in rows["stages"] if row["stage_id"] not in known]
        for table, name in ((t.arms, "arms"), (t.trials, "trials"), (t.stages, "stages"), (t.stage_parents, "parents"),
                            (t.trial_stages, "links"), (t.attempts, "attempts"), (t.scores, "scores")):
            if rows[name]:
                connection.execute(table.insert(), rows[name])
        connection.execute(t.events.insert(), [{"at": now - wanted.age_s, "study_id": study_id, "entity": "study", "entity_id": study_id,
                                                "from_state": "", "to_state": "QUEUED", "actor": "user", "detail": "{}"}])
    return study_id


def finish(engine: Engine, study_id: str, step: int) -> None:
    """Advance every running training stage to this step, as a driver that hears reports does."""
    with transaction(engine) as connection:
        report = json.dumps({"step": step, "steps": 80, "loss": 2.0 / (1 + step / 20), "samples_per_s": 31.5})
        mine = (t.attempts.c.study_id == study_id, t.attempts.c.state == "RUNNING")
        connection.execute(t.attempts.update().where(*mine).values(progress=report))


def lease(engine: Engine, *, ttl_s: float = 60.0) -> None:
    """Say that a driver holds the ledger for so long."""
    with transaction(engine) as connection:
        connection.execute(t.driver_lease.update().values(
            epoch=3, driver_id="driver-1", ttl_s=abs(ttl_s), lease_expires_at=t.now_s() + ttl_s,
            holder=json.dumps({"host": "laptop", "pid": 4242})))


def _by_progress(number: int, num_done: int) -> str:
    return "SUCCEEDED" if number < num_done else "RUNNING" if number < num_done + 2 else "QUEUED"


def _study(wanted: Sketch, study_id: str, num_trials: int, now: float) -> dict[str, Any]:
    factors = sorted({path for levels in wanted.arms for path in levels})
    is_product = not wanted.names and len(factors) == 1
    design = ({"vary": {factors[0]: [levels[factors[0]] for levels in wanted.arms]}} if is_product
              else {"arms": dict(zip(wanted.names or [level_text(levels) for levels in wanted.arms], wanted.arms, strict=True))})
    study = {"name": wanted.name, "question": wanted.question, "recipe": "sft-ablation", **design, "seeds": wanted.seeds,
             "select": wanted.select, "effect": 5, **({"published": wanted.published} if wanted.published else {})}
    is_over = wanted.state not in ("QUEUED", "RUNNING", "PAUSED")
    return {"study_id": study_id, "name": wanted.name, "scale": wanted.scale, "version": 1, "spec_hash": study_id,
            "spec": json.dumps({"study": study, "recipes": {}, "scale": {"name": wanted.scale, "resources": {"flops_per_s": 1.2e10}}}),
            "state": wanted.state, "reason": "", "requested_stages": num_trials * (1 + len(wanted.benchmarks)),
            "grows": False, "parallel": 1,
            "created_at": now - wanted.age_s, "ended_at": now if is_over else None}


def _trial(rows: dict[str, list[dict[str, Any]]], wanted: Sketch, study_id: str, number: int, arm: int, replicate: int, state: str,
           noise: random.Random, now: float) -> None:
    levels = wanted.arms[arm]
    key, began = f"{arm_key(levels)}-{replicate}", now - wanted.age_s + number
    name = wanted.names[arm] if wanted.names else level_text(levels)
    trial_state = {"QUEUED": "PLANNED", "LEASED": "RUNNING"}.get(state, state)
    place = (wanted.name,) if wanted.scale == "tiny" else (wanted.name, wanted.scale)
    sft = stage_id("sft", *place, key)
    rows["trials"].append({
        "study_id": study_id, "trial_key": key, "arm_key": arm_key(levels), "seed": replicate, "number": number, "state": trial_state,
        "config": json.dumps({"recipe": "sft-ablation", "evaluate": {"benchmarks": wanted.benchmarks}}),
        "ended_at": now if trial_state in DONE else None})
    rows["stages"].append(_stage(sft, "sft", f"sft {name} seed {replicate}", state, position=3 * number + 1, began=began,
                                 flops=wanted.training_flops))
    rows["attempts"] += _attempts(sft, study_id, state, began, wanted.name)
    rows["parents"].append({"stage_id": sft, "parent_id": stage_id("import")})
    chain = [stage_id("import"), sft]
    luck = noise.gauss(0, wanted.noise)
    for benchmark in wanted.benchmarks:
        own = stage_id("evaluate", *place, key, benchmark)
        below = {"SUCCEEDED": "SUCCEEDED", "FAILED": "SKIPPED", "DIVERGED": "SKIPPED", "CANCELLED": "CANCELLED"}.get(state, "PLANNED")
        rows["stages"].append(_stage(own, "evaluate", f"{benchmark} {name} seed {replicate}", below, position=3 * number + 2, began=began))
        rows["parents"].append({"stage_id": own, "parent_id": sft})
        rows["attempts"] += _attempts(own, study_id, below, began, wanted.name)
        chain.append(own)
        if below == "SUCCEEDED":
            middle = wanted.score(levels, BENCHMARKS[benchmark].category) + (sum(map(ord, benchmark)) % 13 - 6)
            value = min(100.0, max(0.0, middle + luck + noise.gauss(0, wanted.noise)))
            rows["scores"].append({"stage_id": own, "benchmark": benchmark, "value": value, "value_lenient": min(100.0, value + 1),
                                   "num_items": 200, "num_unparseable": 3, "is_complete": True, "tokens_per_image": wanted.tokens(levels)})
    rows["links"] += [{"study_id": study_id, "trial_key": key, "position": i, "stage_id": each} for i, each in enumerate(chain)]


def _stage(identity: str, kind: str, label: str, state: str, *, position: int, began: float,
           flops: float = 0.0) -> dict[str, Any]:
    is_done, flops = state == "SUCCEEDED", flops or {"evaluate": 2.4e10}.get(kind, 0.0)
    return {"stage_id": identity, "kind": kind, "label": label, "spec": json.dumps({"kind": kind}), "position": position, "flops": flops,
            "samples": 1280, "state": state, "not_before": 0.0,
            "attempts_made": int(kind != "import" and state in BEGUN), "charged_from": 0,
            "seconds": flops / 1.1e10 if is_done else None, "artifact": None,
            "result": json.dumps({"loss": 0.61}) if is_done else None, "created_at": began}


def _attempts(stage: str, study_id: str, state: str, began: float, name: str) -> list[dict[str, Any]]:
    states = {"SUCCEEDED": "SUCCEEDED", "FAILED": "USER_ERROR", "DIVERGED": "DIVERGED", "RUNNING": "RUNNING", "LEASED": "LEASED"}
    if state not in states:
        return []
    messages = {"DIVERGED": "loss is not finite at step 41", "FAILED": "sample 17: 3 images, allowed: 1"}
    failure = {"kind": states[state], "message": messages[state], "traceback": "…"} if state in messages else None
    report = {"step": 34, "steps": 80, "loss": 1.207, "samples_per_s": 31.5} if state == "RUNNING" else None
    return [{"attempt_id": stage_id("attempt", stage)[:32], "stage_id": stage, "attempt_no": 1, "study_id": study_id,
             "driver_id": "driver-1", "epoch": 3, "state": states[state], "lease_expires_at": began + 60, "started_at": began,
             "ended_at": None if state in LIVE else began + 28, "is_charged": failure is not None, "checkpoint_step": 0,
             "progress": report and json.dumps(report), "failure": failure and json.dumps(failure), "failure_hash": "", "result": None}]
