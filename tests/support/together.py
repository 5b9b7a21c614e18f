"""A short real study at `tiny` whose training stage several workers share, and looks at their processes from outside."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from orchestrator.artifacts import store
from orchestrator.plan.plan import Plan, Planner
from orchestrator.study.documents import load_scale
from orchestrator.study.study import load_study

WAIT_S = 600.0
STEPS = 24
STUDY = """
name: together
question: Does it matter how many train?
recipe: sft-ablation
set:
  sft.images: {mode: single, tile: low}
  evaluate.images: {mode: single, tile: low}
vary: {sft.mixture.alpha.science: [0.5]}
seeds: 1
evaluate: {benchmarks: [science-names]}
select: {maximize: science-names}
"""
_OF_GROUPS = ("ray::Group", "ray::TrainController", "ray::SynchronizationActor", "ray::RayTrainWorker", "ray::execute")
T = TypeVar("T")


def plan_of(folder: Path, *, workers: int) -> Plan:
    """Plan the study, cut short, by so many workers; several keep a checkpoint at every step."""
    (folder / "together.yaml").write_text(STUDY.lstrip())
    scale = load_scale("tiny")
    train = {**scale.train, "steps": STEPS, "batch": 4, "checkpoint_every": 1 if workers > 1 else STEPS}
    changed = {"train": train, "evaluate": {**scale.evaluate, "num_items": 8},
               "resources": scale.resources.model_copy(update={"workers": workers})}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestrator.plan.plan.load_scale", lambda _: scale.model_copy(update=changed))
        return Planner(load_study(folder / "together.yaml"), "tiny").plan()


def order_of(plan: Plan, root: Path, attempt_no: int = 1, *, workers: int) -> dict[str, Any]:
    """Make an order for the training stage, as the driver does."""
    stage, = [each for each in plan.stages.values() if each.kind == "sft"]
    folder = root / str(attempt_no)
    return {"attempt_id": f"a{attempt_no}", "attempt_no": attempt_no, "stage_id": stage.stage_id, "kind": "sft", "label": "x",
            "workers": workers, "spec": json.loads(json.dumps(stage.spec)), "parent": str(store.packaged("tiny")),
            "attempt_dir": str(folder), "out": str(folder / "out"), "checkpoints": str(root / "checkpoints"), "no_progress_s": WAIT_S}


def until(condition: Callable[[], T]) -> T:
    """Wait for something that other processes do; return it."""
    deadline = time.monotonic() + WAIT_S
    while not (found := condition()):
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)
    return found


def steps_of(attempt_dir: str | Path) -> list[int]:
    """Return the steps that an attempt reported so far."""
    path = Path(attempt_dir, "progress.jsonl")
    lines = path.read_text().splitlines() if path.exists() else []
    return [report["step"] for report in map(json.loads, lines) if "step" in report]


def of_groups() -> list[psutil.Process]:
    """Return the processes below this one that belong to groups of workers."""
    return [each for each in psutil.Process().children(recursive=True) if _name(each).startswith(_OF_GROUPS)]


def workers() -> list[psutil.Process]:
    """Return the processes below this one that train together."""
    return [each for each in of_groups() if _name(each).startswith(_OF_GROUPS[-2:])]


def _name(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return "".join(process.cmdline()[:1])
    return ""
