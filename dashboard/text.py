"""Format the texts of the pages: names, states, numbers, sentences. Pure; does not import streamlit."""

from __future__ import annotations

from datetime import UTC, datetime

from orchestrator import formatting
from orchestrator.analysis.scores import TOKENS
from orchestrator.ledger.summaries import LiveStage
from orchestrator.results.progress import Progress
from orchestrator.results.results import Results

_TITLES = {"mmbase": "MMBase", "overall": "Mean of all categories", "refer_ground": "Refer & ground",
           TOKENS: "Tokens per image"}
_ICONS = {"SUCCEEDED": "✓", "COMPLETED": "✓", "RUNNING": "▶", "LEASED": "▶", "FAILED": "✗",
          "COMPLETED_WITH_FAILURES": "✗", "DIVERGED": "≋", "CANCELLED": "⊘", "PAUSED": "‖", "QUEUED": "…",
          "PLANNED": "…", "SKIPPED": "↷"}


def title(metric: str) -> str:
    """Return the title of a metric, such as `MMBase` for mmbase."""
    return _TITLES.get(metric, metric.replace("_", " ").replace("-", " ").capitalize())


def state(name: str) -> str:
    """Return a state as an icon and a word, so that its meaning does not depend on colour."""
    return f"{_ICONS.get(name, '·')} {name.replace('_', ' ').lower()}" if name else ""


def interval(value: float, half_width: float | None, *, sign: bool = False) -> str:
    """Format a mean as `71.2 ± 1.3`, or as `71.2 (n=1)` without an interval.

    Args:
        value: the mean.
        half_width: half the width of the interval; None without one.
        sign: whether positive numbers get a plus sign, as differences do.
    """
    text = f"{value:+.1f}" if sign else f"{value:.1f}"
    return f"{text} (n=1)" if half_width is None else f"{text} ± {half_width:.1f}"


def safe(text: str) -> str:
    """Return a text that no spreadsheet interprets as a formula."""
    return str(formatting.spreadsheet_cell(text))


def clock(seconds: float) -> str:
    """Format a time, in seconds since 1970, with the name of the server's time zone."""
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%Y-%m-%d %H:%M:%S %Z}"


_COLOURS = {"SUCCEEDED": "green", "COMPLETED": "green", "RUNNING": "blue", "LEASED": "blue", "FAILED": "red",
            "COMPLETED_WITH_FAILURES": "orange", "DIVERGED": "violet", "CANCELLED": "gray", "PAUSED": "orange"}


def badge(name: str) -> str:
    """Return a state as a coloured badge in Streamlit's markdown, with an icon and a word."""
    return f":{_COLOURS.get(name, 'gray')}-badge[{state(name)}]"


def plain_markdown(text: str) -> str:
    """Escape a text for markdown, so that it is shown literally and on one line."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>()#+-!|~$:" else char for char in text.replace("\n", " "))


def fraction(shown: Progress) -> float:
    """Return the fraction that is done, 0 to 1; it is 1 for a finished study, even if trials failed."""
    return 1.0 if shown.is_terminal else shown.fraction


def progress_words(shown: Progress) -> str:
    """Return the finished trials and stages, the failures, and the time left in words."""
    row = shown.study
    parts = [f"{row.trials_done} of {row.num_trials} trials", f"{row.stages_done} of {row.stages_total} stages"]
    if row.stages_failed:
        parts.append(f"{row.stages_failed} failed, diverged or skipped")
    if shown.is_terminal:
        parts.append(f"took {formatting.duration(row.ended_at - row.created_at)}" if row.ended_at else "over")
    elif row.state != "PAUSED":
        parts.append(shown.left_text)
    return " · ".join(parts)


def stage_words(stage: LiveStage) -> str:
    """Return the label, step, loss and speed of a running stage in words."""
    parts = [plain_markdown(stage.label)]
    parts.append("starting" if stage.step is None else f"step {stage.step} of {stage.steps}")
    if stage.loss is not None:
        parts.append(f"loss {stage.loss:.3f}")
    if stage.samples_per_s is not None:
        parts.append(f"{stage.samples_per_s:.1f} samples/s")
    return " · ".join(parts)


def legend(results: Results) -> str:
    """Return the legend of the panels in words, and which stages the seeds vary."""
    marks = ["○ one seed", "● mean with 95 % interval over seeds" if len(results.seeds) > 1 else "● mean, n=1",
             "ring: chosen by the rule, with its difference to the baseline"]
    if results.published and any(results.published.scores.values()):
        marks.append("◇ the paper, n=1, different setup")
    return f"{' · '.join(marks)}. {results.seed_note}"


def shown_of(number: int, limit: int) -> str:
    """Return `the newest 200` if a list was cut at the limit, else the number of its items."""
    return f"the newest {limit}" if number >= limit else str(number)
