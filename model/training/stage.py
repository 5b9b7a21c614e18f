"""One training stage, from its configuration to the published checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from model.config.stages import DataConfig, ModelConfig, StageConfig
from model.data.encoding import Encoder
from model.data.loader import Loader, Steps
from model.data.mixture import MixtureDraw, stage_shares
from model.data.sampler import SampleSource, sample_source
from model.data.tokenizer import load_tokenizer
from model.hf.saving import save_whole
from model.manifest import publish, verify
from model.network.mm15 import MM15
from model.seeds import stream_seed
from model.training.compilation import prepare
from model.training.loop import Report, StepOf, train
from model.training.parallel import full_model, init_workers, shard
from model.training.tally import Tally

STATE = "state"
"""Folder of a published checkpoint at a branching point: what training needs to go on from there."""


def train_stage(*, config: StageConfig, model_config: ModelConfig, data: DataConfig, seed: int, start: Path | None,
                checkpoints: Path, out: Path, report: Report, should_stop: Callable[[], bool]) -> dict[str, Any]:
    """Train one stage and publish its checkpoint as the directory `out`. Every worker must call this.

    Args:
        config: the stage, with mixture and image settings.
        model_config: shapes of the model; they must equal those of `start`, except for the tile side.
        data: where samples come from.
        seed: seed of the initial weights and of the order of samples.
        start: published checkpoint to begin with, which is verified first; None begins from random weights. If the stage
            begins at a branching point, the checkpoint that was published there.
        checkpoints: folder of checkpoints to resume from; the caller removes it once the result is safe.
        out: directory to publish: weights, configuration and processor in transformers' format, and a manifest.
        report: called at every worker after every step, with the same progress.
        should_stop: called at the first worker before every step.

    Returns:
        the result of `train`, the samples of each category, and for each source its expected and its actual samples.

    Raises:
        ValueError: the start checkpoint does not fit the configuration.
        CorruptDirectory: the start checkpoint is damaged.
        Diverged, Stopped: see `train`.
    """
    torch.set_num_threads(config.threads)
    model = _model(model_config, start, tile=config.images.tile, seed=0 if config.seed_varies == "data" else seed)
    seed = 0 if config.seed_varies == "init" else seed  # from here on it draws samples
    tokenizer = load_tokenizer(start)
    encoder = Encoder(tokenizer, config.images, max_tokens=config.max_tokens)
    workers = init_workers()
    prepare(model, config)
    shard(model, workers, config)
    samples = sample_source(data, stage_shares(config), seed=seed, orientation=config.images.orientation,
                            weights=config.data_sets)
    tally = Tally(samples.most_broken())
    steps = Steps(config=config, data=data, encoder=encoder, seed=seed, part=(workers.rank, workers.size))
    with _prepared(steps, samples) as step_of:
        result = train(model, step_of, config, folder=checkpoints, report=report,
                       should_stop=should_stop, tally=tally, workers=workers,
                       trunk=start / STATE if start and config.begin else None)
    whole = full_model(model, workers)

    def write(directory: Path) -> None:
        save_whole(directory, whole, tokenizer, config.images, max_tokens=config.max_tokens)
        if config.keeps_state:
            newest = max(checkpoints.glob("step_*"))  # names sort by step, and the last step was the latest
            shutil.copytree(newest, directory / STATE / newest.name)

    meta = {"stage": config.kind, "steps": config.steps, "torch": torch.__version__, "workers": workers.size}
    identity = workers.run_first(lambda: publish(out, write, meta=meta))
    sources = tally.report(samples.asked(_asked(config)), samples.sizes())
    return {**result, "drawn": counts_by_category(config, seed), "sources": sources, "checkpoint_identity": identity,
            "workers": workers.size}


def counts_by_category(config: StageConfig, seed: int) -> dict[str, int]:
    """Count the samples of each category over the steps of the stage, without those before its branching point."""
    draw = MixtureDraw.of(config, seed=seed)
    before, drawn = draw.counts(config.begin), draw.counts(config.steps)
    return {category: drawn[category] - before.get(category, 0) for category in stage_shares(config)}


def _asked(config: StageConfig) -> dict[str, float]:
    samples = (config.steps - config.begin) * config.batch
    return {category: share * samples for category, share in stage_shares(config).items()}


def _model(model_config: ModelConfig, start: Path | None, *, tile: int, seed: int) -> MM15:
    if start is None:
        torch.manual_seed(stream_seed(seed, "init"))
        return MM15(replace(model_config, vision=replace(model_config.vision, tile=tile)))
    verify(start)
    model = MM15.from_pretrained(start, tile=tile)
    wanted = replace(model_config, vision=replace(model_config.vision, tile=tile))
    if model.config != wanted:
        raise ValueError(f"{start}: the checkpoint holds {model.config}, the stage asks for {wanted}")
    return model


@contextmanager
def _prepared(steps: Steps, samples: SampleSource) -> Iterator[StepOf]:
    """Yield the function that prepares each step: in this process, or in loader processes that end with the block."""
    if not steps.config.loaders:
        yield steps.opened(samples)
        return
    loader = Loader(steps, loaders=steps.config.loaders)
    try:
        yield loader
    finally:
        loader.close()
