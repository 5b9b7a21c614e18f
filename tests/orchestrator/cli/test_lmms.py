"""`ablate lmms`: results of lmms-eval come back to the trial whose checkpoint they are of, or are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import Engine, select, update

from orchestrator.ledger import read
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import open_ledger, transaction
from orchestrator.results.lmms_eval import _errors
from tests.support.synthetic import Sketch, sketch

Ablate = Callable[..., Result]
Document = Callable[..., Any]
IMAGES = {"mode": "single", "tile": 64, "tokens": 16}
SPLIT = {"mode": "dynamic", "tile": 64, "tokens": 16, "n_min": 1, "n_max": 4}


@pytest.fixture
def engine(home: Path) -> Engine:
    """A finished study whose checkpoints lie in the store, evaluated on whole images."""
    engine = open_ledger(f"sqlite:///{home}/ledger.db")
    sketch(engine, Sketch())
    with transaction(engine) as connection:
        for row in connection.execute(select(t.stages.c.stage_id).where(t.stages.c.kind == "sft")).all():
            connection.execute(update(t.stages).where(t.stages.c.stage_id == row.stage_id).values(artifact=artifact(row.stage_id)))
        for row in connection.execute(select(t.trials)).all():
            config = json.loads(row.config)
            config["evaluate"] = config.get("evaluate", {}) | {"images": IMAGES}
            connection.execute(update(t.trials).where(t.trials.c.trial_key == row.trial_key).values(config=json.dumps(config)))
    return engine


def artifact(stage_id: str) -> str:
    return f"stages/{stage_id[:2]}/{stage_id}/attempts/0001/out"


def checkpoints(engine: Engine) -> dict[tuple[str, int], str]:
    """Return (arm, seed) -> stage that made the checkpoint."""
    study_id = read.study(engine, "quickstart").study_id
    kinds = {stage.stage_id: stage.kind for stage in read.stages(engine, study_id)}
    return {(trial.arm_name, trial.seed): next(each for each in trial.stage_ids if kinds[each] == "sft")
            for trial in read.trials(engine, study_id)}


def results(path: Path, folder: str, *, images: dict[str, Any] = IMAGES, value: Any = 0.5, counts: tuple[int, int] = (9, 9)) -> str:
    """Write what lmms-eval 0.7.3 writes of one task."""
    words = [f"checkpoint={folder}", *(f"{name}={each}" for name, each in images.items())]
    document = {"results": {"mmmu_val": {"alias": "mmmu_val", "mmmu_acc,none": value, "mmmu_acc_stderr,none": 0.1,
                                         "mmmu_acc_stderr_clustered,none": "N/A"}},
                "n-samples": {"mmmu_val": {"original": counts[0], "effective": counts[1]}},
                "config": {"model": "mm15", "model_args": ",".join(words)}, "lmms_eval_version": "0.7.3", "date": "20261124_101010"}
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def of(engine: Engine, tmp_path: Path, arm: str, seed: int, **given: Any) -> str:
    return results(tmp_path / f"{arm}-{seed}.json", f"/nodes/store/{artifact(checkpoints(engine)[arm, seed])}", **given)


def test_scores_stand_beside_the_own_ones_with_intervals(ablate_json: Document, engine: Engine, tmp_path: Path) -> None:
    values = {("science=0", 0): 0.30, ("science=0", 1): 0.32, ("science=0.5", 0): 0.40, ("science=0.5", 1): 0.44}
    files = [of(engine, tmp_path, arm, seed, value=value) for (arm, seed), value in values.items()]
    found = ablate_json("lmms", "quickstart", *files, "--share", "mmmu_val/mmmu_acc")
    cells = {arm["name"]: arm["metrics"].get("mmmu_val/mmmu_acc") for arm in found["arms"]}
    assert cells["science=0"]["by_seed"] == {"0": 30.0, "1": 32.0}
    assert cells["science=0.5"]["delta"]["value"] == pytest.approx(11)
    assert cells["science=0.1"] is None
    assert [each["kind"] for each in found["metrics"] if each["name"] == "mmmu_val/mmmu_acc"] == ["outside"]


def test_own_scores_and_the_verdict_stay_as_they_are(ablate_json: Document, engine: Engine, tmp_path: Path) -> None:
    alone = ablate_json("results", "quickstart")
    beside = ablate_json("lmms", "quickstart", of(engine, tmp_path, "science=0", 0))
    for arm in beside["arms"]:
        arm["metrics"].pop("mmmu_val/mmmu_acc", None)
    assert (beside["arms"], beside["verdict"], beside["claims"]) == (alone["arms"], alone["verdict"], alone["claims"])


def test_the_table_says_where_scores_come_from(ablate: Ablate, engine: Engine, tmp_path: Path) -> None:
    path = of(engine, tmp_path, "science=0.1", 2, counts=(900, 16))
    shown = " ".join(ablate("lmms", "quickstart", path).stdout.split())  # tables are as wide as the terminal
    for expected in ("mmmu_val/mmmu_acc", "science=0.1 seed 2", "mmmu_val: 16 of 900 items", "mmmu_val/mmmu_acc 0.5 ± 0.1",
                     "--share multiplies them by 100"):
        assert expected in shown


def test_arguments_of_every_checkpoint_come_back(ablate_json: Document, engine: Engine, tmp_path: Path) -> None:
    printed = ablate_json("lmms", "quickstart")["checkpoints"]
    assert len(printed) == 9
    files = []
    for number, each in enumerate(printed):
        words = dict(word.split("=", 1) for word in each["model_args"].split(","))
        files.append(results(tmp_path / f"{number}.json", words.pop("checkpoint"), images=words))
    found = ablate_json("lmms", "quickstart", *files)
    assert [each["trial_keys"] for each in found["outside"]] == [each["trial_keys"] for each in printed]


def test_its_own_standard_errors_are_kept(ablate_json: Document, engine: Engine, tmp_path: Path) -> None:
    path = of(engine, tmp_path, "science=0", 0)
    assert ablate_json("lmms", "quickstart", path)["outside"][0]["errors"] == {"mmmu_val/mmmu_acc": 0.1}
    shares = ablate_json("lmms", "quickstart", path, "--share", "mmmu_val/mmmu_acc")["outside"][0]["errors"]
    assert shares == {"mmmu_val/mmmu_acc": pytest.approx(10)}


def test_the_clustered_error_goes_before_the_others() -> None:
    found = _errors({"t": {"acc,none": 1, "acc_stderr,none": 0.1, "acc_stderr_clustered,none": 0.3, "acc_stderr_clt,none": 0.2,
                           "acc_stderr,strict": 0.4, "bad_stderr,none": "N/A"}})
    assert found == {"t/acc": 0.3, "t/acc,strict": 0.4}


def test_what_is_no_number_is_withheld(ablate_json: Document, engine: Engine, tmp_path: Path) -> None:
    found = ablate_json("lmms", "quickstart", of(engine, tmp_path, "science=0", 0, value="N/A"))
    assert found["arms"][0]["withheld"]["mmmu_val/mmmu_acc"] == "lmms-eval gave no number"


def refused(ablate: Ablate, *words: str) -> str:
    result = ablate("lmms", "quickstart", *words)
    assert result.exit_code == 2
    return result.stderr.replace("\n", " ")


def test_other_images_than_the_trials_are_refused(ablate: Ablate, engine: Engine, tmp_path: Path) -> None:
    assert "mode dynamic (the trial's: single)" in refused(ablate, of(engine, tmp_path, "science=0", 0, images=SPLIT))


def test_an_attempt_that_was_not_accepted_is_refused(ablate: Ablate, engine: Engine, tmp_path: Path) -> None:
    late = artifact(checkpoints(engine)["science=0", 0]).replace("0001", "0002")
    assert "is not the accepted one" in refused(ablate, results(tmp_path / "late.json", f"/nodes/store/{late}"))


def test_a_checkpoint_of_another_study_is_refused(ablate: Ablate, engine: Engine, tmp_path: Path) -> None:
    assert "no trial of this study" in refused(ablate, results(tmp_path / "other.json", f"/nodes/store/{artifact('ab' * 32)}"))


def test_a_checkpoint_outside_of_a_store_is_refused(ablate: Ablate, engine: Engine, tmp_path: Path) -> None:
    assert "is not in an artifact store" in refused(ablate, results(tmp_path / "loose.json", "model/checkpoints/tiny"))


def test_two_values_for_one_trial_are_refused(ablate: Ablate, engine: Engine, tmp_path: Path) -> None:
    first = of(engine, tmp_path, "science=0", 0)
    again = results(tmp_path / "again.json", f"/nodes/store/{artifact(checkpoints(engine)['science=0', 0])}", value=0.6)
    assert "mmmu_val/mmmu_acc is 0.6, but 0.5" in refused(ablate, first, again)


def test_a_share_that_no_file_has_is_refused(ablate: Ablate, engine: Engine, tmp_path: Path) -> None:
    assert "did you mean 'mmmu_val/mmmu_acc'" in refused(ablate, of(engine, tmp_path, "science=0", 0), "--share", "mmmu/mmmu_acc")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"results": {"a": 1}, "config": {}}', '{"results": {}, "config": 1}'])
def test_another_file_is_refused(ablate: Ablate, engine: Engine, tmp_path: Path, text: str) -> None:
    (tmp_path / "other.json").write_text(text, encoding="utf-8")
    assert "results of" in refused(ablate, str(tmp_path / "other.json"))
