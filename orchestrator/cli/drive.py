"""`ablate submit`, `drive` and `share`: queue a study, run the driver, and divide its slots among studies."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from orchestrator.cli.console import DONE, TRY_AGAIN, err, out, print_json, state_text
from orchestrator.cli.context import ledger, writable_ledger
from orchestrator.cli.options import (
    json_document,
    json_option,
    known_scale_option,
    pasteable,
    scale_option,
    study_argument,
)
from orchestrator.cli.run import LOOK_EVERY_S, submitted, update_option
from orchestrator.driver.loop import DriverView, Exit
from orchestrator.driver.loop import drive as drive_ledger
from orchestrator.errors import OrchestratorError, StudyError
from orchestrator.execution.ray.jobs import DriverJob, fate, launch
from orchestrator.ledger import actions, read
from orchestrator.ledger.actions import whoami
from orchestrator.ledger.engine import Engine
from orchestrator.ledger.rows import StudyRow
from orchestrator.results.planning import load_plan, study_name
from orchestrator.settings import Settings
from orchestrator.states import LIVE_STUDIES

START_S = 120.0
"""Seconds that a driver on the cluster has to take the lease: it imports, and may have to wait for a core."""
PULSE_S = 5.0
"""Seconds between two writes of `--health`."""
_WORDS = {
    Exit.FINISHED: "the study has ended",
    Exit.PAUSED: "the study is paused",
    Exit.STOPPED: "stopped; running stages have saved a checkpoint",
    Exit.FENCED: "another driver took over",
}


_shares = (
    click.option("--priority", type=int, default=None,
                 help="Studies with a higher number are served first; the default is 0."),
    click.option(
        "--max-slots", type=click.IntRange(0), default=None,
        help="The most slots that the study may hold at once; 0 means no limit."
    ),
)


def share_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for a study's share of the slots."""
    for option in reversed(_shares):
        command = option(command)
    return command


@click.command(epilog=json_document("""
    {"study_id", "name", "scale", "version", "state", "is_driven": whether a driver is running, "priority", "max_slots",
     "ray_job": {"ray_job_id", "is_new", "address"} or null}"""))
@study_argument
@scale_option
@update_option
@share_options
@click.option("--resume", "may_reopen", is_flag=True, help="Let it go on if it was paused, cancelled or failed.")
@json_option
def submit(
    study: str, scale: str, update: bool, priority: int | None, max_slots: int | None, may_reopen: bool, as_json: bool
) -> None:
    """Queue a study for a driver. If ABLATE_RAY_JOBS is set, start a driver on that Ray cluster.

    Submitting again changes only priority and slot limit, and uses the driver that is running. A study that was paused
    or cancelled stays so.
    """
    settings, engine = ledger()
    made = load_plan(study, scale, settings)[1]
    if max_slots and made.workers > max_slots:
        raise StudyError(
            made.study.name,
            0,
            f"--max-slots is {max_slots}, but each training stage takes {made.workers} slots",
            f"allowed: 0 (no limit), or at least {made.workers}",
        )
    row, _ = submitted(settings, engine, made, update=update, may_reopen=may_reopen)
    now = actions.share(engine, row.study_id, priority=priority, max_slots=max_slots, actor=whoami(engine))
    ray_job = launch(settings, row.study_id) if settings.ray_jobs and row.state in LIVE_STUDIES else None
    is_driven = _wait_for_driver(settings, engine, ray_job) if ray_job else _is_driven(engine)
    if as_json:
        print_json({"study_id": row.study_id, "name": row.name, "scale": row.scale, "version": row.version, "state": row.state,
                    "is_driven": is_driven, "priority": now[0], "max_slots": now[1], "ray_job": ray_job})
        return
    fate = _fate(row, is_driven=is_driven or ray_job is not None)
    out().print(
        Text.assemble(f"{row.name} at scale {row.scale}, version {row.version}: ", state_text(row.state), f"; {fate}")
    )
    if ray_job:
        out().print(
            f"driver: Ray job {ray_job.ray_job_id} at {ray_job.address}"
            f"{'' if ray_job.is_new else ', which was running already'}"
        )


