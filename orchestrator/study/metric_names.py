"""Names of what a study may select on: benchmarks, category averages, MMBase, the overall mean, and cost."""

from __future__ import annotations

from collections.abc import Iterable

from model.config.fields import did_you_mean
from model.evaluation.averages import MMBASE
from model.evaluation.benchmarks.registry import BENCHMARKS
from orchestrator.study.constraint import parse_constraint
from orchestrator.study.strict_yaml import Location
from orchestrator.study.study import Study

CATEGORIES = (*MMBASE, "refer_ground", "multi_image", "text_only", "in_context")
TOKENS = "tokens_per_image"
"""Metric that a configuration says before anything runs."""
COSTS = (TOKENS,)


def withheld_notes(study: Study, benchmarks: Iterable[str]) -> tuple[str, ...]:
    """Return a note for each metric that these benchmarks cannot give.

    A recipe's scale decides the suite, so a study may ask for a category that a small suite has no benchmark of. It may
    still run; its averages are then withheld, and the verdict with them.

    Raises:
        StudyError: a metric has a name that nothing has.
    """
    given = set(benchmarks)
    present = {BENCHMARKS[name].category for name in given}
    notes = []
    for location, metric in _metrics(study):
        if metric not in (*BENCHMARKS, *CATEGORIES, *COSTS, "mmbase", "overall"):
            raise study.error(location, f"no metric {metric!r}",
                              did_you_mean(metric, [*BENCHMARKS, *CATEGORIES, *COSTS, "mmbase", "overall"]))
        needed = {"mmbase": set(MMBASE), **{name: {name} for name in CATEGORIES}}.get(metric, set())
        if (metric in BENCHMARKS and metric not in given) or not needed <= present:
            notes.append(f"{metric} cannot be computed: the suite has no benchmark of "
                         f"{', '.join(sorted(needed - present)) or metric}; the study will have no verdict")
    return tuple(dict.fromkeys(notes))


def _metrics(study: Study) -> list[tuple[Location, str]]:
    found: list[tuple[Location, str]] = [(("select", "maximize"), study.select.maximize)]
    for i, constraint in enumerate(study.select.constraints):
        found += [(("select", "subject_to", i), name) for name in (constraint.metric, constraint.reference) if name]
    if study.search:
        for i, text in enumerate(study.search.constraints):
            constraint = parse_constraint(text)
            found += [(("search", "constraints", i), name) for name in (constraint.metric, constraint.reference) if name]
        for i, objective in enumerate(study.search.objectives):
            found.append((("search", "objectives", i), objective.maximize or objective.minimize or ""))
    return found
