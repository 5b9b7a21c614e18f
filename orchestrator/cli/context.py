"""What subcommands begin with: the settings, the ledger, a study's name, a study's plan."""

from __future__ import annotations

from functools import partial

from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine, has_ledger, open_for_reading, open_ledger
from orchestrator.plan.plan import Plan, Planner
from orchestrator.results.campaign import plan_arguments, required_studies, selections
from orchestrator.settings import OFF, Settings
from orchestrator.study import library
from orchestrator.study.catalogue import catalogue_of
from orchestrator.study.documents import load_scale
from orchestrator.study.study import Study, load_study


def ledger() -> tuple[Settings, Engine]:
    """Open the ledger that the settings name; an empty one is made if there is none."""
    settings = Settings.load()
    return settings, open_ledger(settings.ledger_url)


def readable_ledger() -> tuple[Settings, Engine]:
    """Open the ledger that the settings name for reading, which leaves no trace on the disk; there may be none."""
    settings = Settings.load()
    return settings, open_for_reading(settings.ledger_url)


def existing_ledger(settings: Settings) -> Engine | None:
    """Open the ledger for reading if there is one."""
    return open_for_reading(settings.ledger_url) if has_ledger(settings.ledger_url) else None


def num_unsent(settings: Settings, engine: Engine) -> int:
    """Return how many events wait for MLflow; none does where nothing is sent."""
    return 0 if settings.mlflow_uri == OFF else read.outbox_lag(engine)


def study_name(name_or_path: str) -> str:
    """Return the name under which the ledger keeps a study: of a file its `name`, else what was given."""
    return load_study(name_or_path).name if library.is_file(name_or_path) else name_or_path


def load_plan(name_or_path: str, scale: str, settings: Settings) -> tuple[Study, Plan]:
    """Load a study and plan it; `operator:NAME` checkpoints lie in the home's folder `checkpoints`, data where its catalogue says."""
    study = load_study(name_or_path)
    return study, plan_study(study, scale, settings)


def plan_study(study: Study, scale: str, settings: Settings) -> Plan:
    """Plan a study; values `from_selection` come from the verdicts in the ledger."""
    known = load_scale(scale)
    chosen = selections(existing_ledger(settings), study, known.name) if required_studies(study) else {}
    return Planner(study, known, checkpoints=settings.home / "checkpoints", catalogue=partial(catalogue_of, settings),
                     **plan_arguments(chosen)).plan()
