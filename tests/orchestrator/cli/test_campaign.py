"""`ablate campaign` over the real driver: killed within its second study and called again, it decides what it decides undisturbed."""

import functools
import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from orchestrator.cli import run
from orchestrator.cli.main import main
from orchestrator.driver import loop
from orchestrator.execution.executor import InlineExecutor

FORK = multiprocessing.get_context("fork")
STUDIES = {
    "how-much": """
question: How much science?
recipe: sft-ablation
vary: {sft.mixture.alpha.science: [0, 1]}
seeds: 3
evaluate: {benchmarks: [science-names]}
select: {maximize: science-names, baseline: {sft.mixture.alpha.science: 0}}
""",
    "which-tile": """
question: And which tile, with that much?
recipe: sft-ablation
set: {sft.mixture.alpha.science: {from_selection: how-much}}
vary: {sft.images.tile: [low, high]}
seeds: 3
evaluate: {benchmarks: [science-names]}
select: {maximize: science-names, baseline: {sft.images.tile: low}}
""",
}
STAGES_OF_FIRST = 13
"""One import, and six trials of two stages."""


def pretended(folder: Path, *, kill_after: int) -> Callable[..., dict[str, Any]]:
    """Return stages that score by what their arm was trained with, and end this process after so many of them."""
    done = folder / "done"

    def execute(order: Any, _report: object, _should_stop: object) -> dict[str, Any]:
        spec, result = order["spec"], {"loss": 1.0}
        if order["kind"] == "sft":
            config = spec["config"]
            score = 40 + 20 * config["mixture"]["alpha"]["science"] + config["images"]["tile"] + 0.1 * spec["seed"]
            (folder / order["stage_id"]).write_text(str(score))
        elif order["kind"] == "evaluate":
            score = float((folder / spec["parent_id"]).read_text())
            result = {"benchmark": spec["benchmark"], "score": score, "num_items": 4}
        with done.open("a") as file:
            file.write(order["stage_id"] + "\n")
        if len(done.read_text().splitlines()) == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"attempt_id": order["attempt_id"], "attempt_no": order["attempt_no"], "state": "SUCCEEDED", "failure": None, "seconds": 0.0,
                "result": result}

    return execute


@pytest.fixture
def campaign(tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Write the campaign; return a function that runs it in a home, and gives what it printed as JSON."""
    monkeypatch.setenv("ABLATE_MLFLOW_URI", "off")
    monkeypatch.setenv("ABLATE_SLOTS", "1")
    for name, text in STUDIES.items():
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}{text}")
    path = tmp_path / "derived.yaml"
    path.write_text("kind: campaign\nname: derived\nquestion: Which recipe?\nstudies: [which-tile.yaml, how-much.yaml]\n")

    def called(home: str, *, kill_after: int = -1) -> Any:
        folder = tmp_path / home
        folder.mkdir(exist_ok=True)
        monkeypatch.setenv("ABLATE_HOME", str(folder))
        execute = pretended(folder, kill_after=kill_after)
        monkeypatch.setattr(run, "drive", functools.partial(loop.drive, executor=lambda _: InlineExecutor(execute)))
        result = CliRunner().invoke(main, ["campaign", str(path), "--json"])
        assert result.exit_code == 0, result.output
        return [(each["name"], each["state"], each["chosen"], each["verdict"]["kind"]) for each in json.loads(result.stdout)["studies"]]

    return called


def test_a_killed_campaign_goes_on_and_decides_the_same(campaign: Callable[..., Any], tmp_path: Path) -> None:
    undisturbed = campaign("undisturbed")
    assert [(name, chosen) for name, _, chosen, _ in undisturbed] == [
        ("how-much", {"sft.mixture.alpha.science": 1}), ("which-tile", {"sft.images.tile": "high"})]

    killed = FORK.Process(target=campaign, args=("killed",), kwargs={"kill_after": STAGES_OF_FIRST + 5})
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL

    assert campaign("killed") == undisturbed
    done = (tmp_path / "killed" / "done").read_text().splitlines()
    assert len(done) - len(set(done)) <= 1, "only the stage at which it was killed is carried out again"
