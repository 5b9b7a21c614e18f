"""The plan of 1,000 arms, from the text of a study."""

import gc
import time

import pytest

from orchestrator.plan.plan import Planner
from orchestrator.study.study import load_study

pytestmark = pytest.mark.perf

STUDY = """
name: thousand
question: How long does a plan of 1,000 arms take?
recipe: sft-ablation
vary:
  sft.mixture.alpha.science: [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
  sft.mixture.alpha.math: [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
  sft.mixture.alpha.code: [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
seeds: 1
select: {maximize: mmbase, baseline: {sft.mixture.alpha.science: 0, sft.mixture.alpha.math: 0, sft.mixture.alpha.code: 0}}
"""


def test_plan_of_a_thousand_arms(tmp_path, measured):
    path = tmp_path / "thousand.yaml"
    path.write_text(STUDY)
    gc.collect()
    gc.freeze()  # what other benchmarks left here is not walked by the collector, as it is not in a process of its own
    start = time.process_time()
    plan = Planner(load_study(path), "tiny").plan()
    seconds = time.process_time() - start
    gc.unfreeze()
    assert len(plan.arms) == 1000
    measured("load and plan of 1,000 arms", seconds, "s", "<= 1")
