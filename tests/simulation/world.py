"""Driver, ledger, executor and clock in one seeded world: a fault schedule, and what must be true whatever happened.

- The driver, its decisions, the ledger with its SQL, its verification and what persons do are the product's own. Clock,
  disk, workers, failing commits and the thread that keeps the lease are simulated, so that a seed is a whole history.
- Faults: workers die, run out of memory, hang or are preempted; the driver dies at a named point or is stopped and goes
  on too late, while another one takes over; commits fail, or take effect and lose their reply; the database is away;
  the disk is full; the database's clock jumps; persons pause, resume, cancel, share and submit.
- At the end the faults stop. Then every study must end with the table of an undisturbed run: no stage lost, none
  accepted twice, none executed again that had been accepted, and the ledger agrees with its own events.
"""

import random
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.driver import driver as driver_module
from orchestrator.driver import in_flight as in_flight_module
from orchestrator.driver.driver import Driver
from orchestrator.driver.in_flight import InFlight
from orchestrator.errors import LedgerAway, LostLease, OrchestratorError
from orchestrator.failpoints import arm
from orchestrator.ledger import actions, lease, liveness, read
from orchestrator.ledger import engine as engine_module
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import reachable
from orchestrator.ledger.submit import submit
from orchestrator.ledger.verify import verify
from orchestrator.states import TERMINAL_STUDIES, AttemptState, StudyState
from tests.simulation.clock import Clock, Wake
from tests.simulation.database import Database
from tests.simulation.faults import FAULTS
from tests.simulation.workers import Disk, SimulatedArtifacts, SimulatedExecutor, score_of
from tests.support.toy import toy_plan, toy_settings

ROOT = Path("/simulated")
FAULTY_ROUNDS = 40
"""Rounds in which faults may happen."""
CALM_ROUNDS = 4000
"""Rounds in which all must come to its end afterwards."""
_STATES = select(t.studies.c.state)




@dataclass(frozen=True)
class Result:
    """What a seed came to."""

    seed: int
    lost: int = 0
    """Stages or trials that did not end as they had to."""
    twice: int = 0
    """Stages that were accepted twice, or handed out again after they were accepted."""
    disagreements: tuple[str, ...] = ()
    """Where the ledger does not agree with its own events, and whatever else went wrong."""
    faults: int = 0
    history: int = 0
    """A hash of all that happened, in order: two runs of a seed have the same."""

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.twice or self.disagreements)


class SimulatedKeeper:
    """Renews a driver's lease as its thread would, as long as the driver is not stopped."""

    def __init__(self, world: "World", engine, fence) -> None:
        self._world, self._engine, self._fence = world, engine, fence
        self._extended_at, self._every_s = world.clock.now, fence.ttl_s / 3
        self.process = world.active
        world.clock.listeners.append(self.renew)

    def extended(self) -> None:
        self._extended_at = self._world.clock.now

    def renew(self) -> None:
        if self.process.is_stopped or self._world.clock.now - self._extended_at < self._every_s:
            return
        self.extended()
        with suppress(SQLAlchemyError):
            lease.renew(self._engine, self._fence)

    def stop(self) -> None:
        with suppress(ValueError):
            self._world.clock.listeners.remove(self.renew)


class Process:
    """One process of a driver."""

    def __init__(self, world: "World") -> None:
        self._world, self.is_stopped, self.executor = world, False, SimulatedExecutor(world)
        artifacts = SimulatedArtifacts(ROOT, world.disk)
        in_flight = InFlight(world.settings, lambda _: self.executor, artifacts, world.clock.monotonic)
        in_flight.blocking_reason = lambda: "the disk is full" if world.disk.is_full else ""
        self.driver = Driver(world.database.engine, world.settings, lambda _: self.executor, in_flight=in_flight)
        self.driver._watched = lease.HolderWatch(world.clock.monotonic)
        self.driver._wake = Wake(world.clock)

    def step(self) -> bool:
        """Do what the driver's loop does in one round; False if the process has ended."""
        self._world.active = self
        try:
            try:
                with reachable():
                    self.driver.acquire()
                    self.driver.one_round()
            except LedgerAway as error:
                self.driver.wait_for_ledger(error)
        except (LostLease, LedgerAway) as error:
            self._world.note(f"leaves: {type(error).__name__}")
            self.driver.close()
            return False
        except OrchestratorError as error:
            if not str(error).startswith("failpoint"):
                raise
            self._world.note(str(error))
            self.die()
            return False
        if self.driver.is_drained:
            self.driver.close()
        return not self.driver.is_drained

    def die(self) -> None:
        if self.driver._keeper is not None:
            self.driver._keeper.stop()
        self.executor.die()


