"""Train the same stage alone, or in processes that gloo connects: what the tests of several workers compare."""

import json
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from model.config.stages import PRESETS, Alpha, DataConfig, ImageConfig, ModelConfig, SftConfig, SftMixture
from model.training import loop
from model.training.stage import train_stage

CONFIG = SftConfig(images=ImageConfig(mode="single", tile=64, tokens=4), mixture=SftMixture(alpha=Alpha(general=1, science=0.5)),
                   steps=3, batch=4, lr=1e-3, warmup_steps=1, max_tokens=512)
SAVED = replace(CONFIG, checkpoint_every=1)
_TINY = PRESETS["tiny"]
DENSE = replace(_TINY, vision=replace(_TINY.vision, layers=1), decoder=replace(_TINY.decoder, layers=2))
MOE = replace(DENSE, decoder=replace(DENSE.decoder, experts=4, mlp_width=64))
KILLED = "killed"
"""The case of this name loses its last worker in the third step."""

Cases = Mapping[str, tuple[ModelConfig, SftConfig]]


def train_alone(folder: Path, model: ModelConfig, config: SftConfig, *, stop_after: int = 1000) -> None:
    """Train in this process, until `stop_after` steps are done; every report lies in `reports.jsonl`."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = iter(range(1000))

    def report(progress: dict[str, Any]) -> None:
        if dist.is_initialized() and dist.get_rank():
            return
        with (folder / "reports.jsonl").open("a") as file:
            file.write(json.dumps(progress) + "\n")

    with suppress(loop.Stopped):
        result = train_stage(config=config, model_config=model, data=DataConfig(), seed=0, start=None,
                             checkpoints=folder / "checkpoints", out=folder / "out", report=report,
                             should_stop=lambda: next(asked) >= stop_after)
        (folder / "result.json").write_text(json.dumps(result))


def train_together(folder: Path, cases: Cases, *, size: int = 2) -> None:
    """Train each case in `size` processes, one case after the other; the case that loses a worker must be the last."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        mp.spawn(_worker, (size, str(folder), dict(cases)), nprocs=size)
    except (mp.ProcessExitedException, mp.ProcessRaisedException):
        if not (folder / KILLED).exists():
            raise


def _worker(rank: int, size: int, folder: str, cases: Cases) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", store=dist.FileStore(f"{folder}/store", size), rank=rank, world_size=size)
    torch.set_num_threads(1)
    for name, (model, config) in cases.items():
        if name == KILLED and rank == size - 1:
            _die_in_third_step()
        train_alone(Path(folder) / name, model, config)
    dist.destroy_process_group()


def _die_in_third_step() -> None:
    work, steps = loop.gradients, iter(range(1000))

    def gradients(*given: Any, **named: Any) -> Any:
        if next(steps) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return work(*given, **named)

    loop.gradients = gradients
