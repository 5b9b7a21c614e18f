"""The command `ablate`.

- Subcommands are imported when they are called (click's lazy group), so that `plan`, `status` and `results` start fast:
  they load neither torch nor ray, mlflow, optuna, matplotlib or streamlit (a test checks this).
- Errors become messages in one place: bad input gives path, line, problem and hint on standard error, never a
  traceback.
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
from orchestrator.settings import RedactingFormatter, take_secret_files

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("init", "Write a commented study file to start from."),
    "studies": ("studies", "List all studies by name, and the state of each."),
    "validate": ("planning.validate", "Check a study file, and print its size and its data."),
    "plan": ("plan", "Show arms, trials, stages, cost and time before anything runs."),
    "explain": ("planning.explain", "Say why a stage is new: which field of which file differs from the nearest one."),
    "rehearse": ("planning.rehearse", "Try two steps of each training stage and two items of each benchmark; finds what is missing."),
    "factors": ("plan", "List every path that a study may vary, with type, default and meaning."),
    "run": ("run", "Run a study to its end, or resume it."),
    "campaign": ("campaign", "Run studies in dependency order; later ones use the verdicts of earlier ones."),
    "drive": ("drive", "Run the driver for every study that is submitted."),
    "up": ("up", "Start a whole cluster on this host: PostgreSQL, MLflow, Ray, driver, dashboard."),
    "down": ("up", "End what `ablate up` started."),
    "submit": ("drive", "Queue a study for a driver, on a Ray cluster if one is configured."),
    "watch": ("run", "Follow a study that another process runs."),
    "status": ("status", "Show all studies in the ledger, or one."),
    "results": ("status", "Print scores with intervals, differences to the baseline and the verdict."),
    "items": ("items", "Show single answers: question, reference, prediction, score, and the image."),
    "lmms": ("lmms", "Show lmms-eval's scores beside a study's own, or how to evaluate its checkpoints there."),
    "rescore": ("rescore", "Score stored answers again, with other scoring choices; writes nothing."),
    "diff": ("diff", "Compare two studies, or two versions of one."),
    "ladder": ("planning.ladder", "Compare a study at several scales: may the small one be trusted, where do arms go?"),
    "logs": ("logs", "Print the logs of attempts that run or failed."),
    "export": ("records.export", "Write a study's results as a record that can be committed: scores of every item, no weights."),
    "import": ("records.export", "Enter records of results into the ledger; no weights come with them."),
    "paper": ("records.paper", "Hold the studies' verdicts and scores beside what the paper published."),
    "report": ("report", "Write a self-contained HTML report."),
    "mixture": ("mixture", "Export arms as mixtures, or let a surrogate propose the next mixture."),
    "share": ("drive", "Change a study's share of the slots: its priority and its slot limit."),
    "query": ("query", "Find past trials in MLflow with its filter language."),
    "pause": ("control", "Pause a study; running stages save a checkpoint and stop."),
    "resume": ("control", "Continue a paused, failed or cancelled study."),
    "cancel": ("control", "Stop a study; finished stages are kept."),
    "data": ("data.group", "List the training data, and check the configured data sets."),
    "gc": ("gc", "Remove artifacts to which the ledger does not point."),
    "backup": ("backup", "Write the ledger to a file, also while studies run."),
    "restore": ("backup", "Restore the ledger from such a file."),
    "mlflow": ("query", "Rebuild the MLflow store from the ledger (`ablate mlflow sync`)."),
    "ledger": ("ledger", "Verify the ledger, upgrade one of an older release, or let people in."),
    "doctor": ("doctor.command", "Check the set-up, and say how to fix what is wrong."),
    "settings": ("settings", "List every setting: its value, its source and its meaning."),
    "statistics": ("statistics", "Check intervals and verdicts by simulation, and show which benchmarks tell arms apart."),
    "dashboard": ("dashboard", "Start the dashboard and open it in the browser."),
    "completion": ("init", "Print a script that makes a shell complete subcommands and studies."),
}
"""Subcommand -> its module in `orchestrator.cli`, and its line in the help."""
GROUPS = {
    "Before a study runs": ("init", "studies", "validate", "plan", "explain", "rehearse", "factors"),
    "Run": ("run", "campaign", "submit", "drive", "watch", "pause", "resume", "cancel", "share"),
    "What came out": ("status", "results", "items", "report", "diff", "logs", "dashboard", "query"),
    "More from results": ("paper", "ladder", "export", "import", "rescore", "lmms", "mixture"),
    "Set-up and upkeep": ("up", "down", "doctor", "settings", "data", "gc", "backup", "restore", "ledger", "mlflow",
                          "statistics", "completion"),
}
"""Headings of the help, in the order in which a user needs them."""


class AblateGroup(LazyGroup):
    """The top-level command group."""

    table = COMMANDS
    groups = GROUPS

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run as a program.

        A character that the terminal's encoding lacks is printed as a question mark, not raised.
        """
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        return super().main(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand, and turn our errors into a message and an exit code."""
        try:
            return super().invoke(ctx)
        except OrchestratorError as error:
            raise reported(error) from error


@click.group(cls=AblateGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(None, "-V", "--version", package_name="ablate", prog_name="ablate")
@click.option("-v", "--verbose", is_flag=True, help="Log on standard error what the driver does.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress and no notes, only results and errors.")
def main(verbose: bool, quiet: bool) -> None:
    """Ablation sweeps for multimodal models: run a study, watch it, and read its verdict with intervals.

    A STUDY is the path of a study file (studies/quickstart.yaml) or its name (quickstart). All state is stored in
    ABLATE_HOME, by default .ablate/ in the current project.

    Exit codes: 0 done, 1 failed, 2 bad input, 75 try again.
    """
    take_secret_files()
    level = logging.INFO if verbose else logging.ERROR if quiet else logging.WARNING
    logging.basicConfig(level=level, stream=sys.stderr)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(RedactingFormatter("%(message)s"))


if __name__ == "__main__":
    main()
