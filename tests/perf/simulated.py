"""A study on an executor that only pretends: what the driver itself costs, at sizes that no test machine has workers for.

A program of its own, prints JSON. CPU seconds are of this process, so a busy machine does not change them much.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

from orchestrator.driver.loop import Driver
from orchestrator.ledger import read
from orchestrator.ledger.engine import open_ledger
from orchestrator.ledger.submit import submit
from orchestrator.scheduler.actions import Finish
from orchestrator.scheduler.decide import decide
from orchestrator.scheduler.snapshot import Observed, Snapshot
from orchestrator.scheduler.views import Outcome, StageView, StudyView, TrialView
from orchestrator.states import TERMINAL_STUDIES, AttemptState, StageState, StudyState, TrialState
from tests.support.toy import toy_plan, toy_settings


class Pretended:
    """Ends all that it was given at the next poll; or, with `hold`, keeps it running and reports steps."""

    def __init__(self, *, hold: bool = False) -> None:
        self._orders: deque = deque()
        self._hold, self._step = hold, 0

    def submit(self, order) -> None:
        self._orders.append(order)

    def poll(self, timeout_s: float) -> list[Outcome]:
        if self._hold:
            self._step += 1
            time.sleep(timeout_s)
            return []
        ended = [self._end(order) for order in self._orders]
        self._orders.clear()
        return ended

    def _end(self, order) -> Outcome:
        benchmark = order["spec"].get("benchmark")
        score = {"benchmark": benchmark, "score": 50.0, "num_items": 1} if benchmark else {"loss": 1.0}
        return Outcome(order["attempt_id"], AttemptState.SUCCEEDED, result=score, seconds=1.0)

    def progress(self):
        return {order["attempt_id"]: {"step": self._step, "loss": 0.5} for order in self._orders} if self._hold else {}

    def waiting(self):
        return frozenset()

    def cancel(self, attempt_id: str, *, kill: bool = False) -> None:
        """Nothing runs that could be stopped."""

    def close(self) -> None:
        self._orders.clear()


def world(folder: str, trials: int, slots: int, executor: Pretended):
    settings = toy_settings(Path(folder), slots=slots, lease_ttl_s=600.0)
    engine = open_ledger(settings.ledger_url)
    study_id = submit(engine, toy_plan(levels=range(trials), seeds=1, benchmarks=("a",)))
    driver = Driver(engine, settings, lambda _: executor)
    assert driver.acquire()
    return engine, study_id, driver


def end_to_end(trials: int, slots: int) -> dict[str, float]:
    """Drive a study of so many trials; return CPU seconds and the growth of memory while it was driven."""
    with tempfile.TemporaryDirectory() as folder:
        engine, study_id, driver = world(folder, trials, slots, Pretended())
        driver.one_round()
        cpu, wall, rss = time.process_time(), time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        while driver.exit_of(study_id) is None:
            driver.one_round()
        found = {"trials": trials, "stages": 2 * trials + 1, "cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall,
                 "grown_mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - rss) / 1024}
        assert read.study(engine, study_id).trials_done == trials
        driver.close()
        engine.dispose()
    return found


def decisions(trials: int, slots: int) -> dict[str, float]:
    """Decide a study of so many trials from its first claim to its end, without a ledger: what deciding alone costs."""
    plan = toy_plan(levels=range(trials), seeds=1, benchmarks=("a",))
    stages = {name: StageView(name, each.kind, StageState.PLANNED, each.position, (each.parent_id,) if each.parent_id else ())
              for name, each in plan.stages.items()}
    views = {("s", each.key): TrialView("s", each.key, each.arm_key, TrialState.PLANNED, each.stage_ids) for each in plan.trials}
    snapshot = Snapshot({"s": StudyView("s", StudyState.QUEUED, 0.0)}, views, stages)
    cpu, num_ticks = time.process_time(), 0
    while snapshot.studies["s"].state not in TERMINAL_STUDIES:
        ended = tuple(Outcome(each, AttemptState.SUCCEEDED, result={}) for each in snapshot.attempts)
        (_, snapshot), num_ticks = decide(snapshot, Observed(slots=slots, outcomes=ended), 0.0), num_ticks + 1
    assert all(each.state is TrialState.SUCCEEDED for each in snapshot.trials.values())
    return {"trials": trials, "ticks": num_ticks, "cpu_s": time.process_time() - cpu}


def killed(folder: str, url: str, running: int) -> None:
    """Claim so many stages, and die with them."""
    settings = toy_settings(Path(folder), ledger=url, slots=running, lease_ttl_s=600.0)
    engine = open_ledger(url)
    submit(engine, toy_plan(levels=range(running), seeds=1, benchmarks=("a",), shared=False))
    driver = Driver(engine, settings, lambda _: Pretended(hold=True))
    assert driver.acquire()
    while len(driver._in_flight.known) < running:
        driver.decide_and_apply()
    os.kill(os.getpid(), signal.SIGKILL)


def reconciled(folder: str, url: str, running: int) -> dict[str, float]:
    """Take over from a driver that was killed with so many stages running; return the seconds until all are dealt with."""
    program = [sys.executable, "-m", "tests.perf.simulated", "killed", folder, url, str(running)]
    assert subprocess.run(program, check=False).returncode == -signal.SIGKILL
    engine = open_ledger(url)
    driver = Driver(engine, toy_settings(Path(folder), ledger=url, slots=1), lambda _: Pretended(hold=True))
    cpu, wall = time.process_time(), time.perf_counter()
    assert driver.acquire()
    actions = driver.decide_and_apply()
    found = {"stages": sum(isinstance(each, Finish) for each in actions), "cpu_s": time.process_time() - cpu,
             "wall_s": time.perf_counter() - wall}
    driver.close()
    engine.dispose()
    return found


def held(running: int, seconds: float) -> dict[str, float]:
    """Keep so many stages running; return the CPU seconds that the driver takes of each second."""
    with tempfile.TemporaryDirectory() as folder:
        engine, _, driver = world(folder, 1, 1, Pretended())
        driver.close()
        settings = toy_settings(Path(folder), slots=running, lease_ttl_s=600.0)
        submit(engine, toy_plan(name="held", levels=range(2 * running), seeds=1, benchmarks=("a",), shared=False))
        driver = Driver(engine, settings, lambda _: Pretended(hold=True))
        assert driver.acquire()
        while len(driver._in_flight.known) < running:
            driver.one_round()
        cpu, wall = time.process_time(), time.perf_counter()
        while time.perf_counter() - wall < seconds:
            driver.one_round()
        found = {"running": len(driver._in_flight.known), "cpu_share": (time.process_time() - cpu) / (time.perf_counter() - wall)}
        driver.close()
        engine.dispose()
    return found


if __name__ == "__main__":
    kind, *numbers = sys.argv[1:]
    verbs = {"end": end_to_end, "held": held, "decide": decisions, "killed": killed, "reconcile": reconciled}
    print(json.dumps(verbs[kind](*(int(each) if each.isdigit() else each for each in numbers))))
