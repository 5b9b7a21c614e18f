"""From scored items to the score of a benchmark, 0 to 100.

Torch-free, so stored answers are scored again without a model.

- `mean` is the plain mean, or the mean over groups where the benchmark is defined so. The other totals follow their
  references.
- A benchmark with a missing group, or with fewer items than it is known to have, is incomplete, and its averages are
  withheld.
- An item on which the judge failed is dropped and makes the benchmark incomplete; it never counts as zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from model.config.benchmark import Benchmark
from model.config.scoring import ScoringConfig
from model.evaluation.metrics import ItemScore, judged, likelihood, loss, yes_no
from model.samples import Item

Pairs = Sequence[tuple[Item, ItemScore]]
Read = Callable[[ItemScore], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """The score of one benchmark, 0 to 100."""

    score: float | None
    """None if the judge failed on every item."""
    score_lenient: float | None
    num_items: int
    num_unparseable: int
    is_complete: bool
    details: dict[str, Any] = field(default_factory=dict)
    """Groups, precision and recall, the scoring choices, and what is missing."""

    def result(self) -> dict[str, Any]:
        """Return it in the form of a stage's result."""
        return asdict(self)


def total(spec: Benchmark, items: Sequence[Item], scores: Sequence[ItemScore], scoring: ScoringConfig, *,
          is_limited: bool = False) -> Total:
    """Compute the score of a benchmark.

    Args:
        spec: the benchmark.
        items: the items; their images are not needed.
        scores: the score of each item.
        scoring: the choices that the papers leave open.
        is_limited: whether the configuration asks for fewer items than there are.

    Raises:
        ValueError: there are no items, or they do not belong together (an MME image without two questions).
    """
    if not items:
        raise ValueError(f"{spec.name}: no items to score; allowed: at least one")
    pairs = [pair for pair in zip(items, scores, strict=True) if not pair[1].is_dropped]
    strict, lenient = ((_value(spec, pairs, read, scoring) if pairs else None) for read in (_strict, _lenient))
    swapped = "mcq_extraction" in spec.choices and scoring.mcq_extraction == "lenient"
    details = _details(spec, pairs, scoring) | ({"score_strict": strict} if swapped else {})
    missing = _missing(spec, pairs, is_limited=is_limited)
    dropped = len(items) - len(pairs)
    details |= {"missing": missing} if missing else {}
    details |= {"num_judge_failures": dropped} if dropped else {}
    return Total(
        score=lenient if swapped else strict,
        score_lenient=lenient,
        num_items=len(items),
        details=details,
        num_unparseable=sum(not score.is_parsed for _, score in pairs),
        is_complete=not missing and not dropped,
    )


def limited(spec: Benchmark, metas: Sequence[dict[str, str]], count: int) -> list[int]:
    """Return the indices of the items to answer, in order.

    They are taken in turn from each group; the two questions of an MME image stay together.

    Args:
        spec: the benchmark.
        metas: `meta` of all items.
        count: how many to choose; 0, or more than there are, chooses all.
    """
    if not 0 < count < len(metas):
        return list(range(len(metas)))
    groups: dict[str, dict[str, list[int]]] = {}
    for index, meta in enumerate(metas):
        name = meta["image"] if spec.total == "mme" else str(index)
        groups.setdefault(meta.get(spec.group, ""), {}).setdefault(name, []).append(index)
    queues = [list(units.values()) for units in groups.values()]
    turns = [queue[turn] for turn in range(max(map(len, queues))) for queue in queues if turn < len(queue)]
    chosen: list[int] = []
    for unit in turns:
        if len(chosen) + len(unit) <= count:
            chosen += unit
    return sorted(chosen)


def _strict(score: ItemScore) -> float:
    return score.strict


def _lenient(score: ItemScore) -> float:
    return score.lenient


def _value(spec: Benchmark, pairs: Pairs, read: Read, scoring: ScoringConfig) -> float | None:
    if spec.total == "mme":
        summary = _mme(spec, pairs, read)
        return summary.normalised if scoring.mme_normaliser == "sum" else summary.perception / 20
    if spec.total == "pope":
        is_lenient = read is _lenient
        if scoring.pope_score == "f1":
            return _mean([100 * _summary(group, is_lenient=is_lenient).f1 for group in _groups(spec, pairs).values()])
    if spec.total == "relative":
        return judged.relative([score.pair for _, score in pairs if score.pair])
    if spec.total == "bits":
        return 100 * likelihood.saved(*_bits(pairs))
    if spec.total == "loss":
        nats, num_tokens = _nats(pairs)
        return nats / num_tokens
    is_averaged = spec.group and (not spec.average or getattr(scoring, spec.average) not in ("pooled",))
    grouped = _groups(spec, pairs).values() if is_averaged else [list(pairs)]
    return _mean([100 * _mean([read(score) for _, score in group]) for group in grouped])


