"""One evaluation stage: a checkpoint answers one benchmark by greedy decoding, and every answer is stored.

- Nothing is random, so an evaluation has no seed.
- Whatever can be refused is refused before the model is loaded: missing data, missing instructions for the judge, a
  judge without an endpoint.
- The directory of answers is published last, so a directory that exists is complete.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from model.config.benchmark import Benchmark
from model.config.fields import did_you_mean
from model.config.stages import DataConfig, EvaluateConfig
from model.data.encoding import Encoder
from model.data.tokenizer import load_tokenizer
from model.evaluation.benchmark_scores import limited, total
from model.evaluation.benchmarks.registry import specs
from model.evaluation.generation import Answered, Generator, mean_tokens
from model.evaluation.judge.endpoint import Endpoint, Judge
from model.evaluation.judge.grading import JudgeSession, judge_item, require
from model.evaluation.judge.workbench_notes import TOLD
from model.evaluation.kept_answers import keep, kept
from model.evaluation.local_copies.opening import open_copy
from model.evaluation.metrics import ItemScore
from model.evaluation.metrics.own import score_answer, with_options
from model.evaluation.opened import let_go, open_model
from model.evaluation.stored_answers import ITEMS, Answer, write
from model.evaluation.subject import Subject, open_whole
from model.evaluation.workbench_items import workbench_item
from model.manifest import publish, verify
from model.plugins import METRICS, planned
from model.samples import Item

MATERIALS = "judge.json"
WEIGHED = ("likelihood", "loss")
"""Metrics of benchmarks that let the model weigh a text instead of answering."""


class Items(Protocol):
    """Items that are opened one by one."""

    def __len__(self) -> int:
        ...

    def __getitem__(self, index: int) -> Item:
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationInputs:
    """What the operator provides; a study does not contain it."""

    local: Path | None = None
    """Folder of the benchmark's local copy."""
    endpoint: Endpoint | None = None
    """The judge's endpoint."""
    kept: Path | None = None
    """Folder that all attempts of the stage share: there answers wait for a judge that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evaluation:
    items: Items
    chosen: list[int]
    is_limited: bool
    materials: Mapping[str, str] = field(default_factory=dict)

    def open(self) -> Iterator[Item]:
        return (self.items[index] for index in self.chosen)


def evaluate_stage(*, benchmark: str, config: EvaluateConfig, data: DataConfig, checkpoint: Path, out: Path,
                   report: Callable[[dict[str, Any]], None], should_stop: Callable[[], bool],
                   resources: EvaluationInputs = EvaluationInputs()) -> dict[str, Any]:
    """Evaluate one benchmark and publish the answers as `out`/items.jsonl.

    Args:
        benchmark: its name in `BENCHMARKS`, or one that the configuration declares.
        config: inference images, items, batch, scoring choices.
        data: the corpus.
        checkpoint: the published checkpoint; it is verified first.
        out: the directory to publish.
        report: called after every batch.
        should_stop: called before every batch.
        resources: local data and judge.

    Returns:
        `benchmark`, `score` and `score_lenient` (0 to 100), `num_items`, `num_unparseable`, `is_complete`,
        `tokens_per_image` (mean over items with images), `seconds`; `details` if there are any: groups, precision and
        recall, the scoring choices.

    Raises:
        ValueError: there is no such benchmark, or its data or its judge are missing.
        JudgeFailed: the judge does not answer; the next attempt asks it about the answers that this one kept.
        CorruptDirectory: the checkpoint is damaged.
        Stopped: the attempt was asked to stop; nothing is published.
    """
    torch.set_num_threads(config.threads)
    began = time.monotonic()
    spec = _spec(benchmark, config)
    config = replace(config, scoring=with_options(spec, config.scoring))
    judge = _judge(spec, config, resources)
    work = _work(spec, config, data, resources)
    told = {"judge": config.scoring.judge, "judge_prompt": require(spec, work.materials)} if spec.needs_judge else {}
    answered = kept(resources.kept, work.open()) if judge and resources.kept else None
    if answered is None:
        generator = _subject(spec, config, checkpoint, report, should_stop) if config.model else _answerer(
            spec, config, checkpoint, report, should_stop)
        answered = _said(generator, spec)(work.open(), len(work.chosen))
        if judge and resources.kept:
            keep(resources.kept, answered)
    session = JudgeSession(judge, config.scoring, work.materials) if judge else None
    scores = [_score(spec, each, config, session) for each in answered]
    found = total(spec, [each.item for each in answered], scores, config.scoring, is_limited=work.is_limited)
    if found.score is None:
        raise ValueError(
            f"{spec.name}: the judge {config.scoring.judge} gave no readable reply to any of {len(answered)} answers"
        )
    publish(out, lambda folder: _write(folder, work, answered, scores), meta={"benchmark": benchmark})
    details = found.details | told
    return {
        "benchmark": benchmark,
        **{name: value for name, value in found.result().items() if name != "details"},
        "tokens_per_image": mean_tokens(answered),
        "seconds": time.monotonic() - began,
        **({"details": details} if details else {}),
    }


def _said(subject: Generator | Subject, spec: Benchmark) -> Callable[[Iterator[Item], int], list[Answered]]:
    """Return what is asked of the model: answers, or how it weighs texts that are given."""
    if isinstance(subject, Subject) or spec.metric not in WEIGHED:
        return subject.answer
    return subject.loss if spec.is_loss else subject.likelihood


def _spec(name: str, config: EvaluateConfig) -> Benchmark:
    known = specs(config.own)
    if name not in known:
        raise ValueError(f"no benchmark {name!r}; {did_you_mean(name, known)}")
    spec = known[name]
    if config.model and spec.metric in WEIGHED:
        raise ValueError(f"{spec.name}: weighs text by our tokens; allowed with evaluate.model: benchmarks with answers")
    if spec.metric_version:
        planned(METRICS, spec.metric, spec.metric_version)
    return spec


def _judge(spec: Benchmark, config: EvaluateConfig, resources: EvaluationInputs) -> Judge | None:
    if not spec.needs_judge:
        return None
    if not config.scoring.judge:
        raise ValueError(f"{spec.name}: not run: it needs a judge, and evaluate.scoring.judge is not set")
    if resources.endpoint is None:
        raise ValueError(
            f"{spec.name}: not run: judge {config.scoring.judge} has no endpoint\nhint: set ABLATE_JUDGE_URL"
        )
    return Judge(resources.endpoint, config.scoring.judge)


def _work(spec: Benchmark, config: EvaluateConfig, data: DataConfig, resources: EvaluationInputs) -> _Evaluation:
    if spec.source == "workbench":
        count = min(config.num_items or spec.num_items, spec.num_items)
        count -= count % 2 if spec.total == "mme" else 0  # its items are the two questions of an image
        return _Evaluation(items=_Made(spec, data.seed), chosen=list(range(count)), is_limited=count < spec.num_items,
                     materials=TOLD.get(spec.metric, {}))
    if resources.local is None:
        raise ValueError(
            f"benchmark {spec.name!r} needs a local copy, but no catalogue lists one; allowed: a folder with {spec.layout}"
        )
    items = open_copy(spec, resources.local, config.images.orientation)
    chosen = limited(spec, [items.meta(index) for index in range(len(items))], config.num_items)
    return _Evaluation(items=items, chosen=chosen, is_limited=bool(config.num_items), materials=items.materials())


@dataclass(frozen=True, slots=True)
class _Made:
    """Items of the workbench, generated when they are asked for."""

    spec: Benchmark
    seed: int

    def __len__(self) -> int:
        return self.spec.num_items

    def __getitem__(self, index: int) -> Item:
        return workbench_item(self.spec, index, seed=self.seed)


def _answerer(spec: Benchmark, config: EvaluateConfig, checkpoint: Path, report: Callable[[dict[str, Any]], None],
              should_stop: Callable[[], bool]) -> Generator:
    model = open_model(checkpoint, tile=config.images.tile, dtype=config.dtype)
    encoder = Encoder(load_tokenizer(checkpoint), config.images, max_tokens=model.config.decoder.context)
    return Generator(model, encoder, config, spec.max_new_tokens, report, should_stop)


def _subject(spec: Benchmark, config: EvaluateConfig, checkpoint: Path, report: Callable[[dict[str, Any]], None],
             should_stop: Callable[[], bool]) -> Subject:
    verify(checkpoint)
    let_go()
    model, processor = open_whole(checkpoint)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device, torch.bfloat16 if config.dtype == "bf16" else torch.float32)
    return Subject(model, processor, spec.max_new_tokens, report, should_stop)


def _score(spec: Benchmark, answered: Answered, config: EvaluateConfig, session: JudgeSession | None) -> ItemScore:
    if session is not None:
        return judge_item(spec, answered.item, answered.prediction, session)
    return score_answer(spec, answered.prediction, answered.item, config.scoring)


def _write(folder: Path, work: _Evaluation, answered: list[Answered], scores: list[ItemScore]) -> None:
    write(
        folder / ITEMS,
        [Answer(each.item, each.prediction, score) for each, score in zip(answered, scores, strict=True)],
    )
    if work.materials:
        (folder / MATERIALS).write_text(json.dumps(dict(work.materials), ensure_ascii=False), encoding="utf-8")
