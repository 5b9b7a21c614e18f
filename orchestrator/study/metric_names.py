"""The names of the metrics that a study may use: benchmarks, category averages, MMBase, the overall mean, and costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from model.config.benchmark import Benchmark
from model.config.fields import did_you_mean
from model.evaluation.averages import MMBASE
from model.evaluation.benchmarks.registry import specs
from orchestrator.study.constraint import parse_constraint
from orchestrator.study.strict_yaml import Location
from orchestrator.study.study import Study

CATEGORIES = (*MMBASE, "refer_ground", "multi_image", "text_only", "in_context")
TOKENS = "tokens_per_image"
"""The mean image tokens per image: a cost that follows from the configuration, before anything runs."""
COSTS = (TOKENS,)
"""The metrics that are costs, not scores."""


_RAISED = ("maximize",)
"""Fields whose metric is to be large."""


def withheld_notes(study: Study, benchmarks: Iterable[str], own: Sequence[Benchmark] = ()) -> tuple[str, ...]:
    """Return a note for each metric of the study that cannot be computed from these benchmarks.

    The scale decides the suite, so a study may use a category for which a small suite has no benchmark. The study may
    still run; its averages are then withheld, and so is its verdict.

    Raises:
        StudyError: the study names a metric that does not exist.
    """
    evaluated, known = set(benchmarks), specs(own)
    present = {known[name].category for name in evaluated}
    categories = tuple(dict.fromkeys((*CATEGORIES, *(each.category for each in own if not each.is_loss))))
    base = {*MMBASE, *(each.category for each in own if each.in_mmbase and each.in_average)}
    notes = []
    for location, metric in _metrics(study):
        if metric not in (*known, *categories, *COSTS, "mmbase", "overall"):
            raise study.error(location, f"no metric {metric!r}",
                              did_you_mean(metric, [*known, *categories, *COSTS, "mmbase", "overall"]))
        if metric in known and known[metric].is_loss and location[-1] in _RAISED:
            raise study.error(location, f"{metric} is a loss in nats, and lower is better; allowed: a score",
                              "`subject_to` bounds a loss, an objective of a search may `minimize` it")
        needed = {"mmbase": base, **{name: {name} for name in categories}}.get(metric, set())
        if (metric in known and metric not in evaluated) or not needed <= present:
            notes.append(f"{metric} cannot be computed: the suite has no benchmark of "
                         f"{', '.join(sorted(needed - present)) or metric}; the study will have no verdict")
    return tuple(dict.fromkeys(notes))


def _metrics(study: Study) -> list[tuple[Location, str]]:
    metrics: list[tuple[Location, str]] = []
    if study.select.maximize:
        metrics.append((("select", "maximize"), study.select.maximize))
    for i, constraint in enumerate(study.select.constraints):
        names = (constraint.metric, constraint.reference)
        metrics += [(("select", "subject_to", i), name) for name in names if name]
    if study.search:
        for i, text in enumerate(study.search.constraints):
            constraint = parse_constraint(text)
            names = (constraint.metric, constraint.reference)
            metrics += [(("search", "constraints", i), name) for name in names if name]
        for i, objective in enumerate(study.search.objectives):
            way = "maximize" if objective.maximize else "minimize"
            metrics.append((("search", "objectives", i, way), getattr(objective, way) or ""))
    return metrics
