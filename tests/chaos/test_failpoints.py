"""kill -9 of the driver at every failpoint, at every visit: always the same table. `make chaos`; a sample runs in `make test`."""

from collections import Counter

import pytest

from orchestrator.failpoints import KNOWN, failpoint
from orchestrator.failpoints import arm as arm_failpoint


def test_every_point_is_visited_and_known(visits):
    assert set(visits[0]) == set(KNOWN)


@pytest.mark.parametrize("point", KNOWN)
def test_a_kill_at_the_first_visit_changes_nothing(point, visits, tmp_path, killed_at):
    assert killed_at(tmp_path, point, 1) == visits[1]


@pytest.mark.chaos
@pytest.mark.parametrize("point", KNOWN)
def test_a_kill_at_every_later_visit_changes_nothing(point, visits, tmp_path_factory, killed_at):
    for visit in range(2, Counter(visits[0])[point] + 1):
        assert killed_at(tmp_path_factory.mktemp("again"), point, visit) == visits[1], f"{point}, visit {visit}"


def test_an_unarmed_point_does_nothing():
    arm_failpoint("")
    failpoint("tick.after_commit")