def _details(spec: Benchmark, pairs: Pairs, scoring: ScoringConfig) -> dict[str, Any]:
    """Return what is reported beside the score: the choices, the groups, and facts specific to the kind of total."""
    found: dict[str, Any] = {"choices": scoring.printed(spec.choices)} if spec.choices else {}
    if not pairs:
        return found
    if spec.total == "mme":
        found |= asdict(_mme(spec, pairs, _strict))
    elif spec.total == "bits":
        bits, num_bytes = _bits(pairs)
        found |= {"bits_per_byte": bits / num_bytes, "num_bytes": num_bytes}
    elif spec.total == "loss":
        nats, num_tokens = _nats(pairs)
        found |= {"nats_per_token": nats / num_tokens, "num_tokens": num_tokens}
    elif spec.metric == "yes_no":
        found |= asdict(_summary(pairs))
    elif spec.total == "nlvr2":
        rows = [(item.meta["identifier"], str(score.strict), "1.0") for item, score in pairs]
        found["consistency"] = yes_no.summarise_nlvr2(rows).consistency
    if spec.group:
        found["groups"] = {name: _of_group(spec, group) for name, group in _groups(spec, pairs).items()}
    if "capability" in pairs[0][0].meta:
        found["groups"] = _by_capability(pairs)
    return found


def _of_group(spec: Benchmark, pairs: Pairs) -> Any:
    if spec.total == "pope":
        return asdict(_summary(pairs))
    if spec.total == "relative":
        return judged.relative([score.pair for _, score in pairs if score.pair])
    return 100 * _mean([score.strict for _, score in pairs])


def _by_capability(pairs: Pairs) -> dict[str, float]:
    """Return MM-Vet's mean for each capability. An item counts for every capability that it needs."""
    needs: dict[str, list[float]] = {}
    for item, score in pairs:
        for name in filter(None, item.meta["capability"].split(",")):
            needs.setdefault(name, []).append(score.strict)
    return {name: 100 * _mean(values) for name, values in sorted(needs.items())}


def _missing(spec: Benchmark, pairs: Pairs, *, is_limited: bool) -> list[str]:
    found = [f"{spec.group} {name}" for name in _expected(spec) if name not in _groups(spec, pairs)]
    if spec.source == "catalogue" and not is_limited and len(pairs) < spec.num_items:
        found.append(f"{spec.num_items - len(pairs)} of {spec.num_items} items")
    return found


def _expected(spec: Benchmark) -> tuple[str, ...]:
    return spec.groups or (yes_no.MME_TASKS if spec.total == "mme" else ())


def _groups(spec: Benchmark, pairs: Pairs) -> dict[str, list[tuple[Item, ItemScore]]]:
    found: dict[str, list[tuple[Item, ItemScore]]] = {}
    for item, score in pairs:
        found.setdefault(item.meta.get(spec.group, ""), []).append((item, score))
    return found


def _mme(spec: Benchmark, pairs: Pairs, read: Read) -> yes_no.MmeSummary:
    images: dict[tuple[str, str], list[bool]] = {}
    for item, score in pairs:
        images.setdefault((item.meta[spec.group], item.meta["image"]), []).append(read(score) > 0)
    return yes_no.summarise_mme([(task, image, right) for (task, image), right in images.items()], _expected(spec))


def _bits(pairs: Pairs) -> tuple[float, int]:
    """Return bits and bytes over all texts, so that long texts weigh more than short ones, as in a corpus."""
    return math.fsum(float(score.parsed or "nan") for _, score in pairs), sum(
        len(item.references[0].encode()) for item, _ in pairs
    )


def _nats(pairs: Pairs) -> tuple[float, int]:
    """Return nats and supervised tokens over all samples, so that a long answer weighs more, as in training."""
    said = [loss.read(score.parsed or "") for _, score in pairs]
    return math.fsum(nats for nats, _ in said), sum(num_tokens for _, num_tokens in said)


def _summary(pairs: Pairs, *, is_lenient: bool = False) -> yes_no.YesNoSummary:
    """Summarise yes and no. A lenient reading is known only by whether it was right."""
    labels = [item.references[0] for item, _ in pairs]
    said = [
        label if is_lenient and score.lenient else score.parsed for label, (_, score) in zip(labels, pairs, strict=True)
    ]
    return yes_no.summarise(said, labels)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
