"""What an arm must meet to be selected: `metric >= 50` or `metric >= baseline.metric - 0.5`."""

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
    """`metric op reference + offset`; the reference is a metric of the baseline arm, or nothing."""

    metric: str
    op: Literal[">=", "<="]
    reference: str | None
    """Metric of the baseline arm; None for a plain number, which is then in `offset`."""
    offset: float
    """Points."""
    text: str
    """As it was written."""

    @property
    def is_relative(self) -> bool:
        """Whether the baseline arm is needed."""
        return self.reference is not None

    def threshold(self, baseline: Mapping[str, float]) -> float:
        """Return the value that the metric is compared with.

        Args:
            baseline: metric -> mean score of the baseline arm; not read by a plain number.
        """
        return self.offset if self.reference is None else baseline[self.reference] + self.offset

    def is_known(self, metrics: Collection[str], baseline: Collection[str]) -> bool:
        """Whether the metrics that it speaks of are there."""
        return self.metric in metrics and (self.reference is None or self.reference in baseline)

    def missed_by(self, value: float, baseline: Mapping[str, float]) -> float:
        """Return by how much a value misses the constraint; 0 or less is met."""
        gap = self.threshold(baseline) - value
        return gap if self.op == ">=" else -gap

    def is_met(self, value: float, baseline: Mapping[str, float]) -> bool:
        """Return whether a mean score of the metric meets the constraint."""
        threshold = self.threshold(baseline)
        return value >= threshold if self.op == ">=" else value <= threshold


def parse_constraint(text: str) -> Constraint:
    """Parse one `subject_to`.

    Raises:
        ValueError: the text has another form.
    """
    match = _FORM.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r}; allowed: 'METRIC >= NUMBER' or 'METRIC >= baseline.METRIC - NUMBER' (or <=, +)")
    try:
        offset = float((match["sign"] or "") + (match["offset"] or match["number"] or "0"))
    except ValueError as error:
        raise ValueError(f"{text!r}: not a number") from error
    return Constraint(match["metric"], match["op"], match["reference"], offset, text)  # type: ignore[arg-type]
