"""Campaigns: what one study chose is what the next one starts from."""

import pytest

from orchestrator.driver.loop import drive
from orchestrator.errors import StudyError
from orchestrator.execution.executor import InlineExecutor
from orchestrator.ledger import read
from orchestrator.ledger.submit import submit
from orchestrator.plan.plan import Planner
from orchestrator.results import campaign
from orchestrator.results.campaign import chosen_in, plan_arguments, required_studies, selections, sorted_studies
from orchestrator.study.study import load_campaign

PATH = "sft.mixture.alpha.science"
LATER = """
name: later
question: And then?
recipe: sft-ablation
set: {sft.mixture.alpha.science: {from_selection: written}}
vary: {sft.images.tile: [low, high]}
seeds: 2
select: {maximize: mmbase, baseline: {sft.images.tile: low}}
"""


def scoring(best):
    """Score every benchmark high where the training stage had this level."""
    levels = {}

    def carried_out(order, _report, _should_stop):
        spec, result = order["spec"], {"loss": 1.0}
        if order["kind"] == "sft":
            levels[order["stage_id"]] = spec["config"]["mixture"]["alpha"]["science"], spec["seed"]
        else:
            level, seed = levels[spec["parent_id"]]
            result = {"benchmark": spec["benchmark"], "score": (80 if level == best else 40) + seed, "num_items": 4}
        return {"attempt_id": order["attempt_id"], "attempt_no": 1, "state": "SUCCEEDED", "result": result, "failure": None, "seconds": 0.0}

    return carried_out


def run_first(settings, ledger, planned, best):
    study_id = submit(ledger, planned(), update=True)
    drive(settings, until=study_id, executor=lambda _: InlineExecutor(scoring(best)))
    return study_id


def test_a_later_study_takes_what_the_earlier_one_chose(settings, ledger, planned, write):
    first = run_first(settings, ledger, planned, 0.5)
    later = write(text=LATER)
    plan = Planner(later, "tiny", **plan_arguments(selections(ledger, later, "tiny"))).plan()
    assert {trial.config["sft"]["mixture"]["alpha"]["science"] for trial in plan.trials} == {0.5}
    assert any(note.startswith("takes what written chose, which is selected: science=0.5") for note in plan.notes)
    submit(ledger, plan)
    kept = chosen_in(read.study(ledger, "later").spec)["written"]
    assert (kept.levels, kept.kind, kept.study_id) == ({PATH: 0.5}, "selected", first)


def test_another_verdict_makes_another_version_and_another_wording_does_not(write, checkpoint):
    def hash_of(level, sentence):
        chosen = {"written": campaign.Selection(levels={PATH: level}, kind="tied", sentence=sentence, study_id="x")}
        return Planner(write(text=LATER), "tiny", **plan_arguments(chosen)).plan().spec_hash

    assert hash_of(0.5, "a") == hash_of(0.5, "b") != hash_of(0.1, "a")


def test_a_study_without_a_verdict_is_named(settings, ledger, planned, write):
    later = write(text=LATER)
    with pytest.raises(StudyError, match="verdict of written, which was not run at scale tiny"):
        selections(ledger, later, "tiny")
    submit(ledger, planned())
    with pytest.raises(StudyError, match="verdict of written, which is queued"):
        selections(ledger, later, "tiny")


def in_campaign(tmp_path, *studies):
    for name, needs in studies:
        text = LATER.replace("name: later", f"name: {name}").replace("from_selection: written", f"from_selection: {needs}")
        (tmp_path / f"{name}.yaml").write_text(text.lstrip())
    path = tmp_path / "all.yaml"
    path.write_text(f"kind: campaign\nname: all\nquestion: All?\nstudies: [{', '.join(f'{name}.yaml' for name, _ in studies)}]\n")
    return load_campaign(path)


def test_studies_run_after_those_they_need_and_paths_are_relative_to_the_campaign(tmp_path):
    loaded = in_campaign(tmp_path, ("c", "b"), ("b", "a"), ("a", "quickstart"))
    assert [study.name for study in sorted_studies(loaded)] == ["a", "b", "c"]
    assert required_studies(sorted_studies(loaded)[0]) == ("quickstart",)


def test_studies_that_wait_for_each_other_are_refused(tmp_path):
    loaded = in_campaign(tmp_path, ("a", "b"), ("b", "a"))
    with pytest.raises(StudyError, match="the studies need each other"):
        sorted_studies(loaded)