class World:
    """One seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock, self.disk = Clock(), Disk()
        self.database = Database(self.clock)
        self.settings = toy_settings(ROOT, slots=self.random.choice((1, 2, 3)), retry_base_s=1.0, lease_ttl_s=15.0)
        self.unrest = self.random.choice((0.1, 0.3, 0.6))
        self.plans = [planned(self.random.randrange(NUM_SHAPES), i) for i in range(self.random.choice((1, 1, 2)))]
        self.planted = self._plant()
        self.left: dict[str, dict[AttemptState, int]] = {}
        self.processes: list[Process] = []
        self.active: Process | None = None
        self.is_calm = False
        self.num_faults, self.history = 0, 0
        self.again: set[str] = set()
        self.seed = seed

    def _plant(self) -> dict[str, AttemptState]:
        """Choose stages that fail for good whoever executes them; never the one that all share."""
        stages = sorted({stage.stage_id for plan in self.plans for stage in plan.stages.values() if stage.kind != "pretrain"})
        chosen = self.random.sample(stages, self.random.choice((0, 0, 1, 2)))
        return {each: self.random.choice((AttemptState.USER_ERROR, AttemptState.DIVERGED)) for each in chosen}

    def note(self, text: str) -> None:
        """Add to the history; ids that are drawn anew in each run are not part of it."""
        self.history = hash((self.history, round(self.clock.now, 3), sum(map(ord, text)), len(text)))

    def note_handover(self, order) -> None:
        self.note(f"{order['stage_id']} {order['attempt_no']}")
        with self.database.engine.connect() as connection:
            state = connection.execute(select(t.stages.c.state).where(t.stages.c.stage_id == order["stage_id"])).scalar()
        if state == "SUCCEEDED":
            self.again.add(order["stage_id"])

    # ---- what happens ----

    def run(self) -> Result:
        """Live through the seed's history and return what it came to."""
        with ExitStack() as stack:
            self._patch(stack)
            try:
                problem = self._live()
            except (OrchestratorError, SQLAlchemyError) as error:  # a driver that leaves with this has lost its studies
                problem = f"{type(error).__name__}: {error}"
            finally:
                arm("")
            found = self._result(problem)
        self.database.close()
        return found

    def _live(self) -> str:
        submit(self.database.engine, self.plans[0])
        self.start()
        for _ in range(FAULTY_ROUNDS):
            if self.random.random() < self.unrest:
                self.num_faults += 1
                self.random.choice(FAULTS)(self)
            self._round()
        self._calm_down()
        return self._to_the_end()

    def _patch(self, stack: ExitStack) -> None:
        time = SimpleNamespace(monotonic=self.clock.monotonic, sleep=self.clock.sleep, time=self.clock.monotonic)
        for module in (driver_module, in_flight_module, engine_module, lease):
            stack.enter_context(patch.object(module, "time", time))
        stack.enter_context(patch.object(engine_module, "random", self.random))
        stack.enter_context(patch.object(lease, "Keeper", lambda engine, fence: SimulatedKeeper(self, engine, fence)))
        stack.enter_context(patch.object(driver_module, "process_identity", lambda: {"host": "simulated", "pid": 1}))
        stack.enter_context(patch.object(liveness, "process_identity", lambda: {"host": "another", "boot": ""}))
        stack.enter_context(patch.object(in_flight_module, "read_result", self.disk.read_result))

    def _round(self) -> None:
        for process in list(self.processes):
            if not process.is_stopped and not process.step():
                self.processes.remove(process)
        if not any(not each.is_stopped for each in self.processes):
            self.clock.sleep(self.random.choice((0.0, 3.0, 30.0)))
            self.start()

    def start(self) -> None:
        """Start another driver's process."""
        self.processes.append(Process(self))

    def _calm_down(self) -> None:
        """Let everything that was broken be mended: faults end, stopped processes go on, persons resume."""
        arm("")
        self.is_calm, self.disk.is_full = True, False
        self.database.commit_fault, self.database.away_until = "", 0.0
        for plan in self.plans:
            submit(self.database.engine, plan)
        for process in self.processes:
            process.is_stopped = False
        self._resume_all()

    def _resume_all(self) -> None:
        for row in read.studies(self.database.engine):
            if row.state in (StudyState.PAUSED, StudyState.CANCELLED):
                actions.resume(self.database.engine, row.study_id)

    def _to_the_end(self) -> str:
        for _ in range(CALM_ROUNDS):
            self._round()
            with self.database.engine.connect() as connection:
                states = set(connection.execute(_STATES).scalars())
            if states <= set(TERMINAL_STUDIES):
                return ""
            if StudyState.PAUSED in states:
                self._resume_all()
        return f"after {CALM_ROUNDS} calm rounds the studies are {sorted(states)}"

    # ---- what must be true ----

    def _result(self, problem: str) -> Result:
        engine, told = self.database.engine, [problem] if problem else []
        stages = {stage.stage_id: stage for plan in self.plans for stage in plan.stages.values()}
        expected = {stage_id: self._expected(stages, stage_id) for stage_id in stages}
        with engine.connect() as connection:
            states = {row.stage_id: row.state for row in connection.execute(select(t.stages.c.stage_id, t.stages.c.state))}
            accepted = Counter(connection.execute(select(t.attempts.c.stage_id).where(t.attempts.c.state == "SUCCEEDED")).scalars())
            scores = {row.stage_id: row.value for row in connection.execute(select(t.scores.c.stage_id, t.scores.c.value))}
        wrong = {stage_id for stage_id, state in expected.items() if states.get(stage_id) != state}
        wrong |= {stage_id for stage_id, stage in stages.items() if stage.kind == "evaluate" and expected[stage_id] == "SUCCEEDED"
                  and scores.get(stage_id) != score_of(stage_id)}
        wrong |= scores.keys() - {stage_id for stage_id, state in expected.items() if state == "SUCCEEDED"}
        told += [f"{each.entity} {each.entity_id}: {each.what}" for each in verify(engine).differences]
        twice = {stage_id for stage_id, number in accepted.items() if number > 1} | self.again
        return Result(self.seed, len(wrong), len(twice), tuple(told), self.num_faults, self.history)

    def _expected(self, stages, stage_id: str) -> str:
        stage = stages[stage_id]
        before = self._expected(stages, stage.parent_id) if stage.parent_id else "SUCCEEDED"
        if before != "SUCCEEDED":
            return "SKIPPED"
        planted = self.planted.get(stage_id)
        return {None: "SUCCEEDED", AttemptState.USER_ERROR: "FAILED", AttemptState.DIVERGED: "DIVERGED"}[planted]


_SHAPES = (
    {"levels": (0, 1), "seeds": 1, "benchmarks": ("a",)},
    {"levels": (0, 1), "seeds": 2, "benchmarks": ("a", "b")},
    {"levels": (0, 1, 2), "seeds": 1, "benchmarks": ("a",), "shared": False},
)
NUM_SHAPES = len(_SHAPES)


@cache
def planned(shape: int, number: int):
    """Return a plan; two studies of one world share the stages that both need."""
    return toy_plan(name=f"toy{number}", **_SHAPES[shape])


def simulate(seed: int) -> Result:
    """Live through one seed."""
    return World(seed).run()
