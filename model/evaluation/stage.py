"""One evaluation: a checkpoint answers one benchmark greedily; every answer is kept."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from model.config import DataConfig, EvaluateConfig
from model.data.conversation import Encoded, Encoder
from model.data.samples import Item
from model.data.tokenizer import load_tokenizer
from model.data.workbench import make_item
from model.evaluation.benchmarks import BENCHMARKS, Benchmark
from model.evaluation.metrics import METRICS, ItemScore
from model.manifest import publish, verify
from model.mm15 import MM15
from model.training.loop import Stopped

ITEMS = "items.jsonl"


def evaluate_stage(*, benchmark: str, config: EvaluateConfig, data: DataConfig, checkpoint: Path, out: Path,
                   report: Callable[[dict[str, Any]], None], should_stop: Callable[[], bool]) -> dict[str, Any]:
    """Evaluate one benchmark and publish the answers as `out`/items.jsonl.

    Args:
        benchmark: its name in `BENCHMARKS`.
        config: inference images, items, batch.
        data: the corpus.
        checkpoint: published checkpoint; verified first.
        out: directory to publish.
        report: told after every batch.
        should_stop: asked before every batch.

    Returns:
        `score` and `score_lenient` (0 to 100), `num_items`, `num_unparseable`, `is_complete`, `tokens_per_image` (mean over items
        with images), `seconds`.

    Raises:
        ValueError: the benchmark's data are not there.
        CorruptDirectory: the checkpoint was damaged.
        Stopped: asked to stop.
    """
    torch.set_num_threads(config.threads)
    began, spec = time.monotonic(), BENCHMARKS[benchmark]
    items = _items(spec, config, data)
    verify(checkpoint)
    model = MM15.from_pretrained(checkpoint, tile=config.images.tile).eval()
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    encoder = Encoder(load_tokenizer(checkpoint), config.images, max_tokens=model.config.decoder.context)
    encoded = [encoder.item(item) for item in items]
    predictions = _predict(model, encoder, encoded, spec, config, report, should_stop)
    scores = [METRICS[spec.metric](prediction, item) for prediction, item in zip(predictions, items, strict=True)]
    publish(out, lambda directory: _write(directory / ITEMS, items, predictions, scores), meta={"benchmark": benchmark})
    with_images = [(each, item) for each, item in zip(encoded, items, strict=True) if item.images]
    image_tokens = sum(len(each.tiles) * config.images.tokens / len(item.images) for each, item in with_images)
    return {
        "benchmark": benchmark,
        "score": 100 * sum(each.strict for each in scores) / len(scores),
        "score_lenient": 100 * sum(each.lenient for each in scores) / len(scores),
        "num_items": len(items),
        "num_unparseable": sum(not each.is_parsed for each in scores),
        "is_complete": len(predictions) == len(items),
        "tokens_per_image": image_tokens / len(with_images) if with_images else 0.0,
        "seconds": time.monotonic() - began,
    }


def _items(spec: Benchmark, config: EvaluateConfig, data: DataConfig) -> list[Item]:
    if spec.source != "workbench" or data.source != "workbench":
        raise ValueError(f"benchmark {spec.name!r} reads a catalogue of local data sets, and none is configured; "
                         "allowed here: benchmarks of the workbench")
    count = min(config.num_items or spec.num_items, spec.num_items)
    return [make_item(spec.name, index, seed=data.seed) for index in range(count)]


def _predict(model: MM15, encoder: Encoder, encoded: list[Encoded], spec: Benchmark, config: EvaluateConfig,
             report: Callable[[dict[str, Any]], None], should_stop: Callable[[], bool]) -> list[str]:
    """Answer in batches of like length; the order of the items is kept."""
    order = sorted(range(len(encoded)), key=lambda index: len(encoded[index].ids))
    answers: dict[int, str] = {}
    device = next(model.parameters()).device
    for start in range(0, len(order), config.batch):
        if should_stop():
            raise Stopped(f"stopped after {start} of {len(order)} items")
        chosen = order[start : start + config.batch]
        batch = encoder.collate([encoded[index] for index in chosen], left=True).to(device)
        with torch.autocast(device.type, torch.bfloat16) if config.dtype == "bf16" else nullcontext():
            rows = model.generate(batch, tokens=config.images.tokens, max_new_tokens=spec.max_new_tokens, eos_id=encoder.id["<eos>"])
        answers |= {index: encoder.tokenizer.decode(row) for index, row in zip(chosen, rows, strict=True)}
        report({"step": len(answers), "steps": len(order)})
    return [answers[index] for index in range(len(encoded))]


def _write(path: Path, items: list[Item], predictions: list[str], scores: list[ItemScore]) -> None:
    rows = ({"item_id": item.item_id, "question": item.question, "references": item.references, "options": item.options,
             "prediction": prediction, "score": score.strict, "score_lenient": score.lenient, "is_parsed": score.is_parsed}
            for item, prediction, score in zip(items, predictions, scores, strict=True))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
