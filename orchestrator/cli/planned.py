"""From a study's name to its plan, the same way for every subcommand."""

from __future__ import annotations

from functools import partial

from orchestrator.cli.store import existing_ledger
from orchestrator.plan.plan import Plan, make_plan
from orchestrator.results.campaign import for_plan, references, selections
from orchestrator.settings import Settings
from orchestrator.study.catalogue import catalogue_of
from orchestrator.study.study import Study, load_study


def planned(name_or_path: str, scale: str, settings: Settings) -> tuple[Study, Plan]:
    """Load a study and plan it; `operator:NAME` checkpoints lie in the home's folder `checkpoints`, data where its catalogue says."""
    study = load_study(name_or_path)
    return study, plan_of(study, scale, settings)


def plan_of(study: Study, scale: str, settings: Settings) -> Plan:
    """Plan a study; values `from_selection` come from the verdicts in the ledger."""
    chosen = selections(existing_ledger(settings), study, scale) if references(study) else {}
    return make_plan(study, scale, checkpoints=settings.home / "checkpoints", catalogue=partial(catalogue_of, settings),
                     **for_plan(chosen))
