"""Counts of the samples that a stage has trained on, by source: samples, tokens, supervised tokens, broken samples.

The counts are part of the checkpoints, so a resumed stage reports all of its samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from model.data.step import TokensSeen
from model.samples import Replaced

SHOWN = 20
"""Number of broken samples of a source that a report names; all of them are counted."""


class Tally:
    """Counts of samples by source; checks the number of broken samples against the limit of each source.

    Args:
        most_broken: source to the number of its samples that may be broken; 0 for sources that are not listed.
    """

    def __init__(self, most_broken: Mapping[str, int] | None = None) -> None:
        self._most_broken = dict(most_broken or {})
        # Source to samples, tokens and supervised tokens.
        self._counts: dict[str, list[int]] = {}
        # Source to place to reason. In a later pass the same sample is broken again, perhaps with another reason: its
        # place identifies it, so it counts once.
        self._broken: dict[str, dict[str, str]] = {}

    def add(self, sequences: Iterable[TokensSeen]) -> None:
        """Count the sequences of a batch.

        Raises:
            ValueError: more samples of a source are broken than the source allows; the message names the latest.
        """
        for each in sequences:
            counts = self._counts.setdefault(each.source, [0, 0, 0])
            counts[0] += 1
            counts[1] += each.num_tokens
            counts[2] += each.num_supervised
            if each.replaces:
                self._count_broken(each.source, each.replaces)

    def _count_broken(self, source: str, samples: Iterable[Replaced]) -> None:
        broken = self._broken.setdefault(source, {})
        for each in samples:
            broken.setdefault(each.where, each.reason)
        allowed = self._most_broken.get(source, 0)
        if len(broken) > allowed:
            raise ValueError(f"{len(broken)} broken samples in {source}; allowed by its `broken`: {allowed}; "
                             f"the latest is {_named(broken)[-1]}\nhint: ablate data check names them all")

    def state(self) -> dict[str, Any]:
        """Return all counts as JSON values, for a checkpoint."""
        return {"counts": self._counts, "broken": self._broken}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Replace all counts by those that `state` returned earlier."""
        # Lists are copied: adding to them later must not change the checkpoint's values.
        self._counts = {source: list(counts) for source, counts in state["counts"].items()}
        # Checkpoints of earlier releases list the samples without reasons.
        self._broken = {source: dict(reasons) if isinstance(reasons, Mapping) else dict.fromkeys(reasons, "")
                        for source, reasons in state["broken"].items()}

    def report(self, asked: Mapping[str, float], sizes: Mapping[str, int]) -> dict[str, dict[str, Any]]:
        """Return the expected and the actual number of samples of each source.

        Args:
            asked: source to the number of samples that the mixture asks for.
            sizes: source to its number of samples, for sources of finite size.

        Returns:
            source to `asked`, `samples`, `tokens` and `supervised`; for a source of finite size also `size` and
            `passes` (how often the stage went through it); if samples were broken, `broken` (their number) and
            `broken_samples` (the first of them, by name).
        """
        # Sources come from `asked`, so that one without any samples is reported with zeros.
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
