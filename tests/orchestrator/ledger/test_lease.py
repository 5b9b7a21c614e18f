import multiprocessing
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from orchestrator.errors import LostLease
from orchestrator.ledger import lease, read
from orchestrator.ledger.engine import fenced
from orchestrator.ledger.lease import HolderWatch, Keeper, acquire, is_newest, notify, release, renew
from orchestrator.ledger.liveness import process_identity


def take(engine, name, *, ttl_s=60.0, dead=""):
    return acquire(engine, name, ttl_s=ttl_s, holder={"pid": 1}, dead=dead)


def test_a_free_lease_is_taken(engine):
    fence = take(engine, "a")
    assert fence.epoch == 1
    assert read.driver(engine).driver_id == "a"
    assert read.driver(engine).is_live


def test_no_driver_ever_ran(engine):
    assert read.driver(engine) is None


def test_a_live_lease_is_not_taken(engine):
    take(engine, "a")
    assert take(engine, "b") is None


def test_an_expired_lease_is_taken_and_raises_the_epoch(engine):
    take(engine, "a", ttl_s=-1)
    assert take(engine, "b").epoch == 2


def test_a_lease_is_taken_from_a_holder_that_is_known_to_be_dead(engine):
    take(engine, "a")
    assert take(engine, "b", dead="a").epoch == 2


def test_a_released_lease_is_free(engine):
    release(engine, take(engine, "a"))
    assert take(engine, "b").epoch == 2


def test_only_the_newest_of_two_drivers_can_write(engine):
    old = take(engine, "a", ttl_s=-1)
    new = take(engine, "b")
    with pytest.raises(LostLease, match="replaced by a newer one"), fenced(engine, old) as tx:
        notify(tx.connection)
    with fenced(engine, new) as tx:
        assert tx.bell == 0
    assert (is_newest(engine, old), is_newest(engine, new)) == (False, True)


def test_releasing_a_lost_lease_does_not_take_it_from_its_new_holder(engine):
    old = take(engine, "a", ttl_s=-1)
    take(engine, "b")
    release(engine, old)
    assert read.driver(engine).is_live


def test_a_write_extends_the_lease(engine):
    fence = take(engine, "a", ttl_s=1)
    with fenced(engine, type(fence)("a", fence.epoch, 500.0)) as tx:
        assert tx.now > 1.7e9
    assert read.driver(engine).expires_in_s > 400


def test_a_take_over_waits_for_the_open_transaction_of_the_old_driver(engine):
    old = take(engine, "a", ttl_s=60)
    with ThreadPoolExecutor(1) as pool:
        with fenced(engine, old) as tx:
            notify(tx.connection)
            waiting = pool.submit(take, engine, "b", dead="a")
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.3)
        assert waiting.result(timeout=20).epoch == 2
    assert read.bell(engine) == 1


def test_the_bell_counts(engine):
    fence = take(engine, "a")
    with fenced(engine, fence) as tx:
        notify(tx.connection)
    assert read.bell(engine) == 1


# ---- a live holder is never taken for dead ----


@pytest.fixture
def renewals(monkeypatch):
    """Count what keepers renew: `renewals.acquire()` waits for the next one."""
    counted = threading.Semaphore(0)

    def counting(engine, fence):
        is_ours = renew(engine, fence)
        counted.release()
        return is_ours

    monkeypatch.setattr(lease, "renew", counting)
    return counted


def test_a_kept_lease_outlives_its_time_though_nothing_is_written(engine, renewals):
    fence = take(engine, "a", ttl_s=0.4)
    first = read.driver(engine).expires_at
    keeper = Keeper(engine, fence)
    assert all(renewals.acquire(timeout=30) for _ in range(4))
    keeper.stop()
    assert read.driver(engine).expires_at - first > 0.4
    assert is_newest(engine, fence)


def test_a_keeper_leaves_a_lease_alone_that_another_driver_took(engine, renewals):
    keeper = Keeper(engine, take(engine, "a", ttl_s=0.1))
    take(engine, "b", dead="a")
    before = read.driver(engine).expires_at
    keeper._thread.join(30)
    assert (keeper._thread.is_alive(), read.driver(engine).expires_at) == (False, before)


def test_a_lease_that_was_renewed_after_it_was_seen_to_run_out_is_not_taken(engine):
    """As when a commit took longer than the time-to-live: the lease has run out, and its holder is at work."""
    old = take(engine, "a", ttl_s=-10)
    seen = read.driver(engine).expires_at
    renew(engine, type(old)("a", old.epoch, -5.0))
    assert acquire(engine, "b", ttl_s=60, holder={}, ran_out_at=seen) is None
    assert acquire(engine, "b", ttl_s=60, holder={}, ran_out_at=read.driver(engine).expires_at).epoch == 2


def test_a_process_at_work_here_keeps_a_lease_that_ran_out_and_a_stopped_one_does_not(engine):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        other = pool.apply(process_identity)
        acquire(engine, "a", ttl_s=-10, holder=other)
        holder, watched = read.driver(engine), HolderWatch()
        kept = watched.is_kept(holder)
        os.kill(other["pid"], signal.SIGSTOP)
        os.waitid(os.P_PID, other["pid"], os.WSTOPPED | os.WNOWAIT)
        is_kept_when_stopped = watched.is_kept(holder)
        os.kill(other["pid"], signal.SIGCONT)
    assert (kept, is_kept_when_stopped) == (True, False)


def test_a_holder_of_another_host_has_time_to_renew_before_it_is_replaced(engine):
    now = [0.0]
    acquire(engine, "a", ttl_s=-3, holder={"host": "elsewhere"})
    holder, watched = read.driver(engine), HolderWatch(lambda: now[0])
    holder = replace(holder, ttl_s=3.0)
    looks = []
    for now[0] in (0.0, 0.9, 1.1):
        looks.append(watched.is_kept(holder))
    assert looks == [True, True, False]
