"""What a stage has seen of each source: samples, tokens, supervised tokens, broken samples that others stood in for.

It is kept in the checkpoints, so that a stage that was interrupted reports the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from model.data.step import TokensSeen
from model.samples import Replaced

SHOWN = 20
"""Broken samples that a report names; all are counted."""


class Tally:
    """Counts by source, within the limits that the sources declare."""

    def __init__(self, most_broken: Mapping[str, int] | None = None) -> None:
        """Start at nothing; `most_broken` says how many samples of each source may be broken."""
        self._most_broken = dict(most_broken or {})
        self._counts: dict[str, list[int]] = {}
        self._broken: dict[str, dict[str, str]] = {}
        """Source to place to reason: a sample that is met again in a later pass is the same one, whatever is said of it then."""

    def add(self, sequences: Iterable[TokensSeen]) -> None:
        """Count the sequences of a batch.

        Raises:
            ValueError: more samples of a source are broken than it declares; the message names the latest.
        """
        for each in sequences:
            counts = self._counts.setdefault(each.source, [0, 0, 0])
            counts[0] += 1
            counts[1] += each.num_tokens
            counts[2] += each.num_supervised
            if each.replaces:
                self._count_broken(each.source, each.replaces)

    def _count_broken(self, source: str, found: Iterable[Replaced]) -> None:
        known = self._broken.setdefault(source, {})
        for each in found:
            known.setdefault(each.where, each.reason)
        if len(known) > self._most_broken.get(source, 0):
            raise ValueError(f"{len(known)} broken samples in {source}; allowed by its `broken`: {self._most_broken.get(source, 0)}; "
                             f"the latest is {_named(known)[-1]}\nhint: ablate data check names them all")

    def state(self) -> dict[str, Any]:
        """Return all counts as JSON, for a checkpoint."""
        return {"counts": self._counts, "broken": self._broken}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._counts = {source: list(counts) for source, counts in state["counts"].items()}
        self._broken = {source: dict(known) for source, known in state["broken"].items()}

    def report(self, asked: Mapping[str, float], sizes: Mapping[str, int]) -> dict[str, dict[str, Any]]:
        """Return what was asked for against what was drawn, by source.

        Args:
            asked: samples that the mixture asks for.
            sizes: samples of a pass over each source that has an end.

        Returns:
            source to `asked`, `samples`, `tokens`, `supervised`, and for a source with an end `size` and `passes`; where samples were
            broken, `broken` (their number) and `broken_samples` (the first of them).
        """
        return {source: self._row(source, asked[source], sizes.get(source, 0)) for source in asked}

    def _row(self, source: str, asked: float, size: int) -> dict[str, Any]:
        samples, tokens, supervised = self._counts.get(source, [0, 0, 0])
        broken = _named(self._broken.get(source, {}))
        return {
            "asked": asked, "samples": samples, "tokens": tokens, "supervised": supervised,
            **({"size": size, "passes": samples / size} if size else {}),
            **({"broken": len(broken), "broken_samples": broken[:SHOWN]} if broken else {}),
        }


def _named(broken: Mapping[str, str]) -> list[str]:
    return [f"{where}: {reason}" for where, reason in broken.items()]
