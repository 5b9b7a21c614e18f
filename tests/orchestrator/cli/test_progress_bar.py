import io
from dataclasses import replace

import pytest
from rich.console import Console

from orchestrator.cli.progress_bar import Reporter, line
from orchestrator.ledger.rows import StudyRow
from orchestrator.ledger.summaries import LiveStage
from orchestrator.plan.estimate import Estimate
from orchestrator.results.progress import Progress

ROW = StudyRow(study_id="s", name="quickstart", scale="tiny", version=1, state="RUNNING", reason="", spec_hash="", spec={},
              priority=0, max_slots=0,
               created_at=0, ended_at=None, num_arms=3, num_trials=9, trials_done=1, stages_total=99, stages_done=12,
               stages_running=1, stages_failed=0, requested_stages=99)
STAGE = LiveStage(stage_id="a", kind="sft", label="sft science=0", flops=1e12, attempt_no=1,
                  progress={"step": 34, "steps": 80, "loss": 1.2071, "samples_per_s": 31.52})


@pytest.fixture
def shown() -> Progress:
    return Progress(study=ROW, total=99, done=12, failed=0, running=(STAGE,), left=Estimate(seconds=75))


def console(stream: io.StringIO, *, is_terminal: bool) -> Console:
    return Console(file=stream, force_terminal=is_terminal, width=120, markup=False, highlight=False)


def test_line_says_stage_step_loss_speed_and_time_left(shown: Progress) -> None:
    assert line(shown) == "quickstart: 12/99 stages · sft science=0 step 34/80, loss 1.207, 31.5 samples/s · 1 min 15 s left"


def test_a_search_says_that_the_time_is_that_of_what_is_planned_so_far(shown: Progress) -> None:
    assert line(replace(shown, study=replace(ROW, grows=True))).endswith("1 min 15 s left for what is planned so far")


def test_log_gets_a_line_now_and_then(shown: Progress) -> None:
    stream, times = io.StringIO(), iter([0.0, 1.0, 9.0, 11.0])
    with Reporter(console(stream, is_terminal=False), clock=lambda: next(times)) as reporter:
        for _ in range(4):
            reporter.show(shown)
    assert len(stream.getvalue().splitlines()) == 2


def test_failure_is_told_at_once(shown: Progress) -> None:
    stream = io.StringIO()
    with Reporter(console(stream, is_terminal=False), clock=lambda: 0.0) as reporter:
        reporter.show(shown)
        reporter.show(replace(shown, failed=1))
    assert "1 failed" in stream.getvalue().splitlines()[1]


def test_terminal_is_redrawn_and_left_clean(shown: Progress) -> None:
    stream = io.StringIO()
    with Reporter(console(stream, is_terminal=True)) as reporter:
        reporter.show(shown)
    assert "step 34/80" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[2K")
