"""Progress while a study runs: a live bar on a terminal, occasional lines in a log."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.cli.console import err, state_text
from orchestrator.ledger.summaries import LiveStage
from orchestrator.results.progress import Progress

LINE_EVERY_S = 10.0
"""Seconds between two lines in a log; a change of the study's state or failures is printed at once."""


class Reporter:
    """Shows progress on standard error: redrawn in place on a terminal, otherwise as occasional lines."""

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console or err()
        self._clock = clock
        self._live = (
            Live(console=self._console, auto_refresh=False, transient=True) if self._console.is_terminal else None
        )
        self._last_at, self._last_key = float("-inf"), ("", -1)

    def __enter__(self) -> Reporter:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, shown: Progress) -> None:
        """Show the newest progress."""
        if self._live:
            self._live.update(screen(shown), refresh=True)
            return
        key = (shown.study.state, shown.failed)
        now = self._clock()
        if key != self._last_key or now - self._last_at >= LINE_EVERY_S:
            self._console.print(line(shown), soft_wrap=True)
            self._last_at, self._last_key = now, key


def line(shown: Progress) -> str:
    """Return one line for a log."""
    parts = [f"{shown.study.name}: {shown.done}/{shown.total} stages"]
    if shown.failed:
        parts.append(f"{shown.failed} failed")
    parts += [_stage_line(stage) for stage in shown.running]
    if not shown.is_terminal:
        parts.append(shown.left_text)
    return " · ".join(parts)


def screen(shown: Progress) -> Group:
    """Return what the terminal shows: the bar, then a line for each running stage."""
    head = Table.grid(padding=(0, 1))
    counts = f"{shown.done}/{shown.total} stages" + (f", {shown.failed} failed" if shown.failed else "")
    bar = ProgressBar(total=1.0, completed=shown.fraction, width=30)
    head.add_row(Text(shown.study.name, style="bold"), bar, counts, state_text(shown.study.state), shown.left_text)
    rows = Table.grid(padding=(0, 2))
    for stage in shown.running:
        rows.add_row(Text("  ▸", style="cyan"), stage.label, ProgressBar(total=1.0, completed=stage.fraction, width=12),
                     *_numbers(stage))
    return Group(head, rows)


def _numbers(stage: LiveStage) -> tuple[str, str, str]:
    step = "starting" if stage.step is None else f"step {stage.step}" + (f"/{stage.steps}" if stage.steps else "")
    loss = "" if stage.loss is None else f"loss {stage.loss:.3f}"
    rate = "" if stage.samples_per_s is None else f"{stage.samples_per_s:.1f} samples/s"
    return step, loss, rate


def _stage_line(stage: LiveStage) -> str:
    return f"{stage.label} {', '.join(text for text in _numbers(stage) if text)}"
