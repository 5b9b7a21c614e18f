"""Read the ledger for the pages: studies and their names, results that are kept while nothing changes, health. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock, Thread

from orchestrator.errors import LedgerAway, StudyError
from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine, reachable
from orchestrator.ledger.rows import DriverRow, StudyRow
from orchestrator.ledger.summaries import failed_stages
from orchestrator.results.outcome import verdict_sentence
from orchestrator.results.results import Results, ResultsCache, study_results
from orchestrator.states import LIVE_STUDIES

MOST_WORDS = 300
"""The most characters of a foreign error that a page shows."""
LOOK_S = 0.5
"""Seconds that the list of studies waits for outcomes that are not known yet; the next look shows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The state of the driver, the queue of studies, and tracking."""

    driver: DriverRow | None
    outbox: int
    """The number of events that were not sent to MLflow yet."""
    num_studies: int
    num_waiting: int
    """The number of studies that are queued or running."""

    @property
    def is_driven(self) -> bool:
        """Whether a driver holds the lease."""
        return self.driver is not None and self.driver.is_live

    @property
    def is_stale(self) -> bool:
        """Whether studies wait but no driver is running."""
        return self.num_waiting > 0 and not self.is_driven


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the list of studies says about the results of one of them."""

    verdict: str
    """The kind of the verdict."""
    sentence: str
    chosen: str
    """The name of the chosen arm; "" if there is none."""
    metric: str
    effect: float | None
    """The chosen arm's difference to the baseline in the deciding metric."""
    half_width: float | None
    hours: float
    """Of all attempts made for the study."""
    gpu_hours: float
    saved_s: float
    """The time that sharing saved."""


# ---- names ---------------------------------------------------------------------------------------------------------


def label_of(row: StudyRow) -> str:
    """Return the label of a study in menus and links, such as `quickstart@tiny` or `quickstart@tiny v2`.

    A label names the same version for ever: the first one has no number, and a later one never takes its place.
    """
    return f"{row.name}@{row.scale}" + (f" v{row.version}" if row.version > 1 else "")


def labelled(rows: Sequence[StudyRow]) -> dict[str, StudyRow]:
    """Return label -> study, in the order of the rows."""
    return {label_of(row): row for row in rows}


# ---- results -------------------------------------------------------------------------------------------------------


class Watched:
    """The results of a study for any number of concurrent readers; a read gathers only what changed since the last."""

    def __init__(self, engine: Engine, study_id: str) -> None:
        self._engine, self._study_id = engine, study_id
        self._known, self._lock = ResultsCache(), Lock()
        self._newest = self._version = -1
        self._results: Results | None = None

    def results(self) -> Results:
        """Return the results of the study; they are gathered again only if the study has a new event."""
        with self._lock:
            newest = read.newest_event(self._engine)
            if self._results is None or newest != self._newest:
                present = version(self._engine, self._study_id)
                if self._results is None or present != self._version:
                    row = read.study(self._engine, self._study_id)
                    self._version, self._results = present, gathered(self._engine, row, self._known)
                self._newest = newest  # set last, so that a failed read is repeated
            return self._results


def gathered(engine: Engine, row: StudyRow, known: ResultsCache | None = None) -> Results:
    """Gather the results of a study.

    Raises:
        StudyError: what the ledger holds does not fit this release, which may be newer or older than its writer.
    """
    try:
        return study_results(engine, row, known=known or ResultsCache())
    except StudyError:
        raise
    except ValueError as error:
        raise StudyError(label_of(row), 0, f"its record in the ledger cannot be read by this release: {str(error)[:MOST_WORDS]}",
                         "`ablate results` of the release that wrote it shows it") from error


def version(engine: Engine, study_id: str) -> int:
    """Return the id of the study's newest event, which grows with every change; 0 if there is none."""
    newest = read.events(engine, study_id, 1)
    return newest[0].event_id if newest else 0


