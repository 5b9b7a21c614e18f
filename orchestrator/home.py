"""What a notebook needs, in one object: a home with its ledger; load, plan and submit studies, read their results.

It is exported by `import orchestrator`. What it does is what the command `ablate` does, by the same functions.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from orchestrator.analysis.selection import Verdict
from orchestrator.artifacts.opening import artifacts_of
from orchestrator.driver.submission import enter
from orchestrator.errors import OrchestratorError
from orchestrator.ledger import read
from orchestrator.ledger.engine import open_for_reading, open_ledger
from orchestrator.ledger.naming import ledger_id
from orchestrator.plan.plan import Plan
from orchestrator.results.frames import arms_frame, items_frame, trials_frame
from orchestrator.results.items import Wanted
from orchestrator.results.planning import find_study, load_plan, study_name
from orchestrator.results.results import Results, study_results
from orchestrator.settings import Settings
from orchestrator.study.documents import DEFAULT_SCALE, load_scale
from orchestrator.study.study import Study

_LOG = logging.getLogger(__name__)
_STUDY = ("name", "scale", "version", "state", "num_arms", "num_trials", "trials_done", "stages_total", "stages_done")


@dataclass(frozen=True, slots=True)
class StudyResults:
    """What is known of a submitted study at one moment; open it again for a later one."""

    home: Home
    results: Results
    """All of it: metrics, claims, confounds, cost; see `orchestrator.results.results`."""

    @property
    def verdict(self) -> Verdict:
        """What the study's declared rule says: `kind`, `sentence`, `chosen`."""
        return self.results.verdict

    def arms(self) -> pd.DataFrame:
        """Return a row for each arm and metric: mean, half width of its 95 % interval, difference to the baseline, factors by path."""
        return arms_frame(self.results)

    def trials(self) -> pd.DataFrame:
        """Return a row for each trial: arm, seed, state, factors by path, and each metric, 0 to 100."""
        return trials_frame(self.results)

    def items(self, benchmark: str | None = None, *, arm: str | None = None, against: str | None = None,
              seed: int | None = None) -> pd.DataFrame:
        """Return a row for each answer: question, references, prediction, what was read of it, score from 0 to 1, pictures.

        Args:
            benchmark: None for all.
            arm: None for all.
            against: an arm whose answers, of the same seed, stand beside them as `other` and `other_score`.
            seed: None for all.

        Raises:
            StudyError: no such arm, seed or benchmark, or it has no answers yet.
        """
        wanted = Wanted(benchmark=benchmark, arm=arm, against=against, seed=seed)
        settings = self.home.settings
        artifacts = artifacts_of(settings, ledger_id(open_for_reading(settings.ledger_url)))
        return items_frame(self.results, artifacts, wanted)


@dataclass(frozen=True, slots=True)
class Home:
    """A folder of state and its ledger; see `open_home`."""

    settings: Settings

    def studies(self) -> pd.DataFrame:
        """Return a row for each version of a study at a scale that the ledger has, with its state and its progress."""
        rows = read.studies(open_for_reading(self.settings.ledger_url))
        return pd.DataFrame([[getattr(row, name) for name in _STUDY] for row in rows], columns=list(_STUDY))

    def load(self, study: str | Path) -> Study:
        """Load a study by its file, or by its name in the library or the ledger.

        Raises:
            StudyError: what is wrong, with file, line and hint; nothing has that name.
        """
        return find_study(str(study), DEFAULT_SCALE, self.settings)

    def plan(self, study: str | Path, scale: str = DEFAULT_SCALE) -> Plan:
        """Plan a study, given by its file or its name, at a scale: its arms, trials, stages, and their cost. Runs nothing.

        Raises:
            StudyError: what is wrong, with file, line and hint.
        """
        return load_plan(str(study), scale, self.settings)[1]

    def submit(self, plan: Plan, *, update: bool = False, resume: bool = False) -> str:
        """Enter a planned study for a driver (`ablate drive`, or `ablate run` of it) and return its id. Runs nothing itself.

        Args:
            plan: of the study at a scale. Submitting the same one again changes nothing.
            update: allow a changed file under a known name: a new version, which shares all old stages.
            resume: let one that was paused, cancelled or failed go on; otherwise it stays as somebody left it.

        Raises:
            StudyError: data, a checkpoint, a judge or room is missing, or the file changed and `update` was not given.
        """
        entered = enter(self.settings, open_ledger(self.settings.ledger_url), plan, update=update, may_reopen=resume)
        if entered.unchecked:
            _LOG.warning("%s", entered.unchecked)
        return entered.row.study_id

    def results(self, study: str | Path, scale: str | None = None) -> StudyResults:
        """Return what is known of a submitted study, finished or not.

        Args:
            study: its name, its file, or its id.
            scale: a name or a file; None takes the one that was submitted last.

        Raises:
            StudyError: the ledger has no such study.
        """
        engine = open_for_reading(self.settings.ledger_url)
        row = read.study(engine, study_name(str(study)), load_scale(scale).name if scale else None)
        return StudyResults(self, study_results(engine, row))


def open_home(folder: str | Path | None = None, *, ledger: str | None = None) -> Home:
    """Open the folder of state, which need not exist yet.

    Args:
        folder: by default that of ABLATE_HOME, or else `.ablate`. All other settings are read from the environment.
        ledger: the URL of the ledger, `postgresql+psycopg://…` or `sqlite:///…`, in place of ABLATE_LEDGER_URL.

    Raises:
        OrchestratorError: the folder is a file.
    """
    settings = Settings.load(home=folder, ledger=ledger)
    if settings.home.is_file():
        raise OrchestratorError(f"{settings.home} is a file\nhint: a home is the folder that holds `ledger.db` and `artifacts`")
    return Home(settings)
