"""Train without the orchestrator: one stage from a JSON file, or a few steps of a preset from random weights.

`python -m model.training STAGE.json --out DIRECTORY`: the file holds `kind`, `model` (preset name), `config`, `data`, `seed` and
`start` (a checkpoint directory, or null). Interrupted, the same command goes on from its last checkpoint.

`python -m model.training --preset mm1.5-3b --steps 20`: made-up samples, nothing is kept; says loss, samples/s, TFLOP/s,
model-FLOP utilisation where the device's peak is known, and peak memory. `--compile` compiles the blocks first.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
from pathlib import Path
from typing import Any

from model.config import PRESETS, ContinualConfig, DataConfig, PretrainConfig, SftConfig
from model.plain import build
from model.training.rehearsal import rehearsal_config, rehearse
from model.training.stage import StageConfig, train_stage

KINDS: dict[str, type[StageConfig]] = {config.kind: config for config in (PretrainConfig, ContinualConfig, SftConfig)}
LOG_EVERY = 25


def main(arguments: list[str]) -> None:
    """Parse, then train the stage of a file or rehearse a preset."""
    parser = argparse.ArgumentParser(prog="python -m model.training", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("stage", type=Path, nargs="?", help="JSON file of the stage")
    what.add_argument("--preset", choices=sorted(PRESETS), help="rehearse this model instead")
    parser.add_argument("--out", type=Path, help="directory to publish the checkpoint of a stage as")
    parser.add_argument("--steps", type=int, default=20, help="optimiser steps of a rehearsal")
    parser.add_argument("--compile", action="store_true", help="compile the blocks of encoder and decoder in a rehearsal")
    given = parser.parse_args(arguments)
    if (given.stage is None) != (given.out is None):
        parser.error("--out belongs to a stage file, and a stage file needs it")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if given.preset:
        model = PRESETS[given.preset]
        result = rehearse(model, rehearsal_config(model, steps=given.steps, compile_blocks=given.compile), report=_log_speed)
    else:
        result = _train(json.loads(given.stage.read_text()), given.out)
    logging.info("done %s", json.dumps(result))


def _train(plain: dict[str, Any], out: Path) -> dict[str, Any]:
    """Train the stage of a file; log a line every 25 steps."""
    checkpoints = out.with_name(f"{out.name}.checkpoints")
    result = train_stage(
        config=build(KINDS[plain["kind"]], plain["config"], plain["kind"]), model_config=PRESETS[plain["model"]],
        data=build(DataConfig, plain["data"], "data"), seed=plain["seed"], start=Path(plain["start"]) if plain["start"] else None,
        checkpoints=checkpoints, out=out, report=_log, should_stop=lambda: False,
    )
    shutil.rmtree(checkpoints, ignore_errors=True)
    return result


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
    main(sys.argv[1:])
