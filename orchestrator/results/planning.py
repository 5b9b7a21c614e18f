"""A study from its file or its name to its plan: what a person names, with what the ledger knows of it."""

from __future__ import annotations

from functools import partial

from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine, has_ledger, open_for_reading
from orchestrator.ledger.summaries import measured_rates
from orchestrator.plan.layers import required_studies
from orchestrator.plan.plan import Plan, Planner
from orchestrator.results.campaign import plan_arguments, selections
from orchestrator.settings import Settings
from orchestrator.study import library
from orchestrator.study.catalogue import catalogue_of
from orchestrator.study.documents import load_scale
from orchestrator.study.documents import read as read_document
from orchestrator.study.strict_yaml import ParsedYaml
from orchestrator.study.study import Study, load_study


def existing_ledger(settings: Settings) -> Engine | None:
    """Open the ledger for reading, or return None if there is none."""
    return open_for_reading(settings.ledger_url) if has_ledger(settings.ledger_url) else None


def study_name(name_or_path: str) -> str:
    """Return the name of a study in the ledger, given that name or the path of its file."""
    return load_study(name_or_path).name if library.is_path(name_or_path) else name_or_path


def load_plan(name_or_path: str, scale: str, settings: Settings) -> tuple[Study, Plan]:
    """Load a study and plan it.

    `operator:NAME` checkpoints are in the folder `checkpoints` of ABLATE_HOME; data sets are where the catalogue says.
    """
    study = find_study(name_or_path, scale, settings)
    return study, plan_study(study, scale, settings)


def find_study(name_or_path: str, scale: str, settings: Settings) -> Study:
    """Load a study by path or by name. A name that the library does not have is looked up in the ledger.

    Raises:
        StudyError: the study is invalid (with file and line), or nothing has that name.
    """
    if library.is_path(name_or_path) or name_or_path in library.names("study"):
        return load_study(name_or_path)
    engine = existing_ledger(settings)
    rows = [row for row in read.studies(engine) if row.name == name_or_path] if engine else []
    if not rows:
        return load_study(name_or_path)
    row = max(rows, key=lambda each: (each.scale == scale, each.version))
    return read_document(Study, ParsedYaml(f"{row.name} (version {row.version} in the ledger)", row.spec["study"], {}))


def plan_study(study: Study, scale: str, settings: Settings) -> Plan:
    """Plan a study; values `from_selection` come from the verdicts in the ledger."""
    return planner_of(study, scale, settings).plan()


def planner_of(study: Study, scale: str, settings: Settings) -> Planner:
    """Return the planner of a study, with the operator's checkpoints, catalogue and verdicts."""
    known = load_scale(scale)
    engine = existing_ledger(settings) if required_studies(study) or study.budget else None
    chosen = selections(engine, study, known.name) if required_studies(study) else {}
    measured = measured_rates(engine, known.name) if engine and study.budget else None
    return Planner(study, known, checkpoints=settings.home / "checkpoints", catalogue=partial(catalogue_of, settings),
                   measured=measured, **plan_arguments(chosen))
