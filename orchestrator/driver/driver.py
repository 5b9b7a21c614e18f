"""The driver's state (the lease, the snapshot of the ledger, the attempts in flight) and one round of its loop.

- One fenced transaction a round holds all its writes. Orders go to the executor only after the commit, so an attempt
  that runs is always in the ledger.
- A thread of its own keeps the lease. Whatever the main thread waits for (Ray's start, a slow disk), the driver does
  not look dead.
- The snapshot stays in memory, because nobody else writes what it holds. It is read again when a person changed
  something (`bell`), or when a compare-and-set found another state than expected.
- If the reply to a COMMIT is lost, the transaction's token is read back before anything else is written. It says
  whether the commit took effect.
- Attempts that are live in the ledger but unknown to the executor belong to a driver that crashed. If they left a
  `result.json`, it is read; otherwise the attempt is given up without a charge, and its stage is queued again from its
  last checkpoint.
- While the ledger does not answer, workers continue. After `ledger_patience_s` they are asked to save, and the driver
  exits.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

from orchestrator.driver.in_flight import InFlight, MakeExecutor
from orchestrator.errors import IllegalTransition, LedgerAway, LostLease, StaleWrite, StudyError
from orchestrator.execution.ray.nodes import Room
from orchestrator.failpoints import failpoint
from orchestrator.ledger import lease, load_snapshot, read
from orchestrator.ledger.actions import move_study
from orchestrator.ledger.claim import claimed_artifacts
from orchestrator.ledger.engine import Engine, Fence, fenced, retrying, was_committed
from orchestrator.ledger.insert import close_growth, insert_plan, refuse_arm, stop_arm
from orchestrator.ledger.liveness import is_surely_dead, process_identity
from orchestrator.ledger.summaries import submitted
from orchestrator.ledger.write import apply, record_progress, take_over
from orchestrator.results import budget
from orchestrator.scheduler.actions import Action, Assign, Finish, MoveStudy, Propose, Stop
from orchestrator.scheduler.decide import decide
from orchestrator.scheduler.snapshot import Observed, Snapshot
from orchestrator.scheduler.views import Outcome
from orchestrator.search.adaptive import AdaptiveStudies, NextTrials
from orchestrator.settings import Settings, redact
from orchestrator.states import LIVE_STUDIES, TERMINAL_STUDIES, AttemptState, StudyState

WAIT_S = 0.5
"""The longest wait for an event, in seconds: how old the view that `on_tick` receives may be."""
LOOK_S = 0.1
"""Seconds between two reads of the counter `bell` while nothing runs: how long a new study waits for the driver."""
BEAT_S = 1.0
"""Seconds between two writes of leases and progress while attempts run."""
RETRY_S = 2.0
"""Seconds during which a round repeats its transaction, before the loop is told that the ledger is away."""
_logger = logging.getLogger(__name__)


class Exit(StrEnum):
    """Why `drive` returned."""

    FINISHED = "FINISHED"
    """The study is in a final state."""
    PAUSED = "PAUSED"
    """The study is paused and nothing of it runs: only a person can continue it."""
    STOPPED = "STOPPED"
    """A signal asked the driver to exit; another `ablate run` continues from there."""
    FENCED = "FENCED"
    """Another driver took over; the exit code is 75."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverView:
    """What `on_tick` receives."""

    is_driver: bool
    """False while another process is the driver and this one watches."""
    is_draining: bool
    num_live: int
    """Attempts in flight."""
    slots: int
    progress: Mapping[str, Mapping[str, Any]]
    """Attempt id -> last report: step, steps, loss, samples_per_s."""
    trouble: str = ""
    """Why nothing is started although stages wait: the ledger is away, or the disk is full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decided:
    """A decision with all its consequences, kept until it is known whether the ledger has committed it."""

    token: str
    actions: list[Action]
    orders: dict[str, dict[str, Any]]
    now: float
    bell: int
    snapshot: Snapshot
    num_told: int
    """How many of the pending outcomes it took into account."""


class Driver:
    """The lease, the snapshot of the ledger and the attempts in flight. `one_round` is one round of the loop."""

    def __init__(
        self, engine: Engine, settings: Settings, make: MakeExecutor, *, in_flight: InFlight | None = None
    ) -> None:
        """Claim the artifact store for the ledger, or a part of it, unless `in_flight` has its own; decide nothing yet.

        Raises:
            OrchestratorError: the store cannot be used, or its owner cannot be read.
        """
        self._engine, self._settings = engine, settings
        self._in_flight = in_flight or InFlight(settings, make, claimed_artifacts(engine, settings))
        self._adaptive = AdaptiveStudies(engine, settings, self._in_flight.call)
        self._budgets = budget.BudgetWatch(engine)
        self._room = Room(settings)
        self._driver_id = uuid.uuid4().hex
        self._fence: Fence | None = None
        self._keeper: lease.Keeper | None = None
        self._watched = lease.HolderWatch()
        self._is_adopted = False
        self._snapshot: Snapshot | None = None
        self._bell = -1
        self._pending: list[Outcome] = []
        self._beat_at = 0.0
        self._is_draining = False
        self._wake = threading.Event()
        self._unsure: _Decided | None = None
        self._away_since: float | None = None
        self._trouble = ""
        self.was_driver = False

    # ---- the round ---------------------------------------------------------------------------------------------------

    def acquire(self) -> bool:
        """Take the lease if no living driver holds it.

        Return True if this call acquired it; from then on it is kept.
        """
        if self._fence is not None or self._is_draining:
            return False
        holder = read.driver(self._engine)
        dead = holder.driver_id if holder and is_surely_dead(holder.holder) else ""
        if holder and not dead and self._watched.is_kept(holder):
            return False
        self._fence = lease.acquire(
            self._engine,
            self._driver_id,
            ttl_s=self._settings.lease_ttl_s,
            holder=process_identity(),
            dead=dead,
            ran_out_at=holder.expires_at if holder else None,
        )
        failpoint("lease.after_acquire")
        if self._fence is None:
            return False
        self._keeper, self.was_driver = lease.Keeper(self._engine, self._fence), True
        return True

    def one_round(self) -> None:
        """Wait briefly for an event, then decide if anything may have changed."""
        if self._fence is None:
            self._wake.wait(WAIT_S)
            return
        if self._snapshot is not None and not self._pending:
            self._wait(self._is_rung)
        if self._is_due():
            self.decide_and_apply()

    def decide_and_apply(self) -> list[Action]:
        """Make one decision, commit it, and perform its actions.

        Raises:
            LostLease: another driver took over.
        """
        failpoint("result.before_accept")
        try:
            decided = retrying(self._transact, for_s=RETRY_S)
        except StaleWrite as error:  # a person was faster: read the ledger and decide again at once
            _logger.info("%s", error)
            self._snapshot = None
            return []
        if not self._is_adopted:
            failpoint("takeover.after_commit")
        failpoint("tick.after_commit")
        self._is_adopted, self._bell, self._snapshot = True, decided.bell, decided.snapshot
        self._pending = self._pending[decided.num_told:]
        self._beat_at, self._away_since = time.monotonic(), None
        if self._keeper is not None:
            self._keeper.extended()
        for action in decided.actions:
            self._perform(action, decided.orders, decided.now)
        paused = self._hold_to_budgets(decided)
        self._propose(
            [
                action.study_id
                for action in decided.actions
                if isinstance(action, Propose) and action.study_id not in paused
            ]
        )
        return decided.actions

    def wait_for_ledger(self, error: LedgerAway) -> None:
        """Wait while the ledger is away, and keep receiving what the workers report.

        Raises:
            LedgerAway: it has been away for too long, or this driver was asked to exit. The workers were asked to save
                first.
        """
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            _logger.warning("%s", error)
        self._trouble = str(error).splitlines()[0]
        if self._is_draining or now - self._away_since >= self._settings.ledger_patience_s:
            self._pending += self._in_flight.save_all()
            raise error
        self._wait()

    def _wait(self, is_rung: Callable[[], bool] = lambda: False) -> None:
        """Wait briefly: for the workers, or, if nothing runs, for a person."""
        if self._in_flight.is_busy:
            self._pending += self._in_flight.poll(WAIT_S)
            return
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until and not self._wake.wait(LOOK_S):
            if is_rung():
                break
        self._wake.clear()

    def _is_rung(self) -> bool:
        return read.bell(self._engine) != self._bell

    def _is_due(self) -> bool:
        """Return whether a round could change anything. The ledger is read only if nothing else says so."""
        if self._snapshot is None or self._pending or self._is_draining:
            return True
        beat_s = (
            BEAT_S if self._in_flight.is_busy or self._adaptive.is_waiting else min(self._settings.lease_ttl_s / 3, 5.0)
        )
        has_waiting = bool(self._snapshot.index.queued)
        if time.monotonic() - self._beat_at >= (min(beat_s, WAIT_S) if has_waiting and self._has_room() else beat_s):
            return True
        return self._is_rung()

    def _has_room(self) -> bool:
        return len(self._in_flight.known) < self._room.slots()

    def _transact(self) -> _Decided:
        fence, unsure, self._unsure = self._held(), self._unsure, None
        if unsure is not None and was_committed(self._engine, fence, unsure.token):
            return unsure
        settings, in_flight, token = self._settings, self._in_flight, uuid.uuid4().hex
        with fenced(self._engine, fence, token) as tx:
            if not self._is_adopted:
                take_over(tx, fence)
                failpoint("takeover.before_commit")
            is_current = self._snapshot is not None and tx.bell == self._bell
            snapshot = self._snapshot if is_current and self._snapshot else load_snapshot.read_snapshot(tx.connection)
            actions, then = decide(snapshot, self._observe(snapshot), tx.now, retry_base_s=settings.retry_base_s,
                                    stop_grace_s=settings.stop_grace_s)
            writes = [action for action in actions if not isinstance(action, Stop | Propose)]
            apply(tx, fence, writes,
                  artifact_of=lambda stage_id, no: in_flight.artifacts.name(in_flight.artifacts.out_dir(stage_id, no)))
            record_progress(tx, fence, in_flight.progress(), in_flight.known)
            orders = load_snapshot.orders(tx.connection, [each.stage_id for each in writes if isinstance(each, Assign)])
            failpoint("tick.before_commit")
            self._unsure = _Decided(token=token, actions=actions, orders=orders, now=tx.now, bell=tx.bell,
                                   snapshot=then, num_told=len(self._pending))  # unsure until COMMIT has returned
        decision, self._unsure = self._unsure, None
        return decision

    def _observe(self, snapshot: Snapshot) -> Observed:
        in_flight = self._in_flight
        told = {outcome.attempt_id for outcome in self._pending}
        strangers = [each for each in snapshot.attempts.values()
                     if each.attempt_id not in in_flight.known and each.attempt_id not in told]
        outcomes = [*self._pending, *in_flight.recover_orphans(strangers)]
        self._trouble = in_flight.blocking_reason()
        return Observed(epoch=self._held().epoch, slots=self._room.slots(), outcomes=tuple(outcomes),
                        started=frozenset(in_flight.progress()), stalled=in_flight.stalled(), stopping=dict(in_flight.stopping),
                        hold=self._trouble, is_draining=self._is_draining)

    def _perform(self, action: Action, orders: dict[str, dict[str, Any]], now: float) -> None:
        match action:
            case Assign():
                failpoint("submit.before_handover")
                self._in_flight.submit(action, orders[action.stage_id])
                failpoint("submit.after_handover")
            case Stop():
                self._in_flight.stop(action, now)
            case Finish() if action.outcome.state is AttemptState.SUCCEEDED:
                self._in_flight.artifacts.drop_checkpoints(action.stage_id)
            case MoveStudy() if action.target in TERMINAL_STUDIES:
                failpoint("study.finished")
            case _:
                pass

    def _propose(self, study_ids: list[str]) -> None:
        """Insert the trials by which studies grow. If that fails, pause the study, with the reason."""
        for study_id in study_ids:
            try:
                step = self._adaptive.step(study_id)
            except (StudyError, ValueError) as error:
                self._pause(study_id, _reason_of(error))
                continue
            if step.plan or step.stopped or step.refused or step.is_over:
                self._snapshot = None
                retrying(partial(self._enter, study_id, step))

    def _hold_to_budgets(self, decided: _Decided) -> set[str]:
        """Pause the studies that have spent their budget, and return them.

        The next decision asks what runs to save and stop.
        """
        live = {each.study_id for each in decided.snapshot.studies.values() if each.state in LIVE_STUDIES}
        live -= {each.study_id for each in decided.actions if isinstance(each, MoveStudy)}
        spent = self._budgets.over(live)
        for study_id, reason in spent.items():
            self._pause(study_id, reason)
        return set(spent)

    def _pause(self, study_id: str, reason: str) -> None:
        self._snapshot = None
        try:
            move_study(self._engine, study_id, StudyState.PAUSED, actor="driver", reason=reason)
        except IllegalTransition as error:  # a person has ended it meanwhile, and that is what stays
            _logger.info("%s", error)

    def _enter(self, study_id: str, step: NextTrials) -> None:
        with fenced(self._engine, self._held()) as tx:
            for arm_key, why in step.stopped.items():
                stop_arm(tx.connection, study_id, arm_key, why, actor="search")
            if step.refused is not None:
                refuse_arm(tx.connection, study_id, *step.refused, actor="search")
            if step.plan is not None:
                insert_plan(tx.connection, step.plan, study_id, actor="growth")
            if step.is_over:
                close_growth(tx.connection, study_id, step.reason)
            failpoint("propose.before_commit")
        failpoint("propose.after_commit")

    def _held(self) -> Fence:
        if self._fence is None:
            raise LostLease("this process does not hold the ledger's lease")
        return self._fence

    # ---- exit --------------------------------------------------------------------------------------------------------

    def ask_to_stop(self) -> None:
        """Start to exit. A signal handler may call it."""
        self._is_draining = True
        self._wake.set()

    def drain(self) -> None:
        """Start to exit: start nothing more, and ask running attempts to save."""
        self._is_draining = True

    @property
    def is_drained(self) -> bool:
        """Whether the driver may exit: nothing runs, and nothing waits to be written."""
        return self._is_draining and not self._in_flight.is_busy and not self._pending

    def exit_of(self, study_id: str | None) -> Exit | None:
        """Return how the awaited study ended, or PAUSED if only a person can continue it.

        None while it is in progress.
        """
        if study_id is None:
            return None
        is_known = self._fence is not None and self._snapshot is not None and study_id in self._snapshot.studies
        state = self._snapshot.studies[study_id].state if is_known and self._snapshot else None
        state = state or StudyState(submitted(self._engine, study_id).state)
        if state in TERMINAL_STUDIES:
            return Exit.FINISHED
        return Exit.PAUSED if state is StudyState.PAUSED else None

    def view(self) -> DriverView:
        """Return what `on_tick` receives."""
        return DriverView(
            is_driver=self._fence is not None,
            is_draining=self._is_draining,
            num_live=len(self._in_flight.known),
            slots=self._room.slots(),
            progress=self._in_flight.progress(),
            trouble=self._trouble or self._in_flight.waiting_note(),
        )

    def close(self) -> None:
        """Stop the executor and give the lease back. While the ledger is away, let the lease expire."""
        self._in_flight.close()
        failpoint("close.before_release")
        if self._keeper is not None:
            self._keeper.stop()
            self._keeper = None
        if self._fence is not None:
            with suppress(LedgerAway):
                lease.release(self._engine, self._fence)
            self._fence = None


def _reason_of(error: ValueError | StudyError) -> str:
    """Return why a study is paused. A `StudyError` says where and what; for other errors the type is added."""
    return redact(str(error) if isinstance(error, StudyError) else f"{type(error).__name__}: {error}")
