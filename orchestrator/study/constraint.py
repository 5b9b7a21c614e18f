"""Constraints that an arm must meet to be selected: `metric >= 50` or `metric >= baseline.metric - 0.5`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

_METRIC = r"[a-z][a-z0-9_]*(?:-[a-z][a-z0-9_]*)*"
_FORM = re.compile(
    rf"(?P<metric>{_METRIC}) *(?P<op>>=|<=) *"
    rf"(?:(?P<number>[-+]?[0-9.]+)|baseline\.(?P<reference>{_METRIC})(?: *(?P<sign>[-+]) *(?P<offset>[0-9.]+))?)"
)


@dataclass(frozen=True, slots=True)
class Constraint:
    """A bound on a metric: `metric op reference + offset`, or `metric op offset`."""

    metric: str
    op: Literal[">=", "<="]
    reference: str | None
    """The metric of the baseline arm; None if the bound is a plain number, which is `offset` then."""
    offset: float
    """In the unit of the metric: points for scores, 0 to 100."""
    text: str
    """The constraint as it was written."""

    @property
    def is_relative(self) -> bool:
        """Whether the bound depends on the baseline arm."""
        return self.reference is not None

    def threshold(self, baseline: Mapping[str, float]) -> float:
        """Return the bound on the metric.

        Args:
            baseline: metric -> mean score of the baseline arm; not used if the bound is a plain number.
        """
        return self.offset if self.reference is None else baseline[self.reference] + self.offset

    def is_known(self, metrics: Collection[str], baseline: Collection[str]) -> bool:
        """Return whether all metrics of the constraint have a value.

        Args:
            metrics: the metrics of the arm.
            baseline: the metrics of the baseline arm.
        """
        return self.metric in metrics and (self.reference is None or self.reference in baseline)

    def missed_by(self, value: float, baseline: Mapping[str, float]) -> float:
        """Return by how much a value violates the constraint; it is met at 0 or less."""
        gap = self.threshold(baseline) - value
        return gap if self.op == ">=" else -gap

    def is_met(self, value: float, baseline: Mapping[str, float]) -> bool:
        """Return whether a mean score of the metric meets the constraint."""
        threshold = self.threshold(baseline)
        return value >= threshold if self.op == ">=" else value <= threshold


def parse_constraint(text: str) -> Constraint:
    """Parse a constraint, one item of `subject_to`.

    Raises:
        ValueError: the text is not a constraint.
    """
    match = _FORM.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r}; allowed: 'METRIC >= NUMBER' or 'METRIC >= baseline.METRIC - NUMBER' (or <=, +)")
    try:
        offset = float((match["sign"] or "") + (match["offset"] or match["number"] or "0"))
    except ValueError as error:
        raise ValueError(f"{text!r}: not a number") from error
    return Constraint(match["metric"], match["op"], match["reference"], offset, text)  # type: ignore[arg-type]
