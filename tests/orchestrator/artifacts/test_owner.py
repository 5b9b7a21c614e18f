"""Two ledgers, one store: nothing of one is ever removed, overwritten or taken for garbage by the other."""

import json
import shutil

import pytest
from click.testing import CliRunner

from model import manifest
from orchestrator.artifacts.opening import artifacts_of
from orchestrator.artifacts.owner import OWNER, claim, owner_of, part_of
from orchestrator.artifacts.store import Artifacts
from orchestrator.cli.main import main
from orchestrator.driver.loop import drive
from orchestrator.errors import OrchestratorError
from orchestrator.execution.executor import InlineExecutor
from orchestrator.ledger import read
from orchestrator.ledger.engine import open_ledger
from orchestrator.ledger.naming import ledger_id, name_ledger
from orchestrator.ledger.submit import submit
from orchestrator.ledger.summaries import stage_ids
from tests.support.toy import table, toy_execute, toy_plan, toy_settings

STAGE = "ab" * 32
OLD_STAGE = f"stages/ab/{STAGE}/attempts/0001/out/manifest.json"


@pytest.fixture(params=["folder", "s3"])
def shared(request, tmp_path):
    """What ABLATE_ARTIFACTS says for both ledgers."""
    return request.getfixturevalue("bucket") if request.param == "s3" else str(tmp_path / "shared")


class Lab:
    """A home with a ledger of its own, and the store."""

    def __init__(self, home, shared):
        self.settings = toy_settings(home, artifacts_at=shared)
        self.engine = open_ledger(self.settings.ledger_url)

    def run(self, **plan):
        study_id = submit(self.engine, toy_plan(**{"levels": (0, 1), "seeds": 1, **plan}))
        drive(self.settings, until=study_id, executor=lambda _: InlineExecutor(toy_execute))
        return table(self.engine, study_id)

    def verified(self):
        """Return how many artifacts of finished stages are whole in the store."""
        artifacts = artifacts_of(self.settings, ledger_id(self.engine))
        if artifacts.store is not None:  # else what this machine keeps would be looked at
            shutil.rmtree(artifacts.root)
        stages = [each for study in read.studies(self.engine) for each in read.stages(self.engine, study.study_id)]
        return len([manifest.verify(artifacts.fetched(each.artifact)) for each in stages])

    def gc(self, monkeypatch, *words):
        monkeypatch.setenv("ABLATE_HOME", str(self.settings.home))
        monkeypatch.setenv("ABLATE_ARTIFACTS", self.settings.artifacts_at)
        return CliRunner().invoke(main, ["gc", "--grace-hours", "0", *words])


@pytest.fixture
def labs(tmp_path, shared):
    made = [Lab(tmp_path / name, shared) for name in ("first", "second")]
    yield made
    for each in made:
        each.engine.dispose()


def stored(settings):
    """Return all files of the store, wherever they lie in it."""
    whole = Artifacts(settings.artifacts)
    return sorted(str(path.relative_to(whole.root)) for path in whole.root.rglob("*") if path.is_file())


def test_the_same_study_in_two_ledgers_of_one_store_is_run_twice_and_both_are_whole(labs, monkeypatch):
    first, second = labs
    tables = [each.run() for each in labs]
    assert tables[0] == tables[1]
    for each in labs:
        removed = each.gc(monkeypatch, "--yes")
        assert (removed.exit_code, removed.stdout) == (0, "nothing to remove\n"), removed.stderr
    assert [each.verified() for each in labs] == [7, 7]
    ids = [ledger_id(each.engine) for each in labs]
    places = [artifacts_of(each.settings, ledger_id(each.engine)) for each in labs]
    assert [owner_of(place).ledger_id for place in places] == ids
    assert places[1].where == f"{places[0].where}/ledgers/{ids[1]}"


@pytest.mark.parametrize("shared", ["folder"], indirect=True)
def test_garbage_of_one_ledger_is_removed_and_the_other_keeps_all(labs, monkeypatch):
    first, second = labs
    first.run(), second.run()
    before = stored(first.settings)
    for each in labs:
        left = artifacts_of(each.settings, ledger_id(each.engine)).root / "stages" / "ab" / STAGE / "checkpoints" / "step_1"
        left.mkdir(parents=True)
        (left / "state.json").write_text("left over")
    shown = json.loads(second.gc(monkeypatch, "--yes", "--json").stdout)
    assert [(each["folder"], each["studies"]) for each in shown["folders"]] == [(f"stages/ab/{STAGE}", [])]
    assert set(stored(first.settings)) - set(before) == {f"stages/ab/{STAGE}/checkpoints/step_1/state.json"}


