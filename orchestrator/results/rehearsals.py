"""Store the outcome of rehearsals, in one file of ABLATE_HOME for each scale: rates and memory for `ablate plan`.

Nothing is written to the ledger, since a rehearsal is no result. Times of finished stages take precedence.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from model.config.stages import TRAINING
from orchestrator.plan.rehearsal import Rehearsed


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsedRates:
    """Rates and memory that the newest rehearsals at one scale measured."""

    device: str = ""
    """The class of device that they ran on; "" for a CPU."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """`rate_key` of stages -> FLOPs per second of all workers together."""
    memory_gib: Mapping[str, float] = field(default_factory=dict)
    """Kind of stage -> GiB that the largest worker of one took."""

    def kinds(self) -> frozenset[str]:
        """Return the kinds of stage whose rate is known."""
        return frozenset(key.partition(" ")[0] for key in self.rates)


def rehearsed_rates(home: Path, scale: str) -> RehearsedRates:
    """Return the rates and memory that rehearsals at a scale measured; empty if there were none.

    Raises:
        ValueError: the file is not what a rehearsal writes.
    """
    file = _file(home, scale)
    return RehearsedRates(**json.loads(file.read_text())) if file.is_file() else RehearsedRates()


def keep_rehearsed(home: Path, scale: str, found: Sequence[Rehearsed]) -> RehearsedRates:
    """Keep the rates and the memory of what succeeded; on another class of device, what was known before is dropped.

    Returns:
        All that is known now.
    """
    good = [each for each in found if each.is_good]
    if not good:
        return rehearsed_rates(home, scale)
    before = rehearsed_rates(home, scale)
    before = before if before.device == good[0].device else RehearsedRates()
    now = RehearsedRates(device=good[0].device, rates={**before.rates, **_rates(good)},
                         memory_gib={**before.memory_gib, **_memory(good)})
    file = _file(home, scale)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".new")
    temporary.write_text(json.dumps(asdict(now), indent=1, sort_keys=True))
    os.replace(temporary, file)
    return now


def _rates(found: Sequence[Rehearsed]) -> dict[str, float]:
    """Return the slowest rate of each key: a plan that is too short is worse than one that is too long.

    An evaluation is taken to be no faster than training, which keeps the device busier.
    """
    known = [(each.rehearsal, each.flops_per_s) for each in found if each.flops_per_s]
    largest = max((rate for each, rate in known if each.kind in TRAINING), default=math.inf)
    rates: dict[str, float] = {}
    for each, rate in known:
        rates[each.rate_key] = min(rate, largest, rates.get(each.rate_key, rate))
    return rates


def _memory(found: Sequence[Rehearsed]) -> dict[str, float]:
    kinds = dict.fromkeys(each.rehearsal.kind for each in found if each.memory_gib)
    return {kind: max(each.memory_gib for each in found if each.rehearsal.kind == kind and each.memory_gib) for kind in kinds}


def _file(home: Path, scale: str) -> Path:
    return home / "rehearsals" / f"{scale}.json"