class Outcomes:
    """The outcomes of all studies, kept while their counts stay as they are; a thread of their own computes the rest.

    A study of ten thousand trials takes seconds: the list of studies does not wait for it.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[object, Outcome]] = {}
        self._lock = Lock()
        self._worker: Thread | None = None

    def look(self, engine: Engine, rows: Sequence[StudyRow], *, seconds: float | None = None) -> dict[str, Outcome]:
        """Return study id -> outcome, as far as they are known; the others are being computed.

        Args:
            engine: the ledger.
            rows: the studies, those that matter most first.
            seconds: how long to wait for those that are missing; by default `LOOK_S`.
        """
        with self._lock:
            missing = self._stale(rows)
            if missing and (self._worker is None or not self._worker.is_alive()):
                self._worker = Thread(target=self._compute, args=(engine, missing), daemon=True, name="outcomes")
                self._worker.start()
            worker = self._worker
        if missing and worker is not None:
            worker.join(LOOK_S if seconds is None else seconds)
        return {row.study_id: self._known[row.study_id][1] for row in rows if row.study_id in self._known}

    def num_missing(self, rows: Sequence[StudyRow]) -> int:
        """Return how many studies have no outcome, or an old one."""
        return len(self._stale(rows))

    def _compute(self, engine: Engine, rows: Sequence[StudyRow]) -> None:
        for row in rows:
            try:
                with reachable():
                    found = _outcome_of(engine, row)
            except LedgerAway:
                return  # the next look begins again
            self._known[row.study_id] = _counts(row), found

    def _stale(self, rows: Sequence[StudyRow]) -> list[StudyRow]:
        return [row for row in rows if self._known.get(row.study_id, (None,))[0] != _counts(row)]


def _outcome_of(engine: Engine, row: StudyRow) -> Outcome:
    try:
        return outcome(gathered(engine, row))
    except StudyError as error:  # one study that cannot be read must not hide all others
        return Outcome(verdict="unreadable", sentence=str(error), chosen="", metric="", effect=None, half_width=None,
                       hours=0.0, gpu_hours=0.0, saved_s=0.0)


def _counts(row: StudyRow) -> object:
    return row.state, row.num_trials, row.trials_done, row.stages_done, row.stages_failed


def outcome(results: Results) -> Outcome:
    """Summarize the results of a study."""
    verdict = results.verdict
    arm = results.arm(verdict.chosen) if verdict.chosen else None
    cell = arm.metrics.get(results.objective) if arm else None
    delta = cell.delta if cell else None
    return Outcome(
        verdict=verdict.kind, sentence=verdict_sentence(results), chosen=arm.name if arm else "",
        metric=results.objective, effect=delta.value if delta else None, half_width=delta.half_width if delta else None,
        hours=results.spent.hours, gpu_hours=results.spent.gpu_hours, saved_s=max(0.0, results.cost.seconds_saved))


def failure_reasons(engine: Engine, rows: Sequence[StudyRow]) -> dict[str, str]:
    """Return study id -> the message with which most of its stages failed, of studies with failed stages."""
    reasons = {}
    for row in rows:
        messages = [str(stage.failure.get("message", "")) for stage in failed_stages(engine, row.study_id)
                    if stage.state in ("FAILED", "DIVERGED")] if row.stages_failed else []
        if messages:
            most = max(dict.fromkeys(messages), key=messages.count)
            reasons[row.study_id] = f"{messages.count(most)} × {most}" if len(messages) > 1 else most
    return reasons


# ---- health --------------------------------------------------------------------------------------------------------


def health(engine: Engine, rows: Sequence[StudyRow], *, is_tracked: bool = True) -> Health:
    """Return the state of the driver, the queue of studies, and tracking.

    Args:
        engine: the ledger.
        rows: all studies.
        is_tracked: whether events are sent to MLflow; if not, none are waiting.
    """
    outbox = read.outbox_lag(engine) if is_tracked else 0
    return Health(driver=read.driver(engine), outbox=outbox, num_studies=len(rows),
                  num_waiting=sum(row.state in LIVE_STUDIES for row in rows))


def shown_state(row: StudyRow, health: Health) -> str:
    """Return the study's state as it is shown: what `runs` without a driver waits for one."""
    return "WAITING" if row.state in LIVE_STUDIES and not health.is_driven else row.state


def trial_states(row: StudyRow, counted: Mapping[str, Mapping[str, int]]) -> Mapping[str, int]:
    """Return trial state -> number of a study's trials, from the counts of all studies."""
    return counted.get(row.study_id, {})
