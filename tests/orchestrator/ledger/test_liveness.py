import multiprocessing
import os

import pytest

from orchestrator.ledger.liveness import is_surely_dead, process_identity


def test_this_process_lives():
    assert not is_surely_dead(process_identity())


def test_a_process_that_ended_here_is_dead():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        other = pool.apply(process_identity)
        assert not is_surely_dead(other)
    assert is_surely_dead(other)


def test_a_process_id_that_was_used_again_is_another_process():
    assert is_surely_dead({**process_identity(), "pid": os.getpid(), "began": "1"})


@pytest.mark.parametrize("holder", [{}, {**process_identity(), "host": "elsewhere", "pid": 2**22 + 1},
                                    {**process_identity(), "boot": "earlier"}])
def test_of_other_hosts_nothing_is_known(holder):
    assert not is_surely_dead(holder)