@pytest.mark.parametrize("shared", ["folder"], indirect=True)
def test_wrong_home_removes_nothing(labs, tmp_path, monkeypatch):
    """The command's ledger is another one, has never been here, or is empty: all is garbage to it."""
    first, second = labs
    first.run()
    before = stored(first.settings)
    elsewhere = second.gc(monkeypatch, "--yes")
    assert elsewhere.exit_code == 1
    assert f"these artifacts belong to the ledger {first.settings.ledger_url}" in elsewhere.stderr.replace("\n", "")
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path / "nothing"))
    missing = CliRunner().invoke(main, ["gc", "--yes", "--grace-hours", "0"])
    assert missing.exit_code == 1
    assert "hint: " in missing.stderr
    assert stored(first.settings) == before
    assert not (tmp_path / "nothing").exists()


def old_store(path):
    (path / OLD_STAGE).parent.mkdir(parents=True)
    (path / OLD_STAGE).write_text("{}")


def test_store_of_an_older_release_is_claimed_by_the_ledger_that_knows_all_in_it(tmp_path):
    old_store(tmp_path)
    mine = claim(Artifacts(tmp_path), "a" * 32, ledger="here", known={STAGE, "another"})
    assert (mine.root, owner_of(mine).ledger_id) == (tmp_path, "a" * 32)


def test_store_of_an_older_release_is_foreign_to_a_ledger_that_does_not_know_what_lies_there(tmp_path):
    old_store(tmp_path)
    part = claim(Artifacts(tmp_path), "b" * 32, ledger="there", known={"another"})
    assert part.root == tmp_path / "ledgers" / ("b" * 32)
    assert owner_of(Artifacts(tmp_path)) is None
    assert claim(Artifacts(tmp_path), "a" * 32, ledger="here", known={STAGE}).root == tmp_path
    assert part_of(Artifacts(tmp_path), "b" * 32).root == part.root


@pytest.mark.parametrize("shared", ["folder"], indirect=True)
def test_unclaimed_store_is_left_alone_until_it_is_adopted(labs, monkeypatch):
    first, _ = labs
    first.run()
    (first.settings.artifacts / OWNER).unlink()
    old_store(first.settings.artifacts)
    refused = first.gc(monkeypatch, "--yes")
    assert refused.exit_code == 1
    assert "1 of the stages in it are unknown to this ledger" in refused.stderr
    assert "--adopt" in refused.stderr
    adopted = json.loads(first.gc(monkeypatch, "--adopt", "--yes", "--json").stdout)
    assert [each["folder"] for each in adopted["folders"]] == [f"stages/ab/{STAGE}"]
    assert owner_of(Artifacts(first.settings.artifacts)).ledger_id == ledger_id(first.engine)


@pytest.mark.parametrize("shared", ["folder"], indirect=True)
def test_ledger_without_a_stage_takes_nothing_for_garbage(labs, tmp_path, monkeypatch):
    """A ledger that was made anew, at the place of one that owned the store: the id is copied by hand, the rows are gone."""
    first, second = labs
    first.run()
    name_ledger(second.engine)
    record = json.loads((first.settings.artifacts / OWNER).read_text())
    (first.settings.artifacts / OWNER).write_text(json.dumps({**record, "ledger_id": ledger_id(second.engine)}))
    refused = second.gc(monkeypatch, "--yes")
    assert refused.exit_code == 1
    assert "is empty: all of" in refused.stderr
    assert len(list(Artifacts(first.settings.artifacts).stage_ids())) == len(stage_ids(first.engine))


def test_unreadable_owner_is_an_error_with_its_place(tmp_path):
    (tmp_path / OWNER).write_text("{")
    with pytest.raises(OrchestratorError, match=r"owner\.json: cannot be read(.|\n)*hint: "):
        owner_of(Artifacts(tmp_path))


def test_of_two_ledgers_that_claim_at_once_one_gets_a_part(tmp_path, monkeypatch):
    whole = Artifacts(tmp_path)
    write = Artifacts.write_new

    def beaten(self, name, text):
        monkeypatch.setattr(Artifacts, "write_new", write)
        claim(whole, "b" * 32, ledger="there", known=())
        write(self, name, text)

    monkeypatch.setattr(Artifacts, "write_new", beaten)
    assert claim(whole, "a" * 32, ledger="here", known=()).root == tmp_path / "ledgers" / ("a" * 32)
    assert owner_of(whole).ledger_id == "b" * 32


def test_reading_claims_nothing(tmp_path):
    assert part_of(Artifacts(tmp_path / "none"), "a" * 32).root == tmp_path / "none"
    assert not (tmp_path / "none").exists()


def test_a_ledger_has_one_name_whoever_asks_first(ledger_url):
    engines = [open_ledger(ledger_url) for _ in range(2)]
    assert ledger_id(engines[0]) == ""
    names = {name_ledger(each) for each in (*engines, *engines)}
    assert names == {ledger_id(engines[0])}
    assert len(names.pop()) == 32
    for each in engines:
        each.dispose()
