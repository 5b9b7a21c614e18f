"""Train one stage from a JSON file, without the orchestrator: `python -m model.training STAGE.json --out DIRECTORY`.

The file holds `kind`, `model` (preset name), `config`, `data`, `seed` and `start` (a checkpoint directory, or null).
Interrupted, the same command goes on from its last checkpoint.
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
from model.training.stage import StageConfig, train_stage

KINDS: dict[str, type[StageConfig]] = {config.kind: config for config in (PretrainConfig, ContinualConfig, SftConfig)}
LOG_EVERY = 25


def main(arguments: list[str]) -> None:
    """Parse, train, log a line every 25 steps."""
    parser = argparse.ArgumentParser(prog="python -m model.training", description=__doc__)
    parser.add_argument("stage", type=Path, help="JSON file of the stage")
    parser.add_argument("--out", type=Path, required=True, help="directory to publish the checkpoint as")
    given = parser.parse_args(arguments)
    plain = json.loads(given.stage.read_text())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    checkpoints = given.out.with_name(f"{given.out.name}.checkpoints")
    result = train_stage(
        config=build(KINDS[plain["kind"]], plain["config"], plain["kind"]), model_config=PRESETS[plain["model"]],
        data=build(DataConfig, plain["data"], "data"), seed=plain["seed"], start=Path(plain["start"]) if plain["start"] else None,
        checkpoints=checkpoints, out=given.out, report=_log, should_stop=lambda: False,
    )
    shutil.rmtree(checkpoints, ignore_errors=True)
    logging.info("done %s", json.dumps(result))


def _log(progress: dict[str, Any]) -> None:
    if "corrupt" in progress:
        logging.warning("checkpoint skipped: %s", progress["corrupt"])
    elif progress["step"] % LOG_EVERY == 0:
        logging.info("step %(step)d/%(steps)d loss %(loss).4f lr %(lr).2e %(samples_per_s).0f samples/s", progress)


if __name__ == "__main__":
    main(sys.argv[1:])
