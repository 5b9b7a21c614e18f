"""A record of a study's results: what `ablate export` writes, small enough to be committed, and `ablate import` reads.

A record is a published directory (`model.manifest`) of two files:

- `record.json.gz`: study, arms, trials, stages with their configuration, seeds and provenance, and scores, see `Record`.
- `items.parquet`: the scores of every item, so that better statistics apply without a rerun.

It holds no checkpoints, no questions and no answers. The same results give the same bytes.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from model import manifest
from orchestrator.artifacts.store import OPERATOR, PACKAGED, Artifacts
from orchestrator.errors import StudyError
from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine
from orchestrator.ledger.records import Record, gather
from orchestrator.ledger.rows import StageRow, StudyRow
from orchestrator.results.stored_scores import FILE as ITEMS_FILE
from orchestrator.results.stored_scores import ItemScores, item_scores, to_table
from orchestrator.states import StageState

RECORD_FILE = "record.json.gz"
FORM = 1
"""Of the directory; raised when older releases could not read it."""
_ZSTD_LEVEL = 15


def export(engine: Engine, row: StudyRow, artifacts: Artifacts, folder: Path) -> Record:
    """Write the record of a study as the directory `folder`; an older record there is replaced.

    Args:
        engine: the ledger.
        row: the study, finished or not: stages without a result are recorded as still to be done.
        artifacts: where the answers are.
        folder: the directory.

    Raises:
        StudyError: nothing has a result yet, an answer cannot be read, or `folder` is something else than a record.
    """
    record = _portable(gather(engine, row.study_id))
    if not record.num_results:
        raise StudyError(row.name, 0, "no stage of it has a result yet, so there is nothing to export")
    table = to_table({stage.stage_id: _scores(stage, artifacts) for stage in read.stages(engine, row.study_id)
                      if stage.kind == "evaluate" and stage.state == StageState.SUCCEEDED})

    def write(directory: Path) -> None:
        text = json.dumps(asdict(record), sort_keys=True, ensure_ascii=False, allow_nan=False)
        (directory / RECORD_FILE).write_bytes(gzip.compress(text.encode(), 9, mtime=0))
        pq.write_table(table, directory / ITEMS_FILE, compression="zstd", compression_level=_ZSTD_LEVEL)

    _replace(folder, write, {"form": FORM, "study": row.name, "scale": row.scale, "version": row.version})
    return record


def load(folder: Path) -> Record:
    """Read a record.

    Raises:
        StudyError: there is none, it was damaged, or a newer release wrote it.
    """
    try:
        form = manifest.verify(folder)["meta"].get("form", 0)
        if form > FORM:
            raise StudyError(str(folder), 0, f"a record of form {form}; this release reads forms up to {FORM}",
                             "install the release that wrote it, or a newer one")
        record: dict[str, Any] = json.loads(gzip.decompress((folder / RECORD_FILE).read_bytes()))
        return Record(**record)
    except (manifest.CorruptDirectory, OSError, EOFError, ValueError, TypeError, KeyError) as error:
        raise StudyError(str(folder), 0, f"no readable record of results ({error})",
                         "`ablate export` writes one; take it again from where it came") from error


def _scores(stage: StageRow, artifacts: Artifacts) -> list[ItemScores]:
    try:
        return item_scores(stage, artifacts)
    except (OSError, ValueError) as error:
        raise StudyError(stage.label, 0, f"its stored answers cannot be read ({error})") from error


def _portable(record: Record) -> Record:
    """Name the operator's checkpoints instead of saying where they lie on this machine."""
    for stage in record.stages:
        path = stage["spec"].get("path", PACKAGED)
        if stage["kind"] == "import" and not path.startswith(PACKAGED):
            stage["spec"] = {**stage["spec"], "path": f"{OPERATOR}{Path(path).name}"}
    return record


def _replace(folder: Path, write: Callable[[Path], None], meta: dict[str, Any]) -> None:
    """Publish a record; one that is there goes after the new one is complete."""
    new = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    manifest.publish(new, write, meta=meta)
    if folder.exists():
        try:
            manifest.read(folder)
        except manifest.CorruptDirectory as error:
            shutil.rmtree(new)
            raise StudyError(str(folder), 0, "exists and is no record of results, so it is not replaced",
                             "name another directory by --out") from error
        shutil.rmtree(folder)
    new.rename(folder)
