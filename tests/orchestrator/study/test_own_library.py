"""Scales, recipes and studies of one's own: from a folder of the operator's by name, from files beside, without the clone being touched."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import main
from orchestrator.errors import StudyError
from orchestrator.plan.plan import Planner
from orchestrator.study import library
from orchestrator.study.documents import load_scale
from orchestrator.study.study import load_study
from tests.support import scored

STUDY = """name: {name}
question: Does it?
recipe: {recipe}
vary: {{sft.mixture.alpha.science: [0, 1]}}
"""


def copied(kind, name, to, new):
    """Copy a document of the clone under another name."""
    text = (library.ROOT / kind / f"{name}.yaml").read_text()
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(text.replace(f"name: {name}\n", f"name: {new}\n"))
    return to


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A library of the operator's with a scale, a recipe and a study."""
    folder = tmp_path / "library"
    copied("scales", "tiny", folder / "scales" / "lab.yaml", "lab")
    copied("recipes", "sft-ablation", folder / "recipes" / "ours.yaml", "ours")
    (folder / "mine").mkdir()
    (folder / "mine" / "ours-first.yaml").write_text(STUDY.format(name="ours-first", recipe="ours"))
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ABLATE_LIBRARY", str(folder))
    return folder


def ablate(*words):
    return CliRunner().invoke(main, list(words))


def test_documents_of_the_operators_folder_are_found_by_name(own):
    plan = Planner(load_study("ours-first"), "lab").plan()
    assert (plan.scale, plan.trials[0].config["recipe"]) == ("lab", "ours")
    assert {"lab", "tiny"} <= library.names("scale").keys()
    assert "ours-first" in library.names("study")


@pytest.mark.parametrize("words", [("plan", "ours-first", "--scale", "lab"), ("validate", "ours-first", "--scale", "lab"),
                                   ("submit", "ours-first", "--scale", "lab")])
def test_commands_take_their_names(own, words):
    result = ablate(*words)
    assert result.exit_code == 0, result.output


def test_a_name_that_the_clone_has_is_refused(own):
    shutil.copy(library.ROOT / "scales" / "tiny.yaml", own / "scales" / "tiny.yaml")
    result = ablate("plan", "ours-first", "--scale", "lab")
    assert (result.exit_code, "'tiny' is also the scale" in result.stderr) == (2, True)


def test_a_folder_that_is_not_there_is_refused(own, monkeypatch):
    monkeypatch.setenv("ABLATE_LIBRARY", str(own / "nowhere"))
    with pytest.raises(StudyError, match="nowhere: no such folder"):
        library.names("study")


def test_scale_and_recipe_may_be_files(tmp_path, monkeypatch):
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    copied("scales", "tiny", tmp_path / "lab.yaml", "lab")
    copied("recipes", "sft-ablation", tmp_path / "ours.yaml", "ours")
    (tmp_path / "mine.yaml").write_text(STUDY.format(name="mine", recipe="./ours.yaml"))
    plan = json.loads(ablate("plan", "./mine.yaml", "--scale", "./lab.yaml", "--json").stdout)
    assert plan["scale"] == "lab"
    assert ablate("submit", "./mine.yaml", "--scale", "./lab.yaml").exit_code == 0
    assert ablate("results", "mine", "--scale", "./lab.yaml").exit_code == 0


@pytest.mark.parametrize("recipe", ["../ours.yaml", "./../ours.yaml", "/etc/ours.yaml", "./missing.yaml", "Ours"])
def test_a_recipe_from_elsewhere_is_refused(tmp_path, recipe):
    (tmp_path / "mine.yaml").write_text(STUDY.format(name="mine", recipe=recipe))
    with pytest.raises(StudyError, match=r"mine\.yaml:3"):
        Planner(load_study(tmp_path / "mine.yaml"), "tiny")


def test_a_study_that_grows_takes_its_recipe_by_name(tmp_path):
    grows = "seeds: {first: 2, most: 4}\nselect: {maximize: mmbase}\n"
    (tmp_path / "mine.yaml").write_text(STUDY.format(name="mine", recipe="./ours.yaml") + grows)
    with pytest.raises(StudyError, match="is a file, and this study is planned again"):
        load_study(tmp_path / "mine.yaml")


def test_a_start_is_any_checkpoint_that_the_operator_has(tmp_path):
    shutil.copytree(Path(library.__file__).parents[2] / "model" / "checkpoints" / "tiny", tmp_path / "checkpoints" / "ours")
    text = STUDY.format(name="mine", recipe="sft-ablation").replace("vary: {sft.mixture.alpha.science: [0, 1]}",
                                                                    "vary: {start: [pretrained, noise, 'operator:ours']}")
    (tmp_path / "mine.yaml").write_text(text)
    plan = Planner(load_study(tmp_path / "mine.yaml"), load_scale("tiny"), checkpoints=tmp_path / "checkpoints").plan()
    assert [trial.config["start"] for trial in plan.trials] == ["packaged:tiny", None, "operator:ours"]
    assert plan.missing_checkpoints == ()


def test_a_study_without_a_rule_shows_differences_and_no_verdict(tmp_path, monkeypatch):
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ABLATE_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.db")
    (tmp_path / "mine.yaml").write_text(STUDY.format(name="mine", recipe="sft-ablation") + "seeds: 2\n")
    engine = scored.ledger(tmp_path)
    scored.enter(engine, Planner(load_study(tmp_path / "mine.yaml"), "tiny").plan())
    scored.finish(engine)
    engine.dispose()
    found = json.loads(ablate("results", "mine", "--json").stdout)
    assert found["verdict"]["kind"] == "none"
    assert [arm["is_baseline"] for arm in found["arms"]] == [True, False]
    assert found["arms"][1]["metrics"]["mmbase"]["delta"]["value"] is not None
    assert "none  The study declares no rule" in ablate("results", "mine").stdout
    assert ablate("report", "mine").exit_code == 0


@pytest.mark.parametrize("more", ["seeds: {first: 2, most: 4}", "select: {subject_to: ['mmbase >= 3']}", "select: {prefer: smallest}"])
def test_what_needs_a_rule_asks_for_it(tmp_path, more):
    (tmp_path / "mine.yaml").write_text(STUDY.format(name="mine", recipe="sft-ablation") + more)
    with pytest.raises(StudyError, match=r"needs select\.maximize"):
        load_study(tmp_path / "mine.yaml")