def _is_driven(engine: Engine) -> bool:
    driver = read.driver(engine)
    return driver is not None and driver.is_live


def _wait_for_driver(settings: Settings, engine: Engine, ray_job: DriverJob) -> bool:
    """Wait until the job's driver holds the ledger's lease, or watches one who does; False if it takes too long.

    Raises:
        OrchestratorError: the job ended instead; with the end of its log.
    """
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        now = fate(settings, ray_job.ray_job_id)
        if now.is_running and _is_driven(engine):
            return True
        if now.is_over and ray_job.is_new:
            raise OrchestratorError(f"the driver's Ray job {ray_job.ray_job_id} ended at once; its log ends:\n{now.log}\n"
                                    "hint: the study is in the ledger; mend this and submit it again")
        time.sleep(LOOK_EVERY_S)
    err().print(f"the driver's Ray job has not begun to drive within {START_S:.0f} s; `ray job logs {ray_job.ray_job_id}` says more",
                style="yellow")
    return False


def _fate(row: StudyRow, *, is_driven: bool) -> str:
    """Return what a person may do next."""
    if row.state not in LIVE_STUDIES:
        return pasteable("status", row.name, row.scale)
    return pasteable("watch", row.name, row.scale) if is_driven else f"no driver is running: {pasteable('run', row.name, row.scale)}"


@click.command(epilog="If several are started, one is the driver and the others stand by: the ledger's lease decides.")
@click.option("--until", default=None, metavar="STUDY", help="Exit when this study has ended; by default never exit.")
@click.option("--health", default=None, metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
              help="Write `holds` or `watches` the lease into this file, every few seconds while it is at work.")
@click.pass_context
def drive(ctx: click.Context, until: str | None, health: Path | None) -> None:
    """Run the driver for every study that is submitted, now or later. Ctrl+C lets running stages save, then exits."""
    settings, engine = ledger()
    study_id = read.study(engine, study_name(until)).study_id if until else None
    engine.dispose()
    err().print(f"driving {until or 'all submitted studies'} on {settings.slots} slots")
    ended = drive_ledger(settings, until=study_id, on_tick=_Pulse(health).beat if health else None)
    err().print(_WORDS[ended])
    ctx.exit(DONE if ended in (Exit.FINISHED, Exit.STOPPED) else TRY_AGAIN)


class _Pulse:
    """Writes into a file whether the driver is at work: a health check that costs a look at the file's age."""

    def __init__(self, file: Path) -> None:
        self._file, self._next_at = file, 0.0

    def beat(self, view: DriverView) -> None:
        """Write, unless it was a moment ago."""
        if time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + PULSE_S
            temporary = self._file.with_name(f".{self._file.name}.tmp")
            temporary.write_text(f"{'holds' if view.is_driver else 'watches'} the lease; {view.trouble or 'all is well'}\n")
            temporary.replace(self._file)


@click.command(epilog=json_document("""
    {"study_id", "name", "scale", "priority", "max_slots" (0: no limit)}"""))
@study_argument
@known_scale_option
@share_options
@json_option
def share(study: str, scale: str | None, priority: int | None, max_slots: int | None, as_json: bool) -> None:
    """Change how a study shares the slots with others: its priority and its slot limit.

    Among studies with the same priority, the one that holds the fewest slots gets the next free one.
    """
    _, engine = writable_ledger()
    row = read.study(engine, study_name(study), scale)
    now = actions.share(engine, row.study_id, priority=priority, max_slots=max_slots, actor=whoami(engine))
    if as_json:
        print_json(
            {"study_id": row.study_id, "name": row.name, "scale": row.scale, "priority": now[0], "max_slots": now[1]}
        )
        return
    cap = f"at most {now[1]} slots" if now[1] else "no slot limit"
    out().print(Text.assemble((row.name, "bold"), f" at scale {row.scale}: priority {now[0]}, {cap}"))
