"""`ablate run` and `watch`: run a study to its end and print its verdict.

- `run` submits the study, then becomes the ledger's driver; if there is one already, it watches that one.
- Finished stages are not executed again: a second `run` resumes, or reports that there is nothing to do.
- Progress goes to standard error, results to standard output.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass

import click
from rich.text import Text

from orchestrator.cli.console import DONE, FAILED, TRY_AGAIN, err, out, print_json
from orchestrator.cli.context import ledger, readable_ledger
from orchestrator.cli.options import (
    json_document,
    json_option,
    known_scale_option,
    pasteable,
    scale_option,
    study_argument,
)
from orchestrator.cli.plan import print_plan
from orchestrator.cli.progress_bar import Reporter
from orchestrator.cli.results_table import print_results
from orchestrator.driver.loop import DriverView, Exit, drive
from orchestrator.driver.submission import enter, refuse_what_never_fits
from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine
from orchestrator.ledger.rows import StudyRow
from orchestrator.ledger.submit import refuse_changed, refuse_incomplete
from orchestrator.plan.plan import Plan
from orchestrator.results.planning import load_plan, study_name
from orchestrator.results.preview import document, preview
from orchestrator.results.progress import progress
from orchestrator.results.rehearsals import rehearsed_rates
from orchestrator.results.results import report_path, study_results
from orchestrator.settings import Settings, redact
from orchestrator.states import TERMINAL_STUDIES, StudyState

LOOK_EVERY_S = 0.5
"""Seconds between two reads of the ledger while a study runs."""

update_option = click.option("--update", is_flag=True, help="Submit a changed file as a new version of the study.")
_RESULTS = """
    the document of `ablate results --json`; progress goes to standard error"""


@click.command(epilog=json_document(_RESULTS))
@study_argument
@scale_option
@update_option
@click.option("--dry-run", is_flag=True, help="Do all checks of a run and print the plan, but submit and run nothing.")
@json_option
@click.pass_context
def run(ctx: click.Context, study: str, scale: str, update: bool, dry_run: bool, as_json: bool) -> None:
    """Run a study to its end, or resume it.

    Ctrl+C lets running stages save a checkpoint; another `ablate run` continues from there.
    """
    if dry_run:
        _rehearse_entry(study, scale, update=update, as_json=as_json)
        return
    settings, engine = ledger()
    study_id, ended = run_to_end(settings, engine, load_plan(study, scale, settings)[1], update=update)
    _conclude(ctx, settings, engine, study_id, ended, as_json=as_json)


def _rehearse_entry(study: str, scale: str, *, update: bool, as_json: bool) -> None:
    """Do all checks of a run without submitting anything, and print the plan as `ablate plan` does."""
    settings, engine = readable_ledger()
    plan = load_plan(study, scale, settings)[1]
    unchecked = refuse_what_never_fits(settings, plan)
    if unchecked:
        err().print(unchecked, style="yellow")
    refuse_incomplete(plan, slots=settings.slots)
    if not update:
        refuse_changed(engine, plan)
    shown = preview(plan, engine, slots=settings.slots, rehearsed=rehearsed_rates(settings.home, plan.scale))
    if as_json:
        print_json(document(shown))
        return
    print_plan(shown)
    err().print("this was a dry run: nothing was submitted or run")


def run_to_end(settings: Settings, engine: Engine, plan: Plan, *, update: bool) -> tuple[str, Exit]:
    """Submit a planned study, drive or watch it to its end, and return its id and how it ended."""
    row, begun = submitted(settings, engine, plan, update=update, may_reopen=True)
    if begun == StudyState.COMPLETED:
        err().print(f"{row.name}: nothing to do, all {row.stages_total} stages are in the ledger already")
        return row.study_id, Exit.FINISHED
    with Reporter() as reporter:
        look = _Look(engine, settings, row.study_id, reporter)
        ended = drive(settings, until=row.study_id, on_tick=look.tick)
        look.now()
    return row.study_id, ended


@click.command(epilog=json_document(_RESULTS))
@study_argument
@known_scale_option
@json_option
@click.pass_context
def watch(ctx: click.Context, study: str, scale: str | None, as_json: bool) -> None:
    """Follow a study that another process runs. Ctrl+C ends `watch`, not the study."""
    settings, engine = readable_ledger()
    study_id = read.study(engine, study_name(study), scale).study_id
    with Reporter() as reporter:
        look = _Look(engine, settings, study_id, reporter)
        while look.now() not in (*TERMINAL_STUDIES, StudyState.PAUSED):
            time.sleep(LOOK_EVERY_S)
    state = read.study(engine, study_id).state
    _conclude(
        ctx, settings, engine, study_id, Exit.PAUSED if state == StudyState.PAUSED else Exit.FINISHED, as_json=as_json
    )


@dataclass(slots=True)
class _Look:
    """Reads the ledger now and then and shows the progress."""

    engine: Engine
    settings: Settings
    study_id: str
    reporter: Reporter
    clock: Callable[[], float] = time.monotonic
    next_at: float = 0.0
    trouble: str = ""

    def tick(self, view: DriverView) -> None:
        """Show progress unless that was a moment ago. Show at once why the driver cannot continue."""
        if view.trouble != self.trouble:
            self.trouble = view.trouble
            err().print(self.trouble or "the study continues", style="yellow")
        if self.clock() >= self.next_at:
            self.now()

    def now(self) -> StudyState:
        """Show the progress, and return the study's state."""
        self.next_at = self.clock() + LOOK_EVERY_S
        row = read.study(self.engine, self.study_id)
        self.reporter.show(progress(self.engine, row, slots=self.settings.slots))
        return StudyState(row.state)


