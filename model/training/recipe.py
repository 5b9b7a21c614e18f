"""Stages one after the other from one JSON file: how a packaged checkpoint is made, and made again.

- A file of several stages has `model` (preset), `data`, `start` and `stages`, each with `kind`, `seed` and `config`;
  each stage starts from the checkpoint of the one before. A file of one stage has these three at the top level.
- If a call was interrupted, the same call continues: finished stages are not trained again, and an unfinished one
  resumes from its last checkpoint. Both lie beside the result under the hash of everything that determines them, so a
  file that was changed starts anew.
- The README beside the result has the file, samples, time and machine; it is not part of the checkpoint's identity.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from model.config.fields import build, did_you_mean
from model.config.stages import (
    PRESETS,
    TRAINING,
    DataConfig,
    ModelConfig,
    StageConfig,
)
from model.manifest import MANIFEST, README
from model.training.loop import Report
from model.training.parallel import init_workers
from model.training.stage import train_stage

SHARED, OWN = ("model", "data", "start"), ("kind", "seed", "config")
"""What a file says once, and of each stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A stage of the file."""

    config: StageConfig
    seed: int
    digest: str
    """Of everything that determines what it publishes: the file up to and with this stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The stages of a file, in order."""

    model: ModelConfig
    data: DataConfig
    start: Path | None
    stages: tuple[Planned, ...]


def read(plain: Mapping[str, Any]) -> Recipe:
    """Read the plain values of a file.

    Raises:
        ValueError: something is missing, unknown, or cannot work; the message says what and where.
    """
    _require(plain, SHARED, "the stage file")
    given = plain.get("stages") or [{name: value for name, value in plain.items() if name not in SHARED}]
    for number, stage in enumerate(given, 1):
        _require(stage, OWN, f"stage {number} of the file" if len(given) > 1 else "the stage file")
        _known("kind", stage["kind"], TRAINING)
    _known("model", plain["model"], PRESETS)
    shared = {name: plain[name] for name in SHARED}
    stages = tuple(Planned(config=build(TRAINING[stage["kind"]], stage["config"], stage["kind"]), seed=stage["seed"],
                           digest=_digest([shared, *given[:number]])) for number, stage in enumerate(given, 1))
    return Recipe(model=PRESETS[plain["model"]], data=build(DataConfig, plain["data"], "data"),
                  start=Path(plain["start"]) if plain["start"] else None, stages=stages)


def make(plain: Mapping[str, Any], out: Path, *, report: Report) -> dict[str, Any]:
    """Train the stages of a file and publish what the last one makes as the directory `out`.

    Args:
        plain: values of the file.
        out: must not exist, unless an interrupted call of the same file made it.
        report: told every step.

    Returns:
        what `train_stage` says of the last stage.

    Raises:
        ValueError: the file cannot be used, or something else stands at `out`.
    """
    recipe, work = read(plain), out.with_name(f"{out.name}.stages")
    # The first worker looks and decides for all: what is there may change while the others look.
    workers = init_workers()
    if workers.broadcast(out.exists() and not _record(work, recipe.stages[-1]).exists()):
        raise ValueError(f"{out}: exists already; allowed: a directory that is not there")
    start, results = recipe.start, list[dict[str, Any]]()
    for stage in recipe.stages:
        end = out if stage is recipe.stages[-1] else work / stage.digest
        results.append(_trained(recipe, stage, start, end, work, report))
        start = end

    def finish() -> None:
        (out / README).write_text(readme(plain, recipe, results), encoding="utf-8")
        shutil.rmtree(work)

    workers.run_first(finish)
    return results[-1]


def _trained(recipe: Recipe, stage: Planned, start: Path | None, end: Path, work: Path,
             report: Report) -> dict[str, Any]:
    """Return the result of a stage; train the stage if it is not finished."""
    record, workers = _record(work, stage), init_workers()
    is_finished = record.exists() and (end / MANIFEST).exists()
    found: dict[str, Any] | None = workers.broadcast(json.loads(record.read_text(encoding="utf-8")) if is_finished else None)
    if found is not None:
        return found
    result = train_stage(config=stage.config, model_config=recipe.model, data=recipe.data, seed=stage.seed,
                         start=start, out=end, checkpoints=work / f"{stage.digest}.checkpoints", report=report,
                         should_stop=lambda: False)

    def keep() -> None:
        work.mkdir(parents=True, exist_ok=True)  # a stage too short for a checkpoint has not made it
        temporary = record.with_suffix(".tmp")
        temporary.write_text(json.dumps(result), encoding="utf-8")
        os.replace(temporary, record)

    workers.run_first(keep)
    return result


def readme(plain: Mapping[str, Any], recipe: Recipe, results: list[dict[str, Any]]) -> str:
    """Return a text that says how a checkpoint was made."""
    rows = [f"| {number} | {stage.config.kind} | {stage.config.steps} x {stage.config.batch} | {result['loss']:.3f} "
            f"| {_time(result)} |"
            for number, (stage, result) in enumerate(zip(recipe.stages, results, strict=True), 1)]
    return "\n".join((
        f"# A start checkpoint of the preset `{plain['model']}`", "",
        "Made by `python -m model.training FILE --out DIRECTORY` from the file below; "
        "the same file on the same kind of processor,",
        "with the same torch and as many threads, makes the same bytes.", "",
        f"Machine: {processor()}; torch {torch.__version__}, transformers {version('transformers')}, "
        f"Python {platform.python_version()}.", "",
        "| stage | kind | steps x samples | loss of the last step | time |", "|---|---|---|---|---|", *rows, "",
        f"Identity of the content: `{results[-1]['checkpoint_identity']}`", "",
        "```json", json.dumps(plain, indent=1), "```", ""))


def processor() -> str:
    """Return the processor's name, as the system gives it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} cores" if names else platform.processor() or platform.machine()


def _time(result: Mapping[str, Any]) -> str:
    minutes = f"{result['seconds'] / 60:.0f} min"
    return f"{minutes} after step {result['resumed_from']}" if result["resumed_from"] else minutes


def _record(work: Path, stage: Planned) -> Path:
    return work / f"{stage.digest}.json"


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _require(plain: Mapping[str, Any], names: tuple[str, ...], what: str) -> None:
    missing = sorted(set(names) - plain.keys())
    if missing:
        raise ValueError(f"{what} has no {', '.join(missing)}")


def _known(name: str, value: str, known: Mapping[str, Any]) -> None:
    if value not in known:
        raise ValueError(f"{name} is {value!r}; {did_you_mean(str(value), known)}")
