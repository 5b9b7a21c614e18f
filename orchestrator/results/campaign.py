"""Campaigns: studies in dependency order; a later one takes values from the verdicts of earlier ones.

- `{from_selection: STUDY}` is what that study's declared rule chose, at the same scale; the kind of the verdict goes along,
  so that a value from a tie is known to be one.
- What was taken is part of the later study's contents: another verdict makes another version of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from orchestrator.errors import StudyError
from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine
from orchestrator.results.results import study_results
from orchestrator.study.study import Campaign, Study, load_study


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a study's verdict chose."""

    levels: Mapping[str, Any]
    """Dotted path -> value of the chosen arm."""
    kind: str
    """selected, tied or underpowered."""
    sentence: str
    study_id: str


def required_studies(study: Study) -> tuple[str, ...]:
    """Return the studies whose verdict this one needs, in the order of the file."""
    return tuple(dict.fromkeys(_references(study.plain())))


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("from_selection"), str):
            yield value["from_selection"]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _references(item)


def sorted_studies(campaign: Campaign) -> list[Study]:
    """Return a campaign's studies, each after those that it takes values from; else in the order of the file.

    Raises:
        StudyError: a study that is not there, or two that wait for each other.
    """
    studies = {name: load_study(name) for name in campaign.studies}
    graph = {name: [each for each in required_studies(study) if each in studies] for name, study in studies.items()}
    try:
        return [studies[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        raise campaign.error(("studies",), f"{' needs '.join(error.args[1])}: they wait for each other") from error


def selections(engine: Engine | None, study: Study, scale: str) -> dict[str, Selection]:
    """Return the verdicts that a study needs, from the newest versions in the ledger.

    Raises:
        StudyError: a study was not run at this scale, is not over, or chose nothing.
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
    found = study_results(engine, row) if engine else None
    if found is None or found.verdict.chosen is None:
        told = found.verdict if found else None
        raise StudyError(study.path, 0, f"takes a value from the verdict of {name}, which is "
                         f"{told.kind if told else 'unknown'}: {told.sentence if told else ''}")
    return Selection(levels=found.arm(found.verdict.chosen).levels, kind=found.verdict.kind, sentence=found.verdict.sentence,
                     study_id=row.study_id)


def chosen_in(spec: Mapping[str, Any]) -> dict[str, Selection]:
    """Return the verdicts that a submitted study was planned with."""
    found = spec.get("verdicts", {})
    return {name: Selection(levels=levels, **found[name]) for name, levels in spec.get("selections", {}).items()}


def plan_arguments(chosen: Mapping[str, Selection]) -> dict[str, Any]:
    """Return verdicts as `Planner` takes them: the levels, which make the contents, apart from the words."""
    return {"selections": {name: dict(each.levels) for name, each in chosen.items()},
            "verdicts": {name: {"kind": each.kind, "sentence": each.sentence, "study_id": each.study_id} for name, each in chosen.items()}}

