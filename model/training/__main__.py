"""Train without the orchestrator: stages from a JSON file, or a few steps of a preset from random weights.

`python -m model.training FILE.json --out DIRECTORY`: the file holds `model` (preset name), `data`, `start` (directory
of a checkpoint, or null) and `stages`, each with `kind`, `seed` and `config`. A single stage may have these three at
the top level. If it was interrupted, the same command resumes from the last checkpoint. Several workers train it
together under `torchrun --nproc-per-node N -m model.training FILE.json --out DIRECTORY`.

`python -m model.training --preset mm1.5-3b --steps 20`: a dry run on random samples; nothing is saved. It prints loss,
samples/s, TFLOP/s, model-FLOP utilisation (if the device's peak is known) and peak memory. `--compile` compiles the
blocks first. `--compare` runs both ways and prints samples/s of each. The step of the scale `small` is
`--preset small --batch 64 --dtype bf16 --compare`.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from model.config.stages import PRESETS
from model.cost.flops import parameters
from model.training.dry_run import SAMPLES, rehearsal_config, rehearse
from model.training.loop import Diverged
from model.training.parallel import connect, disconnect
from model.training.recipe import make

LOG_EVERY = 25
"""Steps from one logged line of a stage to the next."""


FAILED, BAD_INPUT = 1, 2
"""Exit codes, the same as those of the command `ablate`."""


def main(arguments: list[str]) -> int:
    """Parse the arguments, then train the stages of a file or do a dry run of a preset; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m model.training", description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("stage", type=Path, nargs="?", help="JSON file of the stages")
    what.add_argument("--preset", choices=sorted(PRESETS), help="do a dry run of this model instead")
    parser.add_argument("--out", type=Path, help="directory to publish the last checkpoint as")
    parser.add_argument("--steps", type=int, default=20, help="optimizer steps of a dry run")
    parser.add_argument("--batch", type=int, default=SAMPLES, help="samples per step of a dry run")
    parser.add_argument("--dtype", choices=["fp32", "bf16"],
                        help="compute type of a dry run; by default fp32 for small presets and bf16 for large ones")
    parser.add_argument("--recompute", action="store_true", help="recompute blocks in the backward pass of a dry run")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--compile", action="store_true", help="compile the blocks of encoder and decoder in a dry run")
    how.add_argument("--compare", action="store_true", help="do the dry run twice, without and with compiled blocks")
    given = parser.parse_args(arguments)
    if (given.stage is None) != (given.out is None):
        parser.error("--out belongs to a stage file, and a stage file needs it")
    if given.preset and given.steps < 1:
        parser.error(f"--steps is {given.steps}; allowed: >= 1")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if given.preset and dist.is_torchelastic_launched():
        parser.error("a dry run has one process; torchrun is for stage files")
    connect()
    if dist.is_initialized() and dist.get_rank():  # the first worker speaks for all
        logging.getLogger().setLevel(logging.ERROR)
    try:
        result = _rehearse(given) if given.preset else make(json.loads(given.stage.read_text()), given.out, report=_log)
    except torch.OutOfMemoryError as error:
        logging.error("out of memory: %s\n"
                      "hint: --recompute, or a smaller --batch; for a stage a smaller micro_batch", error)
        return FAILED
    except (ValueError, OSError) as error:
        # `Diverged` is a ValueError too, but the result of a training and not a wrong input.
        logging.error("%s", error)
        return FAILED if isinstance(error, Diverged) else BAD_INPUT
    finally:
        disconnect()
    logging.info("done %s", json.dumps(result))
    return 0


def _rehearse(given: argparse.Namespace) -> dict[str, Any]:
    """Do a dry run of a preset once, or once without and once with compilation."""
    model = PRESETS[given.preset]
    config = rehearsal_config(model, steps=given.steps, batch=given.batch)
    config = replace(config, dtype=given.dtype or config.dtype, recompute=given.recompute)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu (no CUDA device)"
    logging.info("%s, %.1f M parameters, on %s: %d samples per step, %s", given.preset, parameters(model).total / 1e6,
                 device, config.batch, config.dtype)
    rates: dict[str, float] = {}
    result: dict[str, Any] = {}
    for is_compiled in (False, True) if given.compare else (given.compile,):
        reports: list[dict[str, Any]] = []

        # The default binds this iteration's list: a closure would look the name up later.
        def report(progress: dict[str, Any], kept: list[dict[str, Any]] = reports) -> None:
            _log_speed(progress)
            kept.append(progress)

        result = rehearse(model, replace(config, compile=is_compiled), report=report)
        # The rate of the last report: the first steps, which compile, have left its window.
        rates["compiled" if is_compiled else "plain"] = reports[-1]["samples_per_s"]
    if given.compare:
        logging.info("samples/s: %(plain).2f without compilation, %(compiled).2f with", rates)
    return {**result, "samples_per_s": rates}


def _log(progress: dict[str, Any]) -> None:
    if "corrupt" in progress:
        logging.warning("checkpoint skipped: %s", progress["corrupt"])
    elif progress["step"] % LOG_EVERY == 0:
        logging.info("step %(step)d/%(steps)d loss %(loss).4f lr %(lr).2e %(samples_per_s).0f samples/s", progress)


def _log_speed(progress: dict[str, Any]) -> None:
    utilisation = f"MFU {progress['mfu']:.3f}" if "mfu" in progress else "MFU unknown for this device"
    logging.info("step %(step)d/%(steps)d loss %(loss).4f %(samples_per_s).2f samples/s %(tflops_per_s).3f TFLOP/s "
                 "peak %(peak_memory_gib).2f GiB " + utilisation, progress)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
