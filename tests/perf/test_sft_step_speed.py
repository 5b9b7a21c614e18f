"""The fine-tuning step beside plain transformers modules: mm1.5-3b on a GPU, the same programs on `tiny` without one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = [pytest.mark.perf, pytest.mark.timeout(3600)]

HERE = Path(__file__).parent
PRESET = "mm1.5-3b" if torch.cuda.is_available() else "tiny"
TARGETS = {"mm1.5-3b": (">= 6.2", ">= 475"), "tiny": ("-", "-")}  # 0.48 of an H100's 989 TFLOP/s


def figures(*command: str) -> dict[str, float] | None:
    """Run a program and read the JSON on its last line; None where the device's memory does not hold it."""
    done = subprocess.run([sys.executable, *command], cwd=HERE.parents[1], capture_output=True, text=True, check=False)
    if "OutOfMemoryError" in done.stderr:
        return None
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_samples_per_second(measured):
    ours = figures("-m", "tests.perf.ours_sft_step", PRESET, "compiled")
    assert ours is not None, "the device does not hold our step"
    plain = figures("-m", "tests.perf.ours_sft_step", PRESET, "plain")
    rivals = {way: figures(str(HERE / "rival_sft_step.py"), PRESET, way) for way in ("recompute", "compiled")}
    beside = {f"transformers modules, {way}": found["samples_per_s"] for way, found in rivals.items() if found}
    beside |= {"ours, blocks as they are": plain["samples_per_s"]} if plain else {}
    fast, busy = TARGETS[PRESET]
    what = f"{PRESET} step on {ours['device']}, blocks compiled"
    measured(what, ours["samples_per_s"], "samples/s", fast, beside)
    measured(f"{PRESET} step: model FLOPs", ours["tflops_per_s"], "TFLOP/s", busy)
    measured(f"{PRESET} step: peak memory", ours["peak_memory_gib"], "GiB", "<= 80",
             {f"transformers modules, {way}": found["peak_memory_gib"] for way, found in rivals.items() if found})


@pytest.mark.parametrize(("preset", "batch", "dtype"), [("small", "64", "bf16"), ("tiny", "16", "fp32")] if torch.cuda.is_available()
                         else [("tiny", "16", "fp32")])
def test_small_presets_before_and_after_compilation(measured, preset, batch, dtype):
    """They are bound by launches on a GPU; a step of the size that their scale has."""
    plain, compiled = (figures("-m", "tests.perf.ours_sft_step", preset, blocks, batch, dtype) for blocks in ("plain", "compiled"))
    assert plain
    assert compiled
    measured(f"{preset} step of {batch} samples on {compiled['device']}, blocks compiled", compiled["samples_per_s"], "samples/s", "-",
             {"blocks as they are": plain["samples_per_s"]})
