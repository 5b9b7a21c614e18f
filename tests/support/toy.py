"""A study whose stages are arithmetic: what driver, ledger and executors are tried on, in milliseconds and to the last bit.

A toy training stage walks `steps` steps from its parent's number, keeps a checkpoint every second step and publishes a
folder; a toy evaluate stage turns the number into a score. `spec["toy"]` may ask for trouble (see `_trouble`).
"""

import hashlib
import json
import os
import resource
import signal
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from model import manifest
from model.evaluation.metrics import ItemScore
from model.evaluation.stored_answers import ITEMS, Answer
from model.evaluation.stored_answers import write as write_answers
from model.samples import Item
from orchestrator.errors import Diverged, Stopped
from orchestrator.execution.attempt import Order, Report, ShouldStop, StageJob, run_attempt
from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine
from orchestrator.plan.arms import Arm, named_arm
from orchestrator.plan.plan import Plan, Stage, Trial
from orchestrator.settings import Settings
from orchestrator.study.documents import read as read_document
from orchestrator.study.strict_yaml import ParsedYaml
from orchestrator.study.study import Study

PATH = "sft.mixture.alpha.science"
GATE = "gate"
"""Below the artifact root: a file that lets stages with trouble `gate` go on."""
EXECUTIONS = "executions.txt"
"""Below the artifact root: a line for each time that a stage function ran, `kind stage_id`."""


def toy_settings(home: Path, **changes: Any) -> Settings:
    values: dict[str, Any] = {"home": home, "slots": 2, "retry_base_s": 0.0, "mlflow": "off", "lease_ttl_s": 5.0,
                              "min_free_gib": 0.0, **changes}
    values["ledger"] = SecretStr(values.get("ledger", ""))
    return Settings.model_construct(**values)


def toy_plan(*, name: str = "toy", levels: Iterable[float] = (0, 1, 2), seeds: int = 2, benchmarks: Iterable[str] = ("a", "b"),
             steps: int = 4, shared: bool = True, trouble: Mapping[float, str] | None = None, workers: int = 1) -> Plan:
    """Plan level x seed: one shared `pretrain`, an `sft` each, an `evaluate` for each benchmark."""
    levels = list(levels)
    arms = tuple(named_arm({PATH: level}) for level in levels)
    stages: dict[str, Stage] = {}
    trials = [_trial(stages, arm, seed, list(benchmarks), steps, shared, (trouble or {}).get(arm.levels[PATH], ""))
              for arm in arms for seed in range(seeds)]
    stages = {stage_id: stage._replace(workers=1 if stage.kind == "evaluate" else workers) for stage_id, stage in stages.items()}
    values = {"name": name, "question": "?", "recipe": "sft-ablation", "vary": {PATH: levels}, "seeds": seeds,
              "select": {"maximize": "mmbase"}}
    study = read_document(Study, ParsedYaml(f"{name}.yaml", values, {}))
    spec = {"study": values, "recipe": {"name": "toy"}, "scale": {"name": "toy", "steps": steps}}
    spec_hash = hashlib.sha256(json.dumps([spec, sorted((trouble or {}).items())], sort_keys=True).encode()).hexdigest()
    return Plan(study=study, scale="toy", spec=spec, spec_hash=spec_hash, arms=arms, baseline_key=arms[0].key,
                trials=tuple(trials), stages=stages, seed_enters="sft", missing_checkpoints=(), missing_data=(), notes=())


def _trial(stages: dict[str, Stage], arm: Arm, seed: int, benchmarks: list[str], steps: int, shared: bool, trouble: str) -> Trial:
    first = {"kind": "pretrain", "toy": {"steps": steps, "own": "" if shared else f"{arm.key} {seed}"}, "parent_id": None}
    ids = [_stage(stages, first, None, "pretrain")]
    own = {"kind": "sft", "toy": {"steps": steps, "level": arm.levels[PATH], "trouble": trouble}, "seed": seed, "parent_id": ids[0]}
    ids.append(_stage(stages, own, ids[0], f"sft {arm.name} seed {seed}"))
    for benchmark in benchmarks:
        asked = {"kind": "evaluate", "benchmark": benchmark, "toy": {}, "parent_id": ids[1]}
        ids.append(_stage(stages, asked, ids[1], f"{benchmark} {arm.name} seed {seed}"))
    return Trial(f"{arm.key}-s{seed}", arm.key, seed, tuple(ids), {"evaluate": {"benchmarks": benchmarks}})


def _stage(stages: dict[str, Stage], spec: dict[str, Any], parent_id: str | None, label: str) -> str:
    stage_id = toy_identity(spec)
    stages.setdefault(stage_id, Stage(stage_id, spec["kind"], spec, parent_id, label, 1.0, 1, len(stages)))
    return stage_id


