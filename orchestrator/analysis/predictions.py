"""Compare what a surrogate predicted for an arm with what was measured. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.analysis.table import ArmResult
from orchestrator.study.study import Prediction


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """One prediction and its measurement."""

    arm_key: str
    name: str
    metric: str
    predicted: float
    form: str
    """Form of the surrogate."""
    correlation: float
    """The surrogate's leave-one-out rank correlation when it proposed the arm."""
    num_arms: int
    """Number of arms it was fitted to."""
    source: str
    """The study of these arms."""
    measured: float | None
    """Mean over seeds; None before the arm has run."""
    half_width: float | None
    """Half-width of the mean's 95 % interval; None with one seed."""
    n: int

    @property
    def sentence(self) -> str:
        """Prediction, the surrogate's correlation, and measurement as a sentence."""
        basis = (
            f"{self.name}: {self.metric} {self.predicted:.1f} by {self.form} over {self.num_arms} arms of {self.source} "
            f"(leave-one-out rank correlation {self.correlation:+.2f})"
        )
        if self.measured is None:
            return f"{basis}; not measured yet"
        spread = "" if self.half_width is None else f" ± {self.half_width:.1f}"
        return f"{basis}; measured {self.measured:.1f}{spread} (n={self.n}), {self.measured - self.predicted:+.1f}"


def with_measurements(predictions: Mapping[str, Prediction], arms: Sequence[ArmResult]) -> tuple[Predicted, ...]:
    """Return each prediction with the measured mean of its arm.

    Args:
        predictions: name of an arm -> its prediction.
        arms: the arms of the study.
    """
    named = {arm.name: arm for arm in arms}
    found = []
    for name, each in predictions.items():
        arm = named[name]
        cell = arm.metrics.get(each.metric)
        found.append(Predicted(
            arm_key=arm.key, name=name, metric=each.metric, predicted=each.predicted, form=each.form, correlation=each.correlation,
            num_arms=each.num_arms, source=each.source, measured=cell.mean if cell else None,
            half_width=cell.half_width if cell else None, n=cell.n if cell else 0))
    return tuple(found)
