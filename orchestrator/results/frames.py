"""A study's results as pandas frames: arms, trials and single answers. The numbers are those of `tables` and `items`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import pandas as pd

from orchestrator.artifacts.store import Artifacts
from orchestrator.results.items import ItemRow, Wanted, items, trials_with_answers
from orchestrator.results.results import Results
from orchestrator.results.tables import COLUMNS, long_rows

_DTYPES = {"version": "int64", "mean": "float64", "half_width": "float64", "delta": "float64", "delta_half_width": "float64",
           "n": "Int64", "num_items": "Int64", "num_unparseable": "Int64", "is_told_apart": "boolean"}
"""Columns that are not text; those with a capital letter, and `boolean`, may hold nothing."""


def arms_frame(results: Results) -> pd.DataFrame:
    """Return a row for each arm and metric: the columns of `tables.COLUMNS`, then a column for each factor, by its path."""
    paths = _paths(results)
    levels = {arm.name: arm.levels for arm in results.arms}
    rows = [{**row, **_levels(levels[row["arm"]], paths)} for row in long_rows(results)]
    return pd.DataFrame(rows, columns=[*COLUMNS, *paths]).astype(_DTYPES)


def trials_frame(results: Results) -> pd.DataFrame:
    """Return a row for each trial: arm, seed, state, a column for each factor by its path, one for each metric.

    Scores are 0 to 100 and empty while there is none; a trial that diverged has none.
    """
    paths = _paths(results)
    arms = {arm.key: arm for arm in results.arms}
    names = [metric.name for metric in results.metrics]
    rows = [{"arm": arms[each.arm_key].name, "seed": each.seed, "state": str(each.state), **_levels(arms[each.arm_key].levels, paths),
             **{name: each.metrics.get(name) for name in names}} for each in results.trials]
    columns = ["arm", "seed", "state", *paths, *names]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(names, "float64"))


def items_frame(results: Results, artifacts: Artifacts, wanted: Wanted) -> pd.DataFrame:
    """Return a row for each answer, with the columns of `ItemRow`.

    Args:
        results: of the study.
        artifacts: where the answers are.
        wanted: which of them; where it names no arm or no seed, those of all.

    Raises:
        StudyError: no such arm, seed or benchmark, or it has no answers yet.
    """
    name, trials, stages = results.study.name, results.trial_rows, results.stages
    chosen = trials_with_answers(name, trials, stages, wanted)
    rows = [row for each in chosen for row in items(name, trials, stages, artifacts, each)]
    return pd.DataFrame([asdict(row) for row in rows], columns=[each.name for each in fields(ItemRow)])


def _paths(results: Results) -> list[str]:
    """Return the paths of all factors, in the order in which the arms name them."""
    return list(dict.fromkeys(path for arm in results.arms for path in arm.levels))


def _levels(levels: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    return {path: levels.get(path) for path in paths}
