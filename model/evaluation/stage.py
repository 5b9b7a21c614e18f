"""One evaluation: a checkpoint answers one benchmark greedily; every answer is kept.

- Nothing is drawn at random, so an evaluation has no seed; items are answered in batches of like length and kept in their order.
- The directory of answers is published last: one that exists is whole.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from model.config import DataConfig, EvaluateConfig
from model.data.conversation import Encoded, Encoder
from model.data.samples import Item
from model.data.tokenizer import load_tokenizer
from model.data.workbench import make_item
from model.evaluation.benchmarks import BENCHMARKS, Benchmark
from model.evaluation.metrics import ItemScore, score_item, yes_no
from model.manifest import publish, verify
from model.mm15 import MM15
from model.plain import did_you_mean
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
        `benchmark`, `score` and `score_lenient` (0 to 100), `num_items`, `num_unparseable`, `is_complete`, `tokens_per_image` (mean
        over items with images), `seconds`; for yes/no also `details` with accuracy, precision, recall, F1 and the share of yes.

    Raises:
        ValueError: no such benchmark, or its data are not there.
        CorruptDirectory: the checkpoint was damaged.
        Stopped: asked to stop; nothing is published.
    """
    torch.set_num_threads(config.threads)
    began = time.monotonic()
    spec, items = _benchmark(benchmark, config, data)
    verify(checkpoint)
    model = MM15.from_pretrained(checkpoint, tile=config.images.tile).eval()
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    encoder = Encoder(load_tokenizer(checkpoint), config.images, max_tokens=model.config.decoder.context)
    encoded = [encoder.item(item) for item in items]
    predictions = _predict(model, encoder, encoded, spec, config, report, should_stop)
    scores = [score_item(spec.metric, prediction, item) for prediction, item in zip(predictions, items, strict=True)]
    publish(out, lambda directory: _write(directory / ITEMS, items, predictions, scores), meta={"benchmark": benchmark})
    return {
        "benchmark": benchmark,
        "score": 100 * sum(each.strict for each in scores) / len(scores),
        "score_lenient": 100 * sum(each.lenient for each in scores) / len(scores),
        "num_items": len(items),
        "num_unparseable": sum(not each.is_parsed for each in scores),
        "is_complete": len(predictions) == len(items),
        "tokens_per_image": _tokens_per_image(encoded, items, config.images.tokens),
        "seconds": time.monotonic() - began,
        **_details(spec, items, scores),
    }


def _benchmark(name: str, config: EvaluateConfig, data: DataConfig) -> tuple[Benchmark, list[Item]]:
    if name not in BENCHMARKS:
        raise ValueError(f"no benchmark {name!r}; {did_you_mean(name, BENCHMARKS)}")
    spec = BENCHMARKS[name]
    if spec.source != "workbench":
        raise ValueError(f"benchmark {spec.name!r} reads a catalogue of local data sets, and none is configured; "
                         "allowed here: benchmarks of the workbench")
    count = min(config.num_items or spec.num_items, spec.num_items)
    return spec, [make_item(spec.name, index, seed=data.seed) for index in range(count)]


def _tokens_per_image(encoded: list[Encoded], items: list[Item], tokens: int) -> float:
    found = [len(each.tiles) * tokens / len(item.images) for each, item in zip(encoded, items, strict=True) if item.images]
    return sum(found) / len(found) if found else 0.0


def _details(spec: Benchmark, items: list[Item], scores: list[ItemScore]) -> dict[str, Any]:
    if spec.metric != "yes_no":
        return {}
    return {"details": asdict(yes_no.summarise([each.parsed for each in scores], [item.references[0] for item in items]))}


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
    rows = ({"item_id": item.item_id, "question": item.question, "options": item.options, "references": item.references,
             "prediction": prediction, "parsed": each.parsed, "score": each.strict, "score_lenient": each.lenient}
            for item, prediction, each in zip(items, predictions, scores, strict=True))
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
