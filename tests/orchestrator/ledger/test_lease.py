from concurrent.futures import ThreadPoolExecutor

import pytest

from orchestrator.errors import LostLease
from orchestrator.ledger import read
from orchestrator.ledger.engine import fenced
from orchestrator.ledger.lease import acquire, is_newest, notify, release


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
