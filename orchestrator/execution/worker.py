"""Execute one attempt of one stage inside a worker process. Only this module imports the torch part of `model`.

- Executors call `execute`; everything around the stage itself is in `attempt.py`.
- Exceptions of torch and of `model` are mapped to those of `orchestrator.errors`: divergence is a result, a stop is not
  a failure, and the message of an out-of-memory error names the settings that help.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from model.config.fields import build
from model.config.stages import TRAINING, DataConfig, ModelConfig
from model.data.fingerprint import data_fingerprint
from model.data.mixture import stage_shares
from model.evaluation.judge.endpoint import Endpoint
from model.evaluation.local_copies.fingerprint import copy_fingerprint
from model.evaluation.opened import let_go
from model.evaluation.stage import EvaluationInputs, evaluate_stage
from model.training import loop
from model.training.stage import train_stage
from orchestrator.errors import Diverged, LostWorker, NoResources, Stopped
from orchestrator.execution.attempt import Order, Report, ShouldStop, StageFunction, StageJob, run_attempt
from orchestrator.execution.environment import environment
from orchestrator.plan.identity import CONFIGS


def execute(order: Order, report: Report = lambda _: None, should_stop: ShouldStop = lambda: False) -> dict[str, Any]:
    """Execute an order and return its result record; see `run_attempt`."""
    try:
        return run_attempt(order, STAGES, report=report, should_stop=should_stop)
    finally:
        release()


def release() -> None:
    """Free the memory of an attempt, because the process stays alive and executes the next one."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _train(work: StageJob) -> dict[str, Any]:
    spec = work.spec
    config, data = build(CONFIGS[work.kind], spec["config"], "config"), build(DataConfig, spec["data"], "data")
    _check_data(data, config, spec["data_fingerprint"])
    let_go()  # a model that waits for its next benchmark would take the memory of the training
    with _map_torch_errors():
        result = train_stage(
            config=config, model_config=build(ModelConfig, spec["model"], "model"), data=data,
            seed=spec["seed"], start=work.parent, checkpoints=work.checkpoints, out=work.out, report=work.report,
            should_stop=work.should_stop)
    return {**result, "environment": _environment()}


def _environment() -> dict[str, str]:
    return environment(torch.cuda.get_device_name() if torch.cuda.is_available() else "")


def _evaluate(work: StageJob) -> dict[str, Any]:
    if work.parent is None:
        raise ValueError("evaluate needs a checkpoint; its stage has no parent")
    spec = work.spec
    data = build(DataConfig, spec["data"], "data")
    with _map_torch_errors():
        result = evaluate_stage(
            benchmark=spec["benchmark"], config=build(CONFIGS["evaluate"], spec["config"], "config"), data=data,
            checkpoint=work.parent, out=work.out, report=work.report, should_stop=work.should_stop,
            resources=EvaluationInputs(local=_copy(data, spec), endpoint=_endpoint(work.judge), kept=work.checkpoints))
    return {**result, "environment": _environment()}


def _copy(data: DataConfig, spec: Mapping[str, Any]) -> Path | None:
    """Return the folder of the benchmark's local copy; None if it reads none.

    Raises:
        ValueError: the files changed since the stage was planned.
    """
    if data.catalogue is None or not data.catalogue.benchmarks:
        return None
    fingerprint = copy_fingerprint(data.catalogue, spec["benchmark"])
    if fingerprint != spec["data_fingerprint"]:
        raise ValueError(f"the copy of {spec['benchmark']} has the fingerprint {fingerprint[:12]}…, the stage was "
                         f"planned on {spec['data_fingerprint'][:12]}…\nhint: files changed; submit the study again "
                         "with --update")
    return data.catalogue.copy_of(spec["benchmark"])


def _endpoint(judge: Mapping[str, str | None] | None) -> Endpoint | None:
    if judge is None or not judge["url"]:
        return None
    key_file, cache = (Path(path) if path else None for path in (judge["key_file"], judge["cache"]))
    return Endpoint(url=judge["url"], key_file=key_file, cache=cache)


def _check_data(data: DataConfig, config: Any, expected: str) -> None:
    """Refuse to train on files that changed since the stage was planned: its identity contains their fingerprint."""
    if data.catalogue is None:
        return
    fingerprint = data_fingerprint(data, stage_shares(config))
    if fingerprint != expected:
        raise ValueError(f"the data sets of catalogue {data.catalogue.name!r} have the fingerprint "
                         f"{fingerprint[:12]}…, the stage was planned on {expected[:12]}…\n"
                         "hint: files changed; submit the study again with --update")


@contextmanager
def _map_torch_errors() -> Iterator[None]:
    try:
        yield
    except loop.Diverged as error:
        raise Diverged(str(error), error.record) from error
    except loop.Stopped as error:
        raise Stopped(str(error)) from error
    except torch.OutOfMemoryError as error:
        raise NoResources(f"{error}\nhint: a smaller micro_batch (training) or batch (evaluate) needs less memory and "
                          "gives the same result", is_certain=True) from error
    except RuntimeError as error:  # raised in the survivors' collectives when another worker of the stage dies
        if _is_of_others(error):
            raise LostWorker(f"another worker of the stage died: {error}") from error
        raise


def _is_of_others(error: RuntimeError) -> bool:
    """Return whether communication between workers failed. gloo has no error class, so its message decides."""
    return isinstance(error, torch.distributed.DistError) or "gloo/transport" in str(error)


STAGES: Mapping[str, StageFunction] = {**dict.fromkeys(TRAINING, _train), "evaluate": _evaluate}
"""Kind of stage -> the function that executes it."""
