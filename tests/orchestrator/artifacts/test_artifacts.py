from pathlib import Path

import pytest

from orchestrator.artifacts.store import Artifacts, packaged
from orchestrator.errors import StudyError

STAGE = "ab" * 32


def test_every_attempt_has_a_folder_of_its_own(tmp_path):
    artifacts = Artifacts(tmp_path)
    first, second = artifacts.attempt_dir(STAGE, 1), artifacts.attempt_dir(STAGE, 2)
    assert first != second
    assert {first.parent.parent, second.parent.parent, artifacts.checkpoints_dir(STAGE).parent} == {artifacts.stage_dir(STAGE)}


def test_a_name_in_the_ledger_survives_a_move_of_the_root(tmp_path):
    name = Artifacts(tmp_path / "old").name(Artifacts(tmp_path / "old").out_dir(STAGE, 3))
    assert Artifacts(tmp_path / "new").resolve(name) == Artifacts(tmp_path / "new").out_dir(STAGE, 3)


def test_an_absolute_name_is_taken_as_it_is(tmp_path):
    assert Artifacts(tmp_path).resolve("/data/checkpoint") == Path("/data/checkpoint")


@pytest.mark.parametrize("name", ["packaged:nothing", "packaged:../data", "packaged:"])
def test_an_unknown_packaged_checkpoint_is_an_error(name):
    with pytest.raises(StudyError, match="no packaged checkpoint of that name; allowed: "):
        packaged(name)


def test_the_newest_checkpoint_is_the_one_with_most_steps(tmp_path):
    artifacts = Artifacts(tmp_path)
    assert artifacts.newest_checkpoint(STAGE) == 0
    for name in ("step_00000090-aa", "step_00000100-bb", ".step_00000200-cc.tmp-x", "step_junk"):
        (artifacts.checkpoints_dir(STAGE) / name).mkdir(parents=True)
    assert artifacts.newest_checkpoint(STAGE) == 100
