"""The command `ablate`.

- Subcommands are imported when they are called (click's lazy group), so that `plan`, `status` and `results` start at
  once: neither torch nor ray, mlflow, optuna, matplotlib or streamlit is loaded for them (a test looks).
- One place turns errors into words: bad input is path, line, problem and hint on standard error, never a traceback.
- Exit codes: 0 done, 1 failed, 2 bad input, 75 try again (another process is in the way, or work was stopped).
"""

from __future__ import annotations

import io
import logging
import sys
from typing import Any

import click

from orchestrator.cli.console import reported
from orchestrator.cli.lazy import LazyGroup
from orchestrator.errors import OrchestratorError

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("init", "Write a commented study file to start from."),
    "studies": ("studies", "List the studies that there are, by name, and where each stands."),
    "validate": ("planning.validate", "Check a study file; print what it resolves to."),
    "plan": ("plan", "Show arms, trials, stages, cost and time before anything runs."),
    "explain": ("planning.explain", "Say why a stage is new: which field of which file differs from the nearest one."),
    "rehearse": ("planning.rehearse", "Try two steps of each training stage and two items of each benchmark; finds what is missing."),
    "factors": ("plan", "List every path that a study may vary, with type, unit and default."),
    "run": ("run", "Run a study to its end, or resume it."),
    "campaign": ("campaign", "Run studies in dependency order, later ones with the verdicts of earlier ones."),
    "drive": ("drive", "Serve every study that is submitted, for ever."),
    "submit": ("drive", "Enqueue a study for a driver, on a Ray cluster if one is set."),
    "watch": ("run", "Follow a study that another process drives."),
    "status": ("status", "Show all studies in the ledger, or one."),
    "results": ("status", "Print scores with intervals, differences to the baseline and the verdict."),
    "items": ("items", "Show single answers: question, reference, prediction, score, unread or not, and the picture."),
    "lmms": ("lmms", "Show scores of lmms-eval beside a study's own, or how to have its checkpoints evaluated there."),
    "rescore": ("rescore", "Score stored answers again, with other choices; trains and writes nothing."),
    "diff": ("diff", "Compare two studies, or two versions of one."),
    "ladder": ("planning.ladder", "Compare a study at several scales: may the small one be trusted, where do arms go?"),
    "logs": ("logs", "Print the logs of attempts that run or failed."),
    "export": ("export", "Write a study's results as a record that can be committed: scores of every item, no weights."),
    "import": ("export", "Enter records of results into the ledger; no weights come with them."),
    "report": ("report", "Write a self-contained HTML report."),
    "mixture": ("mixture", "Export arms as mixtures, or ask a checked surrogate what to try next."),
    "share": ("drive", "Change how a study shares the slots: its priority, and a cap."),
    "query": ("query", "Find past trials in MLflow, by its filter language."),
    "pause": ("control", "Start no further stages of a study; running ones finish."),
    "resume": ("control", "Let a paused study go on."),
    "cancel": ("control", "Stop a study for good; what is finished stays."),
    "data": ("data.group", "List the training data, and check what is configured."),
    "gc": ("gc", "Remove artifacts that the ledger does not point to."),
    "mlflow": ("query", "Rebuild the MLflow store from the ledger (`ablate mlflow sync`)."),
    "ledger": ("ledger", "Verify the ledger: replay its events against its rows."),
    "doctor": ("doctor", "Say what is wrong with the set-up and how to mend it."),
    "statistics": ("statistics", "Check by simulation that intervals and verdicts hold."),
    "dashboard": ("dashboard", "Open the dashboard in the browser."),
    "completion": ("init", "Print what makes a shell complete subcommands and names of studies."),
}
"""Subcommand -> module in `orchestrator.cli` that holds it, and its line in the help."""
GROUPS = {
    "Before a study runs": ("init", "studies", "validate", "plan", "explain", "rehearse", "factors"),
    "Run": ("run", "campaign", "submit", "drive", "watch", "pause", "resume", "cancel", "share"),
    "What came out": ("status", "results", "items", "report", "diff", "logs", "dashboard", "query"),
    "More from results": ("ladder", "export", "import", "rescore", "lmms", "mixture"),
    "Set-up and upkeep": ("doctor", "data", "gc", "ledger", "mlflow", "statistics", "completion"),
}
"""Headings of the help, in the order in which a user needs them."""


class AblateGroup(LazyGroup):
    """The top of the command."""

    table = COMMANDS
    groups = GROUPS

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run as a program: what the terminal's encoding cannot say is written as a question mark, and ends no command."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        return super().main(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand and turn our errors into a message and an exit code."""
        try:
            return super().invoke(ctx)
        except OrchestratorError as error:
            raise reported(error) from error


@click.group(cls=AblateGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(None, "-V", "--version", package_name="ablate", prog_name="ablate")
@click.option("-v", "--verbose", is_flag=True, help="Tell on standard error what the driver does.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress and no notes: the answer and errors alone.")
def main(verbose: bool, quiet: bool) -> None:
    """Ablation sweeps for multimodal models: run a study, watch it, and read its verdict with intervals.

    A STUDY is the path of a study file (studies/quickstart.yaml) or its name (quickstart).
    All state lives under ABLATE_HOME, by default .ablate/ in the current project.

    Exit codes: 0 done, 1 failed, 2 bad input, 75 try again.
    """
    level = logging.INFO if verbose else logging.ERROR if quiet else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)


if __name__ == "__main__":
    main()
