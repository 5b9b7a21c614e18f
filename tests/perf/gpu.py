"""All figures of a GPU in one table: `python -m tests.perf.gpu`, in under 20 minutes on an H100 or H200.

- It needs torch, transformers and Pillow, and nothing else of what Ablate installs but for two rows, which plan studies.
- First the machine: the rate of a product of 8192 x 8192; the hours of a suite at 3B by arithmetic; and what stages share: the state at
  a branching point, and the steps that plans save. Then the fine-tuning step of mm1.5-3b beside plain transformers modules; each lever
  of `SpeedConfig` is tried on top of those that paid, and stays if the step became faster. Then the steps of `small` and `tiny`, padded
  rows of any and of few lengths beside packed ones, and answers a second at `small`.
- Each row runs in a process of its own, so that a row which runs out of memory or lacks a kernel says so and the next one runs. What
  this machine cannot measure is a row that says why.
- At the end it prints which levers to switch on, and writes everything with date, device and versions to `tests/perf/results/`.
- `--small` tries the same rows on a model that a CPU holds; its figures mean nothing, and it writes no file unless told where. On a CPU
  what is compiled is traced and differentiated, and its kernels are left out. `--rows WORD` tries the rows that have the word.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
MINUTES = 20
PAYS = 1.005
"""A lever that makes a step this much faster stays on."""
ROW_S = 300
"""Seconds after which a row is given up."""


@dataclass(frozen=True)
class Row:
    """What one process measures."""

    what: str
    program: tuple[str, ...]
    """Arguments of the interpreter; empty for a row that this script cannot measure."""
    unit: str
    target: str = "-"
    why: str = ""
    """Why there is no program."""


@dataclass
class Table:
    """The rows that were run, with their figures or the reason why there are none."""

    deadline: float
    word: str = ""
    """Rows without it are not run."""
    rows: list[dict[str, Any]] = field(default_factory=list)

    def run(self, row: Row) -> dict[str, Any]:
        """Run a row and print it; return its figures, with `value`, or `why` where there is no value."""
        if row.why or self.word not in row.what:
            found: dict[str, Any] = {"why": f"not run: {row.why or 'left out by --rows'}"}
        elif time.monotonic() >= self.deadline:
            found = {"why": "not run: the time was over"}
        else:
            found = _figures(row.program)
        kept = {"what": row.what, "unit": row.unit, "target": row.target, **found}
        self.rows.append(kept)
        value = f"{found['value']:>10.4g} {row.unit:<10} target {row.target}" if "value" in found else f"{'-':>10} {found['why']}"
        more = ", ".join(f"{name} {each:.4g}" for name, each in found.items() if name != "value" and isinstance(each, float))
        print(f"{row.what:<72} {value}  {more}", flush=True)
        return kept


def _figures(program: tuple[str, ...]) -> dict[str, Any]:
    """Run a program and read the JSON on its last line."""
    try:
        done = subprocess.run([sys.executable, *program], cwd=HERE.parents[1], capture_output=True, text=True, check=False, timeout=ROW_S)
    except subprocess.TimeoutExpired:
        return {"why": f"given up after {ROW_S} s"}
    if done.returncode:
        return {"why": (done.stderr.strip().splitlines() or ["no message"])[-1][:160]}
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"value": figures.pop("samples_per_s"), **figures} if "samples_per_s" in figures else figures


# ---- the step of the large preset ----------------------------------------------------------------------------------


def step(what: str, preset: str, target: str = "-", **changes: Any) -> Row:
    """Return the row of our step of a preset, with changes to the stage of a dry run."""
    return Row(what, of("step", preset, **changes), "samples/s", target)


def of(kind: str, preset: str, **given: Any) -> tuple[str, ...]:
    """Return the arguments of the interpreter that measure a kind of row."""
    return "-m", "tests.perf.gpu_row", kind, preset, json.dumps(given)


LEVERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("compiled blocks", {"compile": True}),
    ("weights cast once", {"speed.cast_once": True}),
    ("fused optimizer", {"speed.fused_optimizer": True}),
    ("bf16 stream in the encoder", {"speed.vision_stream": "bf16"}),
    ("connector compiled", {"speed.compile_connector": True}),
    ("one pass of four samples", {"micro_batch": 0}),
    ("passes of at most 15 tiles", {"micro_batch": 0, "pass_tiles": 15}),
    ("attention by FlashAttention 2", {"speed.vision_attention": "flash"}),
    ("attention by cuDNN", {"speed.vision_attention": "cudnn"}),
    ("heads filled up to 128", {"speed.vision_attention": "padded"}),
)
"""Levers of the large step, in the order in which they are tried; of one field the later one replaces the earlier if it is faster."""


def large(table: Table, preset: str, *, memory_gib: float) -> dict[str, Any]:
    """Measure the rival and our step; return the changes that paid."""
    for way in ("recompute", "compiled"):
        table.run(Row(f"{preset}: transformers modules, {way}", (str(HERE / "rival_sft_step.py"), preset, way), "samples/s"))
    table.run(step(f"{preset}: all blocks recomputed, as the scale is", preset, recompute=True))
    # What weights, gradients and copies of 3.4 billion weights leave of the device, with some GiB for the allocator.
    budget = max(1.0, memory_gib - 40.0)
    chosen: dict[str, Any] = {"speed.activations_gib": budget}
    best = table.run(step(f"{preset}: blocks recomputed beyond {budget:.0f} GiB of activations", preset, **chosen)).get("value", 0.0)
    for name, change in LEVERS:
        value = table.run(step(f"{preset}: + {name}", preset, ">= 6.2 (H100), 6.6 (H200)", **chosen, **change)
                          if not change.keys() & chosen.keys() else
                          step(f"{preset}: {name} instead", preset, ">= 6.2 (H100), 6.6 (H200)", **{**chosen, **change})).get("value", 0.0)
        if value > best * PAYS:
            best, chosen = value, {**chosen, **change}
    table.run(Row(f"{preset}: times that a step waits for the device", of("waits", preset, **chosen), "waits", "1"))
    table.run(Row(f"{preset}: gradients summed after the last pass only", (), "samples/s",
                  why="it needs several GPUs; tests/model/training/test_parallel.py shows that the numbers are the same"))
    return chosen


# ---- the rest -------------------------------------------------------------------------------------------------------


def small_steps(preset: str, batch: int, target: str, dtype: str) -> Iterator[Row]:
    """Yield the rows of a small preset, which is bound by launches or by memory."""
    shared = {"batch": batch, "dtype": dtype}
    compiled = {**shared, "compile": True, "speed.compile_connector": True}
    yield step(f"{preset}, {batch} samples: as it is", preset, target, **shared)
    yield step(f"{preset}, {batch} samples: + fused optimizer", preset, target, **shared, **{"speed.fused_optimizer": True})
    yield step(f"{preset}, {batch} samples: + compiled blocks and connector", preset, target, **compiled, **{"speed.fused_optimizer": True})
    yield step(f"{preset}, {batch} samples: + CUDA graphs", preset, target, **compiled,
               **{"speed.fused_optimizer": True, "speed.cuda_graphs": True})


def rows_packed(preset: str, batch: int) -> Iterator[Row]:
    """Yield padded and packed rows of the same samples of mixed lengths."""
    kinds = (("padded to the longest", {"pack": 0, "round_length": 0}), ("padded to a multiple of 128", {"pack": 0, "round_length": 128}),
             ("packed", {"pack": 2048, "round_length": 0}))
    for name, kind in kinds:
        for compiled in (False, True):
            yield Row(f"{preset}, {batch} samples of mixed length, {name}{', compiled' if compiled else ''}",
                      of("lengths", preset, batch=batch, compile=compiled, **kind), "samples/s", "packed >= padded")


def answers(preset: str, items: int) -> Iterator[Row]:
    """Yield evaluations of made-up items, 18 on a picture as in POPE."""
    for name, changes in (("as it is", {}), ("pictures shared", {"share_images": True}),
                          ("shared, compiled", {"share_images": True, "compile": True})):
        yield Row(f"{preset}: {items} answers, {name}", of("answers", preset, items=items, **changes), "items/s")


def suite(preset: str) -> Iterator[Row]:
    """Yield the hours of a suite of 200,000 items by arithmetic, by how many items share a picture."""
    for share, target in ((1, "-"), (4, "<= 1.5")):
        yield Row(f"{preset}: a suite of 200,000 items, {share} a picture, by arithmetic", of("suite", preset, share=share), "H100-hours",
                  target)
    yield Row(f"{preset}: a second benchmark of a checkpoint by the same worker", (), "s",
              why="it needs a published checkpoint; tests/model/evaluation/test_stage.py shows that the model stays loaded")


def shared(preset: str) -> Iterator[Row]:
    """Yield what stages that share a trunk save, and what a branching point costs."""
    yield Row(f"{preset}: state at a branching point, written and read", of("state", preset), "s")
    for name, target in (("lengths", ">= 4.9"), ("campaign", ">= 2")):
        yield Row(f"steps asked for each step trained, {name}, by `ablate plan`", ("-m", "tests.perf.gpu_shared", name), "times", target)


def small() -> list[Row]:
    """Return the rows beside the large step."""
    return [*small_steps("small", 256, ">= 2,500", "bf16"), *small_steps("tiny", 1024, ">= 30,000", "bf16"), *rows_packed("small", 256),
            *answers("small", 3600)]


def smaller() -> list[Row]:
    """Return the same rows in shapes that a CPU holds."""
    return [*small_steps("tiny", 4, "-", "fp32"), *rows_packed("tiny", 4), *answers("tiny", 36)]


def machine() -> dict[str, Any]:
    """Return device and versions."""
    is_cuda = torch.cuda.is_available()
    return {"date": datetime.now(UTC).date().isoformat(), "device": torch.cuda.get_device_name() if is_cuda else "cpu",
            "driver_cuda": torch.version.cuda or "-",
            "versions": {name: metadata.version(name) for name in ("torch", "transformers", "numpy")}}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--small", action="store_true", help="try all rows on tiny shapes, on a CPU too")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="no row begins after so many minutes")
    parser.add_argument("--rows", default="", metavar="WORD", help="run only rows whose name has this")
    parser.add_argument("--out", type=Path, help="file to write; tests/perf/results/DATE-DEVICE.json by default")
    given = parser.parse_args(arguments)
    if not torch.cuda.is_available() and not given.small:
        parser.error("no CUDA device was found; --small tries the rows on a CPU")
    here, began = machine(), time.monotonic()
    print(json.dumps(here), flush=True)
    table = Table(began + 60 * given.minutes, given.rows)
    table.run(Row("product of two square matrices", of("product", ""), "TFLOP/s", "798 once on an H100"))
    for row in (*suite("mm1.5-3b"), *shared("tiny" if given.small else "small")):  # quick, and there whatever becomes of the rest
        table.run(row)
    memory = torch.cuda.get_device_properties(0).total_memory / 2**30 if torch.cuda.is_available() else 42.0
    chosen = large(table, "tiny" if given.small else "mm1.5-3b", memory_gib=memory)
    for row in smaller() if given.small else small():
        table.run(row)
    print("switch on:", ", ".join(f"{name}: {value}" for name, value in chosen.items()) or "nothing")
    out = given.out or (None if given.small else HERE / "results" / f"{here['date']}-{here['device'].replace(' ', '-').lower()}.json")
    if out:
        document = {**here, "is_small": given.small, "minutes": round((time.monotonic() - began) / 60, 1), "figures": table.rows,
                    "switch_on": chosen}
        out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
