"""Steps that trials ask for, for each that is trained, as `ablate plan` counts them: `python -m tests.perf.gpu_shared lengths|campaign`.

- `lengths`: 12 lengths by 3 decays of one stage whose schedule has branching points, in the manner of Hippo's studies (VLDB 2022), which
  saved 4.81 times the GPU-hours of one study.
- `campaign`: all designed studies of `studies/mm15` at mm1.5-3b, of which one trains what another one needs too.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from model.config.stages import TRAINING
from orchestrator.errors import OrchestratorError
from orchestrator.plan.plan import Plan, Planner
from orchestrator.study.study import load_study

STUDIES = Path(__file__).parents[2] / "studies"
LENGTHS = """
name: lengths-and-decays
question: How long to train, and how much of it to decay?
recipe: sft-ablation
vary: {sft.steps: [1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10000, 11000, 12000], sft.decay_steps: [100, 200, 400]}
set: {sft.schedule: wsd, sft.branch_every: 100, sft.warmup_steps: 100}
seeds: 1
"""


def lengths() -> dict[str, float]:
    """Count the steps of one study."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "lengths-and-decays.yaml"
        path.write_text(LENGTHS, encoding="utf-8")
        return figures([Planner(load_study(path), "tiny").plan()])


def campaign() -> dict[str, float]:
    """Count the steps of all studies that can be planned before others have a verdict."""
    plans, later = [], 0
    for path in sorted((STUDIES / "mm15").glob("*.yaml")):
        try:
            plans.append(Planner(load_study(path), "mm1.5-3b").plan())
        except OrchestratorError:
            later += 1
    return {**figures(plans), "studies": float(len(plans)), "studies_left_out": float(later)}


def figures(plans: list[Plan]) -> dict[str, float]:
    """Return the steps of all trials, and those of the stages without repetition."""
    asked = sum(plan.steps[0] for plan in plans)
    stages = {stage_id: stage.spec["config"] for plan in plans for stage_id, stage in plan.stages.items() if stage.kind in TRAINING}
    trained = sum(config["steps"] - config.get("begin", 0) for config in stages.values())
    return {"value": asked / trained, "steps_asked": float(asked), "steps_trained": float(trained)}


if __name__ == "__main__":
    print(json.dumps({"lengths": lengths, "campaign": campaign}[sys.argv[1]]()))
