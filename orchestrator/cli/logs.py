"""`ablate logs`: print the logs of a study's attempts."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.text import Text

from orchestrator import formatting
from orchestrator.artifacts.opening import artifacts_of
from orchestrator.artifacts.store import LOG, PROGRESS, Artifacts
from orchestrator.cli.console import err, out, print_json, state_text
from orchestrator.cli.context import readable_ledger
from orchestrator.cli.options import json_document, json_option, known_scale_option, study_argument
from orchestrator.errors import StudyError
from orchestrator.execution.record import log_tail
from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine
from orchestrator.ledger.naming import ledger_id
from orchestrator.ledger.rows import AttemptRow
from orchestrator.results.planning import study_name
from orchestrator.states import LIVE_ATTEMPTS, TERMINAL_STUDIES, AttemptState

_LINE_BYTES = 200
"""Bytes that are read for each requested line."""
LOOK_EVERY_S = 0.5


@click.command(epilog=json_document("""
    [{"stage_id", "label", "attempt_no", "state", "started_at", "ended_at", "path", "failure": {"kind", "message",
      "traceback"} or null, "last_report": of its progress, "tail"}]"""))
@study_argument
@known_scale_option
@click.option("--stage", default=None, metavar="TEXT",
              help="Stages whose label contains this text, or whose id starts with it.")
@click.option("--lines", default=20, show_default=True, type=click.IntRange(0),
              help="How many of the last lines of each log to print.")
@click.option("--follow", is_flag=True, help="Keep printing new lines of running attempts until the study has ended.")
@json_option
def logs(study: str, scale: str | None, stage: str | None, lines: int, follow: bool, as_json: bool) -> None:
    """Print the logs of a study's attempts: of those that run or failed, or of the stages of --stage."""
    settings, engine = readable_ledger()
    artifacts, row = artifacts_of(settings, ledger_id(engine)), read.study(engine, study_name(study), scale)
    shown = _wanted(read.attempts(engine, row.study_id), stage, row.name)
    if as_json:
        print_json([_document(artifacts, each, lines) for each in shown])
        return
    if not shown:
        err().print(f"no attempt of {row.name} runs or failed; --stage shows others")
    for each in shown:
        _print(artifacts, each, lines)
    if follow:
        _follow(engine, artifacts, row.study_id, stage)


def _wanted(attempts: Sequence[AttemptRow], stage: str | None, study: str) -> list[AttemptRow]:
    if stage is None:
        return [each for each in attempts if each.state != AttemptState.SUCCEEDED]
    found = [each for each in attempts if stage in each.label or each.stage_id.startswith(stage)]
    if not found:
        labels = ", ".join(sorted({each.label for each in attempts})[:8]) or "none yet"
        raise StudyError(study, 0, f"no started stage matches {stage!r}", f"started: {labels}")
    return found


def _document(artifacts: Artifacts, each: AttemptRow, lines: int) -> dict[str, object]:
    folder = artifacts.fetch_record(each.stage_id, each.attempt_no)
    return {"stage_id": each.stage_id, "label": each.label, "attempt_no": each.attempt_no, "state": each.state,
            "started_at": each.started_at, "ended_at": each.ended_at, "path": str(folder / LOG), "failure": each.failure,
            "last_report": _last_report(folder / PROGRESS), "tail": _tail(artifacts, each, lines)}


def _tail(artifacts: Artifacts, each: AttemptRow, lines: int) -> str:
    text = log_tail(artifacts.attempt_dir(each.stage_id, each.attempt_no), num_bytes=lines * _LINE_BYTES)
    return "\n".join(text.splitlines()[-lines:]) if lines else ""


def _last_report(path: Path) -> dict[str, object]:
    """Return the last complete report of an attempt, {} if there is none."""
    lines = path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines() if path.is_file() else []
    return json.loads(lines[-1]) if lines else {}


def _print(artifacts: Artifacts, each: AttemptRow, lines: int) -> None:
    folder, failure = artifacts.fetch_record(each.stage_id, each.attempt_no), each.failure or {}
    report = {name: value for name, value in _last_report(folder / PROGRESS).items() if name not in ("at", "started")}
    head = Text.assemble(
        (each.label, "bold"), f", attempt {each.attempt_no}: ", state_text(each.state), f"  {folder / LOG}"
    )
    last = (
        f"last report: {', '.join(f'{name} {formatting.number(value)}' for name, value in report.items())}"
        if report
        else ""
    )
    for text in (head, last, _tail(artifacts, each, lines), failure.get("traceback", ""), failure.get("message", "")):
        if text:
            out().print(text if isinstance(text, Text) else Text(str(text).rstrip()), soft_wrap=True)


def _follow(engine: Engine, artifacts: Artifacts, study_id: str, stage: str | None) -> None:
    """Print what live attempts write from now on; attempts that start meanwhile are printed from their beginning."""
    positions: dict[Path, int] = {}
    is_first, is_over = True, False
    while not is_over:
        is_over = read.study(engine, study_id).state in TERMINAL_STUDIES
        for each in read.attempts(engine, study_id):
            path = artifacts.attempt_dir(each.stage_id, each.attempt_no) / LOG
            if each.state in LIVE_ATTEMPTS and path.is_file() and (stage is None or stage in each.label):
                positions.setdefault(path, path.stat().st_size if is_first else 0)
            if path in positions:
                positions[path] = _print_from(path, positions[path], each.label)
        is_first = False
        if not is_over:
            time.sleep(LOOK_EVERY_S)


def _print_from(path: Path, position: int, label: str) -> int:
    """Print the complete lines of a log after a position; return the position after them."""
    with path.open("rb") as file:
        file.seek(position)
        whole, newline, _ = file.read().rpartition(b"\n")
    for line in whole.decode(errors="replace").splitlines():
        out().print(Text.assemble((f"{label} | ", "dim"), line), soft_wrap=True)
    return position + len(whole) + len(newline)
