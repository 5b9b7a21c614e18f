"""Campaigns: studies in dependency order, where a later study takes values from the verdicts of earlier ones.

- `{from_selection: STUDY}` is the value that the declared rule of that study chose at the same scale. The kind of the
  verdict is recorded with it, so that readers know when a value comes from a tie.
- The values are part of the later study's spec: another verdict makes another version of the study.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from orchestrator.errors import StudyError
from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine
from orchestrator.plan.layers import required_studies
from orchestrator.results.results import study_results
from orchestrator.study.study import Campaign, Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The arm that a study's verdict chose."""

    levels: Mapping[str, Any]
    """The levels of the chosen arm, dotted path -> value."""
    kind: str
    """The kind of the verdict: selected, tied or underpowered."""
    sentence: str
    """The verdict in words."""
    study_id: str


def sorted_studies(campaign: Campaign) -> list[Study]:
    """Return the studies of a campaign, each after the studies that it takes values from.

    Raises:
        StudyError: a study does not exist, or studies need each other in a circle.
    """
    studies = {study.name: study for study in campaign.load_studies()}
    graph = {name: [each for each in required_studies(study) if each in studies] for name, study in studies.items()}
    try:
        return [studies[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        raise campaign.error(("studies",), f"{' needs '.join(error.args[1])}: the studies need each other") from error


def selections(engine: Engine | None, study: Study, scale: str) -> dict[str, Selection]:
    """Return the verdicts that a study needs, each from the newest version in the ledger, by study.

    Raises:
        StudyError: a needed study was not run at this scale, is not finished, or chose no arm.
    """
    return {name: _selection(engine, study, name, scale) for name in required_studies(study)}


def _selection(engine: Engine | None, study: Study, name: str, scale: str) -> Selection:
    hint = f"ablate run {name} --scale {scale}, or ablate campaign"
    rows = [row for row in read.studies(engine) if (row.name, row.scale) == (name, scale)] if engine else []
    if not rows:
        raise study.error((), f"takes a value from the verdict of {name}, which was not run at scale {scale}", hint)
    row = max(rows, key=lambda each: each.version)
    if row.state not in ("COMPLETED", "COMPLETED_WITH_FAILURES"):
        raise study.error((), f"takes a value from the verdict of {name}, which is {row.state.lower()}", hint)
    results = study_results(engine, row) if engine else None
    if results is None or results.verdict.chosen is None:
        verdict = results.verdict if results else None
        raise StudyError(study.path, 0, f"takes a value from the verdict of {name}, which is "
                         f"{verdict.kind if verdict else 'unknown'}: {verdict.sentence if verdict else ''}")
    return Selection(levels=results.arm(results.verdict.chosen).levels, kind=results.verdict.kind,
                     sentence=results.verdict.sentence, study_id=row.study_id)


def chosen_in(spec: Mapping[str, Any]) -> dict[str, Selection]:
    """Return the verdicts that a submitted study was planned with, by study.

    Args:
        spec: the spec of the study, from the ledger.
    """
    verdicts = spec.get("verdicts", {})
    return {name: Selection(levels=levels, **verdicts[name]) for name, levels in spec.get("selections", {}).items()}


def plan_arguments(chosen: Mapping[str, Selection]) -> dict[str, Any]:
    """Return the arguments `selections` and `verdicts` of `Planner`.

    They are separate because the spec hash includes the levels, but not the words of the verdicts.
    """
    return {"selections": {name: dict(each.levels) for name, each in chosen.items()},
            "verdicts": {name: {"kind": each.kind, "sentence": each.sentence, "study_id": each.study_id}
                         for name, each in chosen.items()}}

