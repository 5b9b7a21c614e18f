"""Format the texts of the pages: states, numbers, sentences, and names that stay names. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from orchestrator import formatting
from orchestrator.ledger.summaries import LiveStage
from orchestrator.results.outcome import in_words
from orchestrator.results.panels import Panel
from orchestrator.results.progress import Progress
from orchestrator.results.results import Results
from orchestrator.states import TERMINAL_TRIALS

_TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Controls of the writing direction; studies of older releases may still hold them."""
_LINKED = re.compile(r"(?i)\b(https?|ftp|mailto|xmpp|www)(?=[:.])|(?=@)")
"""Where markdown would see the beginning of a link."""
_ICONS = {"SUCCEEDED": "✓", "COMPLETED": "✓", "RUNNING": "▶", "LEASED": "▶", "FAILED": "✗", "USER_ERROR": "✗",
          "COMPLETED_WITH_FAILURES": "✗", "DIVERGED": "≋", "CANCELLED": "⊘", "PAUSED": "‖", "QUEUED": "…",
          "PLANNED": "…", "SKIPPED": "↷", "WAITING": "◌", "RESOURCE": "✗", "LOST": "✗", "STALLED": "✗",
          "PREEMPTED": "⊘", "FENCED": "⊘", "IMPORTED": "⇩"}
_COLOURS = {"SUCCEEDED": "green", "COMPLETED": "green", "RUNNING": "blue", "LEASED": "blue", "FAILED": "red",
            "COMPLETED_WITH_FAILURES": "orange", "DIVERGED": "violet", "CANCELLED": "gray", "PAUSED": "orange",
            "WAITING": "orange"}
_WORDS = {"WAITING": "waits for a driver", "PLANNED": "to come"}


# ---- names and states ----------------------------------------------------------------------------------------------


def visible(text: str) -> str:
    """Return a text with a mark in place of each control that turns the writing direction."""
    return _TURNING.sub("\N{REPLACEMENT CHARACTER}", text)


def safe(text: str) -> str:
    """Return a text that no spreadsheet interprets as a formula."""
    return str(formatting.spreadsheet_cell(visible(text)))


def plain_markdown(text: str) -> str:
    """Escape a text for markdown, so that it is shown literally, on one line, and without links."""
    # A word joiner is invisible, and markdown no longer takes what follows for an address.
    unlinked = _LINKED.sub(lambda match: f"{match[0]}\N{WORD JOINER}", visible(text))
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>()#+-!|~$:" else char for char in unlinked.replace("\n", " "))


def state(name: str) -> str:
    """Return a state as an icon and a word, so that its meaning does not depend on colour."""
    return f"{_ICONS.get(name, '·')} {state_word(name)}" if name else ""


def state_word(name: str) -> str:
    """Return a state in words."""
    return _WORDS.get(name, name.replace("_", " ").lower())


def badge(name: str) -> str:
    """Return a state as a coloured badge in Streamlit's markdown, with an icon and a word."""
    return f":{_COLOURS.get(name, 'gray')}-badge[{state(name)}]"


# ---- numbers -------------------------------------------------------------------------------------------------------


def interval(value: float, half_width: float | None, *, sign: bool = False) -> str:
    """Format a mean as `71.2 ± 1.3`, or as `71.2 (n=1)` without an interval.

    Args:
        value: the mean.
        half_width: half the width of the interval; None without one.
        sign: whether positive numbers get a plus sign, as differences do.
    """
    text = f"{value:+.1f}" if sign else f"{value:.1f}"
    return f"{text} (n=1)" if half_width is None else f"{text} ± {half_width:.1f}"


def clock(seconds: float) -> str:
    """Format a time, in seconds since 1970, with the name of the server's time zone."""
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%Y-%m-%d %H:%M:%S %Z}"


def shown_of(number: int, limit: int) -> str:
    """Return `the newest 200` if a list was cut at the limit, else the number of its items."""
    return f"the newest {limit}" if number >= limit else str(number)


# ---- progress ------------------------------------------------------------------------------------------------------


def fraction(shown: Progress) -> float:
    """Return the fraction that is done, 0 to 1; it is 1 for a finished study, even if trials failed."""
    return 1.0 if shown.is_terminal else shown.fraction


def trials_words(states: Mapping[str, int]) -> str:
    """Return what became of the trials: `7 of 9 trials succeeded, 1 failed, 1 cancelled`."""
    number = sum(states.values())
    ended = {name: count for name, count in states.items() if name in TERMINAL_TRIALS}
    others = in_words(ended)
    return f"{states.get('SUCCEEDED', 0)} of {number} trials succeeded" + (f", {others}" if others else "")


def progress_words(shown: Progress, states: Mapping[str, int], *, is_driven: bool = True) -> str:
    """Return what became of trials and stages, and the time left in words.

    Args:
        shown: the progress.
        states: trial state -> number of trials.
        is_driven: whether a driver is at work; without one there is no time left to tell.
    """
    row = shown.study
    parts = [trials_words(states), f"{shown.done} of {shown.total} stages done"]
    if shown.is_terminal:
        parts.append(f"took {formatting.duration(row.ended_at - row.created_at)}" if row.ended_at else "over")
    elif row.state == "PAUSED":
        parts.append("paused")
    else:
        parts.append(shown.left_text if is_driven else "stands still: no driver")
    return " · ".join(parts)


def stage_words(stage: LiveStage, *, is_driven: bool = True) -> str:
    """Return the label, step, loss and speed of a running stage in words; without a driver its last report."""
    parts = [plain_markdown(stage.label)]
    if not is_driven:
        heard = "nothing was heard" if stage.step is None else f"last heard at step {stage.step} of {stage.steps}"
        return " · ".join([*parts, heard])
    parts.append("starting" if stage.step is None else f"step {stage.step} of {stage.steps}")
    if stage.loss is not None:
        parts.append(f"loss {stage.loss:.3f}")
    if stage.samples_per_s is not None:
        parts.append(f"{stage.samples_per_s:.1f} samples/s")
    return " · ".join(parts)


# ---- figures -------------------------------------------------------------------------------------------------------


def legend(results: Results) -> str:
    """Return the legend of the panels in words, and which stages the seeds vary."""
    marks = ["○ one seed", "● mean with 95 % interval over seeds" if len(results.seeds) > 1 else "● mean, n=1",
             "ring: chosen by the rule, with its difference to the baseline"]
    if results.published and any(results.published.scores.values()):
        marks.append("◇ the paper: its difference to its own baseline, set off from ours; n=1, different setup")
    return f"{' · '.join(marks)}. {results.seed_note}"


def panel_note(panel: Panel) -> str:
    """Return which arms a panel does not show, "" if it shows all."""
    notes = []
    if len(panel.points) < panel.num_arms:
        notes.append(
            f"{len(panel.points)} of {panel.num_arms} arms: the chosen arm, the baseline and the highest means"
        )
    if panel.num_without:
        notes.append(f"{panel.num_without} of {panel.num_arms} arms have no score")
    return "; ".join(notes)
