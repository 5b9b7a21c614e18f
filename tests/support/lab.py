"""A folder of a user with data of their own, a catalogue, and a study, which is run in this process by the real worker."""

import functools
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli import run
from orchestrator.cli.main import main
from orchestrator.driver import loop
from orchestrator.execution import worker
from orchestrator.execution.executor import InlineExecutor
from tests.support import corpora
from tests.support.copies import write

CATALOGUE = """
kind: catalogue
name: lab
datasets:
  general:
    talks: {own: true, layout: llava, files: [a/general.jsonl], images: a/images}
    tables: {own: true, layout: cauldron, files: ["b/general-*.parquet"]}
  science:
    shards: {own: true, layout: llava, files: ["c/science-*.tar"]}
benchmarks: {docvqa: docvqa}
"""
STUDY = """
name: walk
question: Does science from our own shards help?
recipe: sft-ablation
set:
  data.source: catalogue
  sft: {steps: 2, batch: 4, warmup_steps: 0}
  sft.images: {mode: single, tile: low}
vary: {sft.mixture.alpha.science: [0, 0.5]}
evaluate: {benchmarks: [docvqa]}
select: {maximize: docvqa, baseline: {sft.mixture.alpha.science: 0}}
"""


def ablate(*words: str) -> Result:
    """Call the command in this process."""
    return CliRunner().invoke(main, list(words))


def in_process(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let commands keep their state in a folder, read its catalogue, and drive with the real worker in this process."""
    patch.setenv("ABLATE_HOME", str(folder / "home"))
    patch.setenv("ABLATE_CATALOGUE", str(folder / "catalogue.yaml"))
    patch.setenv("ABLATE_MLFLOW_URI", "off")
    patch.setattr(run, "drive", functools.partial(loop.drive, executor=lambda _: InlineExecutor(worker.execute)))


def make(folder: Path) -> None:
    """Write data sets of three layouts, a copy of a benchmark, a catalogue and the study `walk.yaml`."""
    corpora.llava(folder / "a", "general", 6)
    corpora.cauldron(folder / "b", "general", 4)
    corpora.webdataset(folder / "c", "science", 5)
    write(folder, "docvqa")
    (folder / "catalogue.yaml").write_text(CATALOGUE)
    (folder / "walk.yaml").write_text(STUDY)