def toy_identity(spec: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()


# ---- the work ----


def toy_execute(order: Order, report: Report = lambda _: None, should_stop: ShouldStop = lambda: False) -> dict[str, Any]:
    """Carry out an order as `worker.execute` does, with toy stages."""
    return run_attempt(order, TOY_STAGES, report=report, should_stop=should_stop, identify=toy_identity)


def _train(work: StageJob) -> dict[str, Any]:
    _note(work)
    toy, start = work.spec["toy"], 0.0
    if work.parent is not None:
        start = json.loads((work.parent / "number.json").read_text())
    number, first = _resume(work, start)
    for step in range(first, toy["steps"]):
        if should_stop_now(work, number, step):
            raise Stopped(f"at step {step}")
        _trouble(work, step)
        digest = hashlib.sha256(json.dumps([number, step, toy.get("level"), work.spec.get("seed")]).encode()).digest()
        number += int.from_bytes(digest[:4]) / 2**32
        work.report({"step": step + 1, "steps": toy["steps"], "loss": 1 / (1 + step)})
        if (step + 1) % 2 == 0:
            _keep(work, number, step + 1)
    manifest.publish(work.out, lambda folder: _dump(folder / "number.json", number))
    return {"loss": number, "samples": toy["steps"], "resumed_from": first}


def should_stop_now(work: StageJob, number: float, step: int) -> bool:
    if work.should_stop():
        _keep(work, number, step)
        return True
    return False


def _evaluate(work: StageJob) -> dict[str, Any]:
    _note(work)
    assert work.parent is not None
    number = json.loads((work.parent / "number.json").read_text())
    digest = hashlib.sha256(f"{work.spec['benchmark']} {number!r}".encode()).digest()
    score = 100 * int.from_bytes(digest[:4]) / 2**32
    manifest.publish(work.out, lambda folder: write_answers(folder / ITEMS, _answers(work.spec["benchmark"], score)))
    return {"benchmark": work.spec["benchmark"], "score": score, "score_lenient": score, "num_items": 10, "num_unparseable": 0,
            "is_complete": True, "tokens_per_image": 16.0, "seconds": 0.0}


def _answers(benchmark: str, score: float) -> list[Answer]:
    """Ten answers whose mean is the score."""
    items = [Item(item_id=f"{benchmark}/{number}", benchmark=benchmark, question="?", images=(), references=("r",), options=(),
                  meta={"image": str(number // 2)}) for number in range(10)]
    return [Answer(item, "said", ItemScore(score / 100, score / 100, "said")) for item in items]


TOY_STAGES: dict[str, Callable[[StageJob], dict[str, Any]]] = {"pretrain": _train, "sft": _train, "evaluate": _evaluate}


def _resume(work: StageJob, start: float) -> tuple[float, int]:
    found = sorted(work.checkpoints.glob("step_*"))
    if not found:
        return start, 0
    manifest.verify(found[-1])
    number, step = json.loads((found[-1] / "state.json").read_text())
    return number, step


def _keep(work: StageJob, number: float, step: int) -> None:
    folder = work.checkpoints / f"step_{step:08d}-{uuid.uuid4().hex[:8]}"
    manifest.publish(folder, lambda temporary: _dump(temporary / "state.json", [number, step]))


def _dump(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


def _note(work: StageJob) -> None:
    root = work.checkpoints.parents[3]
    with (root / EXECUTIONS).open("a") as file:
        file.write(f"{work.kind} {work.checkpoints.parent.name}\n")


def _trouble(work: StageJob, step: int) -> None:
    """Do as `toy.trouble` asks.

    `error`, `diverge`, `kill` (each time), `kill once`, `wait` (until asked to stop), `gate` (at step 2, until somebody opens
    it or asks to stop), `hang` (for ever, whoever asks), `memory` (more than the process may have).
    """
    trouble = work.spec["toy"].get("trouble", "")
    if trouble == "error":
        raise ValueError("trouble was asked for")
    if trouble == "diverge":
        raise Diverged("loss is nan", {"step": step})
    while trouble == "wait" and not work.should_stop():
        threading.Event().wait(0.01)
    gate = work.checkpoints.parents[3] / GATE
    while trouble == "gate" and step == 2 and not gate.exists() and not work.should_stop():
        threading.Event().wait(0.01)
    if trouble == "hang":
        threading.Event().wait()
    if trouble == "memory":
        resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30, resource.RLIM_INFINITY))
        bytearray(4 * 2**30)
    marker = work.checkpoints.parent / "killed"
    if trouble == "kill" or (trouble == "kill once" and step == 2 and not marker.exists()):
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)


# ---- looking at what came out ----


def table(engine: Engine, study_id: str) -> list[tuple[Any, ...]]:
    """Return what must not depend on faults: states and scores of all trials, to the last bit."""
    states = [(row.trial_key, row.state) for row in read.trials(engine, study_id)]
    scores = [(row.trial_key, row.benchmark, row.value, row.num_items, row.is_complete) for row in read.scores(engine, study_id)]
    return sorted(states) + sorted(scores)


def executions(settings: Settings) -> list[str]:
    """Return the kinds of the stage functions that ran, in order."""
    path = settings.artifacts / EXECUTIONS
    return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []
