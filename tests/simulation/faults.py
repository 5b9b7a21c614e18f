"""What may go wrong in a simulated world, one function a fault; each is handed the world that it happens to."""

from contextlib import suppress
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from orchestrator.errors import IllegalTransition, LedgerAway
from orchestrator.failpoints import arm
from orchestrator.ledger import actions
from orchestrator.ledger.submit import submit
from tests.simulation.database import AFTER, BEFORE

POINTS = ("lease.after_acquire", "takeover.before_commit", "takeover.after_commit", "tick.before_commit", "tick.after_commit",
          "submit.before_handover", "submit.after_handover", "result.before_accept", "study.finished")
"""Failpoints of the driver at which it may die."""
HOUR = 3600.0


def kill_a_driver(world) -> None:
    victim = world.random.choice(world.processes)
    world.note("killed")
    world.processes.remove(victim)
    victim.die()


def kill_at_a_point(world) -> None:
    arm(f"{world.random.choice(POINTS)}:{world.random.choice((1, 1, 2, 3))}:raise")


def stop_a_driver(world) -> None:
    """Stop a process, as SIGSTOP or a suspended machine does; another one is started beside it."""
    world.random.choice(world.processes).is_stopped = True


def let_stopped_ones_go_on(world) -> None:
    for each in world.processes:
        each.is_stopped = False


def start_another_driver(world) -> None:
    if len(world.processes) < 3:
        world.start()


def ask_to_stop(world) -> None:
    world.random.choice(world.processes).driver.ask_to_stop()


def fail_a_commit(world) -> None:
    world.database.commit_fault = BEFORE


def lose_a_reply(world) -> None:
    world.database.commit_fault = AFTER


def take_the_database_away(world) -> None:
    world.database.away_until = world.clock.now + world.random.choice((1.0, 20.0, 400.0))


def fill_the_disk(world) -> None:
    world.disk.is_full = not world.disk.is_full


def let_the_clock_jump(world) -> None:
    world.clock.database_offset += world.random.choice((-24 * HOUR, -HOUR, -10.0, 10.0, HOUR, 24 * HOUR))


def let_a_person_act(world) -> None:
    """Pause, resume, cancel, share or submit; what is refused is an error message for the person."""
    plan, engine = world.random.choice(world.plans), world.database.engine
    verbs = (actions.pause, actions.resume, actions.cancel, partial(_share, world))
    with suppress(LedgerAway, IllegalTransition, SQLAlchemyError):
        study_id = submit(engine, plan)
        world.random.choice(verbs)(engine, study_id)


def _share(world, engine, study_id: str) -> None:
    actions.share(engine, study_id, priority=world.random.choice((-1, 0, 1)), max_slots=world.random.choice((0, 1, 2)))


FAULTS = (kill_a_driver, kill_at_a_point, kill_at_a_point, stop_a_driver, let_stopped_ones_go_on, start_another_driver, ask_to_stop,
          fail_a_commit, lose_a_reply, take_the_database_away, fill_the_disk, let_the_clock_jump, let_a_person_act, let_a_person_act)
"""As often as it is listed, each is drawn."""
