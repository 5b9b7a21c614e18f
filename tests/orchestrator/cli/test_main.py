import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import COMMANDS, GROUPS, main

HEAVY = {"torch", "transformers", "ray", "mlflow", "optuna", "matplotlib", "streamlit", "plotly"}


def test_help_lists_every_subcommand() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    assert all(name in result.stdout for name in COMMANDS)


def test_every_subcommand_stands_below_one_heading() -> None:
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(COMMANDS)
    assert all(f"{title}:" in CliRunner().invoke(main, ["--help"]).stdout for title in GROUPS)


@pytest.mark.parametrize(("word", "hint"), [("plann", "did you mean 'plan'?"), ("statsu", "did you mean 'status'?"),
                                            ("xyzzy", "ablate --help lists them")])
def test_unknown_subcommand_is_bad_input_with_the_nearest(word: str, hint: str) -> None:
    result = CliRunner().invoke(main, [word], prog_name="ablate")
    assert result.exit_code == 2
    assert f"no command '{word}'; {hint}" in result.stderr


def test_version_has_a_short_form() -> None:
    assert CliRunner().invoke(main, ["-V"]).stdout == CliRunner().invoke(main, ["--version"]).stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_output_that_is_not_utf8_ends_no_command(encoding: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "ABLATE_HOME": str(tmp_path)}
    text = tmp_path / "größe.yaml"
    written = Path("studies/quickstart.yaml").read_text(encoding="utf-8")
    text.write_text(written.replace("question: ", "question: Größe ✓ "), encoding="utf-8")
    command = [sys.executable, "-m", "orchestrator.cli.main"]
    said = subprocess.run([*command, "validate", str(text)], capture_output=True, env=environment, check=False)
    assert (said.returncode, b"Traceback" in said.stderr) == (0, False)
    told = subprocess.run([*command, "plan", str(text), "--json"], capture_output=True, env=environment, check=True)
    assert json.loads(told.stdout.decode(encoding))["question"].startswith("Größe ✓ ")


@pytest.mark.parametrize("module", ["main", "plan", "status", "control", "doctor", "data.list"])
def test_looking_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, orchestrator.cli.{module}; print(*sorted({HEAVY} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
