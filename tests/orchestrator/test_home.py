"""What a notebook needs: the README's lines over a study that was run, frames with the numbers of the command line, a cheap import."""

import contextlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import orchestrator as ablate
from orchestrator.errors import OrchestratorError, StudyError
from orchestrator.ledger import read
from orchestrator.ledger.engine import open_for_reading
from tests.support import lab

README = Path(__file__).parents[2] / "README.md"
FACTOR = "sft.mixture.alpha.science"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a study that was run by the real worker."""
    made = tmp_path_factory.mktemp("lab")
    lab.make(made)
    with pytest.MonkeyPatch.context() as patch:
        lab.in_process(patch, made)
        result = lab.ablate("run", str(made / "walk.yaml"))
        assert result.exit_code == 0, result.output
        yield made


@pytest.fixture(scope="module")
def home(folder):
    return ablate.open_home(folder / "home")


@pytest.fixture(scope="module")
def found(home):
    return home.results("walk")


def notebook(folder):
    """Return the README's lines for a notebook, on the study of the test."""
    (code,) = re.findall(r"```python\n(import orchestrator.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return code.replace('"quickstart"', f'"{folder / "walk.yaml"}"').replace('"science-names"', '"docvqa"')


def test_the_lines_of_the_readme_work(folder, monkeypatch):
    shown = io.StringIO()
    names = {}
    monkeypatch.chdir(folder)
    with contextlib.redirect_stdout(shown):
        exec(notebook(folder), names)  # noqa: S102 (the README's own lines)
    assert shown.getvalue().strip() == names["found"].verdict.sentence
    assert [len(names[name]) for name in ("arms", "trials", "items")] == [len(names["found"].arms()), 2, 2]


def test_arms_have_a_row_for_each_metric_and_a_column_for_each_factor(found):
    frame = found.arms()
    row = frame[(frame.arm == "science=0.5") & (frame.metric == "docvqa")].iloc[0]
    cell = found.results.arms[1].metrics["docvqa"]
    assert (row[FACTOR], row["mean"], row["n"], row["num_items"]) == (0.5, cell.mean, 1, 1)
    assert len(frame) == len(found.results.arms) * len(found.results.metrics)
    assert frame["num_items"].dtype == "Int64"


def test_trials_have_a_row_each_with_every_metric(found):
    frame = found.trials()
    assert list(frame[["arm", "seed", "state", FACTOR]].itertuples(index=False, name=None)) == [
        ("science=0", 0, "SUCCEEDED", 0), ("science=0.5", 0, "SUCCEEDED", 0.5)]
    assert list(frame["docvqa"]) == [each.metrics["docvqa"] for each in found.results.trials]


def test_items_are_those_of_all_trials_or_of_the_ones_asked_for(found):
    frame = found.items("docvqa")
    assert set(found.items().benchmark) == {"docvqa", "roof-words"}
    assert list(zip(frame.arm, frame.item_id, frame.references, strict=True)) == [
        ("science=0", "docvqa/7", ("may 1",)), ("science=0.5", "docvqa/7", ("may 1",))]
    beside = found.items("docvqa", arm="science=0", against="science=0.5")
    assert list(beside.other) == list(frame.prediction[1:])
    assert list(frame.groupby("arm").score.mean() * 100) == pytest.approx(list(found.trials()["docvqa"]))


@pytest.mark.parametrize(("asked", "says"), [({"arm": "science=1"}, "no arm 'science=1'"), ({"benchmark": "docvqq"}, "docvqa"),
                                             ({"seed": 9}, "with seed 9")])
def test_answers_that_are_not_there_are_refused(found, asked, says):
    with pytest.raises(StudyError, match=says):
        found.items(**asked)


def test_a_ledger_of_its_own_is_planned_for_submitted_to_and_listed(home, folder, tmp_path):
    other = ablate.open_home(tmp_path, ledger=f"sqlite:///{tmp_path}/mine.db")
    assert other.studies().empty
    assert not (tmp_path / "mine.db").exists()
    plan = other.plan(folder / "walk.yaml")
    study_id = other.submit(plan)
    assert other.submit(plan) == study_id
    assert list(other.studies()[["name", "state", "stages_done"]].iloc[0]) == ["walk", "QUEUED", 0]
    assert read.study(open_for_reading(f"sqlite:///{tmp_path}/mine.db"), "walk").study_id == study_id
    with pytest.raises(StudyError, match="no answers"):
        other.results("walk").items()
    assert isinstance(other.results("walk").trials(), pd.DataFrame)
    assert list(home.studies().state) == ["COMPLETED"]


def test_a_changed_study_is_refused_as_by_the_command(home, folder, tmp_path):
    changed = tmp_path / "walk.yaml"
    changed.write_text(lab.STUDY.replace("[0, 0.5]", "[0, 0.7]"))
    with pytest.raises(StudyError, match="update"):
        home.submit(home.plan(changed))
    assert home.load(changed).name == "walk"


def test_a_file_is_no_home(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(OrchestratorError, match="is a file"):
        ablate.open_home(tmp_path / "a")


def test_the_import_costs_nothing():
    code = "import json, sys, orchestrator; print(json.dumps([orchestrator.__all__, sorted(sys.modules)]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, modules = json.loads(done.stdout)
    assert names == ["Home", "StudyResults", "open_home"]
    assert not {"torch", "mlflow", "ray", "streamlit", "pandas", "sqlalchemy", "pydantic", "numpy"} & set(modules)


def test_a_home_loads_no_torch():
    code = "import sys, orchestrator; orchestrator.open_home; print({'torch', 'mlflow', 'streamlit', 'transformers'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_another_name_is_refused_as_by_any_module():
    with pytest.raises(AttributeError, match="module 'orchestrator' has no attribute 'open_house'"):
        ablate.open_house  # noqa: B018
