"""A folder of a user with data of their own, a catalogue, and a study, which is run in this process by the real worker."""

import functools
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

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
categories:
  roofs: {in_mmbase: true}
datasets:
  general:
    talks: {own: true, layout: llava, files: [a/general.jsonl], images: a/images}
    tables: {own: true, layout: cauldron, files: ["b/general-*.parquet"]}
  science:
    shards: {own: true, layout: llava, files: ["c/science-*.tar"]}
  roofs:
    photos: {own: true, layout: cauldron, files: ["d/general-*.parquet"]}
benchmarks:
  docvqa: docvqa
  roof-words:
    files: roof-words
    category: roofs
    metric: {name: anls, anls_form: due}
    columns: {question: ask, answer: gold}
"""
STUDY = """
name: walk
question: Does science from our own shards help?
recipe: sft-ablation
set:
  data.source: catalogue
  sft: {steps: 2, batch: 4, warmup_steps: 0}
  sft.images: {mode: single, tile: low}
  sft.mixture.alpha.own: {roofs: 0.5}
  sft.data_sets: {general/talks: 0.25}
vary: {sft.mixture.alpha.science: [0, 0.5]}
evaluate: {benchmarks: [docvqa, roof-words]}
select: {maximize: roofs, baseline: {sft.mixture.alpha.science: 0}}
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
    corpora.cauldron(folder / "d", "general", 4)
    write(folder, "docvqa")
    (folder / "roof-words").mkdir()
    Image.new("RGB", (8, 6), (200, 30, 30)).save(folder / "roof-words" / "a.png")
    row = {"image": "a.png", "ask": "What is it?", "gold": ["a roof", "roof"]}
    (folder / "roof-words" / "test.json").write_text(json.dumps([row]))
    (folder / "catalogue.yaml").write_text(CATALOGUE)
    (folder / "walk.yaml").write_text(STUDY)