def submitted(
    settings: Settings, engine: Engine, plan: Plan, *, update: bool, may_reopen: bool
) -> tuple[StudyRow, StudyState]:
    """Enter the study; return its row and the state it was found in.

    Args:
        settings: of the operator.
        engine: the ledger.
        plan: of the study at a scale.
        update: whether a changed file under a known name is taken as a new version.
        may_reopen: whether one that was paused, cancelled or failed goes on; otherwise it stays as somebody left it.
    """
    entered = enter(settings, engine, plan, update=update, may_reopen=may_reopen)
    row, found = entered.row, entered.found
    if entered.unchecked:
        err().print(entered.unchecked, style="yellow")
    if entered.had_stopped:
        reason = f" ({entered.reason})" if entered.reason else ""
        was = f"{found.replace('_', ' ').lower()}{reason}"
        if may_reopen:
            err().print(f"{row.name} was {was}; it continues, finished stages are kept")
        else:
            err().print(f"{row.name} is {was} and stays so; `{pasteable('resume', row.name, row.scale)}`, or --resume, lets it go on",
                        style="yellow")
    elif found == StudyState.QUEUED and plan.num_unique:
        err().print(
            f"{row.name}: {row.num_trials} trials need {plan.num_requested} stages, {plan.num_unique} of them unique, "
            f"on {settings.slots} slots"
        )
    return row, found


def _conclude(
    ctx: click.Context, settings: Settings, engine: Engine, study_id: str, ended: Exit, *, as_json: bool
) -> None:
    """Print the results, and exit with the code for how the study ended."""
    row = read.study(engine, study_id)
    found = study_results(engine, row)
    if as_json:
        print_json(found.to_json())
    elif found.counts.trials_done or ended is Exit.FINISHED:
        out().print()
        print_results(out(), found)
    _tell(row, ended)
    if ended is Exit.FINISHED and not as_json:
        _point(settings, row)
    ctx.exit(exit_code(row, ended))


def _tell(row: StudyRow, ended: Exit) -> None:
    """Print on standard error why the study did not simply succeed."""
    again = pasteable("run", row.name, row.scale)
    if ended is Exit.FENCED:
        err().print(f"another driver took over; `{pasteable('watch', row.name, row.scale)}` follows it", style="yellow")
    elif ended is Exit.STOPPED:
        err().print(f"stopped at {row.stages_done} of {row.stages_total} stages; `{again}` goes on from there", style="yellow")
    elif ended is Exit.PAUSED:
        reason = f" ({row.reason})" if row.reason else ""
        err().print(f"{row.name} is paused{reason}; `{again}` continues it", style="yellow")
    elif row.reason:
        err().print(f"{row.name}: {row.reason}", style="yellow")
    if ended is Exit.FINISHED and row.stages_failed:
        err().print(
            f"{row.stages_failed} stages failed, diverged or were skipped: "
            f"`{pasteable('status', row.name, row.scale)}` shows why",
            style="yellow",
        )


def _point(settings: Settings, row: StudyRow) -> None:
    """Print where to find more."""
    uri = redact(settings.mlflow_uri)
    lines = [("report", f"{pasteable('report', row.name, row.scale)}   writes {report_path(settings.home, row)}"),
             ("dashboard", "make dashboard   (or: ablate dashboard)   http://127.0.0.1:8501")]
    if uri.startswith("http"):
        lines.append(("every trial", uri))
    elif uri != "off":
        lines.append(("every trial", f"mlflow ui --backend-store-uri {shlex.quote(uri)}"))
    for name, text in lines:
        out().print(Text.assemble((f"{name + ':':<13}", "bold"), text), soft_wrap=True)


def exit_code(row: StudyRow, ended: Exit) -> int:
    """Return the exit code for how a study ended."""
    if ended is not Exit.FINISHED:
        return TRY_AGAIN
    return DONE if row.state == StudyState.COMPLETED else FAILED
