"""From the text of a study to a plan with its cost, and into the ledger: what the page Submit does. No Streamlit."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from orchestrator import exposure
from orchestrator.errors import StudyError, StudyErrors
from orchestrator.ledger.engine import Engine, open_ledger
from orchestrator.ledger.submit import submit
from orchestrator.plan.layers import required_studies
from orchestrator.plan.needs import Missing, missing
from orchestrator.plan.plan import Planner
from orchestrator.results.campaign import plan_arguments, selections
from orchestrator.results.preview import Preview, preview
from orchestrator.settings import Settings
from orchestrator.study.catalogue import catalogue_of
from orchestrator.study.documents import load_scale
from orchestrator.study.study import load_study

MOST_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One mistake in a study's text."""

    line: int
    """From 1; 0 if it is in no line."""
    message: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A study that can be planned."""

    preview: Preview
    missing: tuple[Missing, ...]
    """What a run would lack here; a study with missing parts is not submitted."""


def planned(source: str, scale: str, settings: Settings, engine: Engine | None) -> Planned | list[Mistake]:
    """Plan a study from its text, or return what is wrong with it.

    Args:
        source: the YAML text.
        scale: name of the scale.
        settings: where data and checkpoints are.
        engine: the ledger, for finished stages and measured speeds; None without one.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="ablate-submit-") as folder:
            path = Path(folder) / "study.yaml"
            path.write_text(source, encoding="utf-8")
            study = load_study(path)
            known = load_scale(scale)
            chosen = selections(engine, study, known.name) if required_studies(study) else {}
            plan = Planner(study, known, checkpoints=settings.home / "checkpoints",
                           catalogue=partial(catalogue_of, settings), **plan_arguments(chosen)).plan()
        shown = preview(plan, engine, slots=settings.slots)
        return Planned(preview=shown, missing=missing(plan, has_judge=bool(settings.judge_url)))
    except StudyError as error:
        errors = error.errors if isinstance(error, StudyErrors) else (error,)
        return [Mistake(line=each.line, message=each.message, hint=each.hint) for each in errors]


def send(found: Planned, settings: Settings, *, update: bool, who: str) -> str:
    """Enter a planned study into the ledger; return its id.

    Args:
        found: the plan.
        settings: of the operator: the ledger, and who may submit.
        update: allow a changed study under a known name: a new version.
        who: the person that asks, who will be in the record.

    Raises:
        NotAllowed: the person may not submit.
        StudyError: something is missing, or the study changed and `update` was not given.
    """
    exposure.refuse_submission(settings, who)
    ledger = open_ledger(settings.dashboard_url)
    try:
        return submit(ledger, found.preview.plan, update=update, actor=who, slots=settings.slots)
    finally:
        ledger.dispose()
