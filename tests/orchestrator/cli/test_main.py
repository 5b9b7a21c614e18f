import subprocess
import sys

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import COMMANDS, main

HEAVY = {"torch", "transformers", "ray", "mlflow", "optuna", "matplotlib", "streamlit", "plotly"}


def test_help_lists_every_subcommand() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    assert all(name in result.stdout for name in COMMANDS)


def test_unknown_subcommand_is_bad_input() -> None:
    assert CliRunner().invoke(main, ["plann"]).exit_code == 2


@pytest.mark.parametrize("module", ["main", "plan", "status", "control", "doctor", "data_list"])
def test_looking_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, orchestrator.cli.{module}; print(*sorted({HEAVY} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
