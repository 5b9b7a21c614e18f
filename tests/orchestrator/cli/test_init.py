import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Ablate = Callable[..., Result]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_study_to_start_from_is_valid_and_can_be_planned(ablate: Ablate, ablate_json: Callable[..., Any], here: Path) -> None:
    assert ablate("init", "my-first").exit_code == 0
    assert ablate_json("validate", "my-first.yaml")["num_trials"] == 9
    assert ablate_json("plan", "my-first.yaml")["stages"]["unique"] > 0


def test_file_that_is_there_is_left_as_it_is(ablate: Ablate, here: Path) -> None:
    (here / "mine.yaml").write_text("precious")
    result = ablate("init", "mine")
    assert result.exit_code == 2
    assert "it was not changed" in result.stderr
    assert (here / "mine.yaml").read_text() == "precious"


@pytest.mark.parametrize("name", ["My Study", "../up", "a--b", ""])
def test_name_that_no_study_may_have_is_bad_input(ablate: Ablate, here: Path, name: str) -> None:
    result = ablate("init", name)
    assert result.exit_code == 2
    assert "allowed: small letters" in result.stderr
    assert list(here.glob("*.yaml")) == []


def test_init_document(ablate_json: Callable[..., Any], here: Path) -> None:
    assert ablate_json("init", "mine", "--directory", "below") == {"study": "mine", "path": "below/mine.yaml"}


@pytest.mark.parametrize(("shell", "mark"), [("bash", "complete -o nosort"), ("zsh", "#compdef ablate"), ("fish", "complete --no-files")])
def test_completion_script_of_each_shell(ablate: Ablate, shell: str, mark: str) -> None:
    assert mark in ablate("completion", shell).stdout


@pytest.mark.parametrize(("words", "expected"), [
    ("ablate ru", "plain,run"), ("ablate run alpha-co", "plain,alpha-code"),
    ("ablate plan quickstart --scale mm1.5-3b-m", "plain,mm1.5-3b-moe"),
    ("ablate plan ./studies", "file,./studies")])
def test_shell_is_told_how_a_word_goes_on(words: str, expected: str) -> None:
    environment = {**os.environ, "_ABLATE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    command = [sys.executable, "-c", "from orchestrator.cli.main import main; main(prog_name='ablate')"]
    assert subprocess.run(command, env=environment, capture_output=True, text=True).stdout.splitlines() == [expected]
