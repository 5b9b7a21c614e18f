"""Scores of lmms-eval beside a study's own: which checkpoint each belongs to, read from the results that it writes.

- A file is matched by what it says: the checkpoint's folder holds the identity of the stage that made it, and the inference images
  are those of the trial. A file that fits no trial is an error; nothing is matched by order or by name.
- The ledger is not written: an accepted row is what a stage of ours made, with all its answers, and these are neither. So they enter
  no average and no selection; they stand beside the others, marked with where they come from.
- Values keep lmms-eval's scale, which differs between tasks, unless the user says that one is a share of 1.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.config.fields import build, did_you_mean, to_plain
from model.config.stages import ImageConfig
from orchestrator.analysis.scores import TrialScores
from orchestrator.artifacts.store import Artifacts
from orchestrator.errors import StudyError
from orchestrator.ledger.rows import StageRow, TrialRow

MODEL = "mm15"
"""Name of our model in lmms-eval."""
MAX_BYTES = 256 * 2**20
IMAGES = tuple(field.name for field in dataclasses.fields(ImageConfig))
NO_METRICS = re.compile(r"alias|samples|.*_stderr(_clt|_clustered)?,.*| ")
"""Keys of a task's results that are no scores; a blank is what lmms-eval writes for groups without an average."""
ERRORS = re.compile(r"(?P<metric>.*)_stderr(?P<kind>_clustered|_clt|),(?P<filter>.*)")
"""Keys of standard errors: of items, and with questions of one picture (or of one text) counted together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LmmsEvalFile:
    """One file of results: what was evaluated, and what came out."""

    path: str
    stage_id: str
    """That made the checkpoint."""
    artifact: str
    """Folder of the checkpoint, as the file names it."""
    images: dict[str, Any]
    values: dict[str, float | None]
    """`TASK/METRIC` -> value; None where lmms-eval gave no number."""
    errors: dict[str, float]
    """`TASK/METRIC` -> lmms-eval's own standard error over items, the clustered one where it gives that; in the units of the value."""
    is_share: tuple[str, ...]
    """Those that were given as shares of 1, and are shown times 100."""
    limited: dict[str, str]
    """Task -> how many of its items were used, where not all."""
    version: str
    """Of lmms-eval."""
    date: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """Results of lmms-eval that were matched to trials."""

    trials: list[TrialScores]
    """With the metrics from outside among the others."""
    sources: tuple[tuple[LmmsEvalFile, tuple[str, ...]], ...]
    """Each file, and the trials that it belongs to."""


def read_results(path: Path, shares: Collection[str] = ()) -> LmmsEvalFile:
    """Read a `*_results.json` of lmms-eval.

    Args:
        path: the file.
        shares: `TASK/METRIC` that are shares of 1.

    Raises:
        StudyError: it is no such file, or its model is not `mm15` with a checkpoint of an artifact store.
    """
    document = _document(path)
    given = _arguments(document["config"].get("model_args"), path)
    if document["config"].get("model") != MODEL or "checkpoint" not in given:
        raise StudyError(str(path), 0, f"results of the model {document['config'].get('model')!r}; allowed: {MODEL}, with a checkpoint")
    folder = str(given["checkpoint"])
    stages = re.findall(r"(?<=/)[0-9a-f]{64}(?=/attempts/)", folder)
    if not stages:
        raise StudyError(str(path), 0, f"checkpoint {folder} is not in an artifact store, so no trial can be told",
                         hint="`ablate lmms STUDY` prints the model_args of each checkpoint")
    images = to_plain(build(ImageConfig, {name: value for name, value in given.items() if name in IMAGES}, f"{path}: model_args"))
    values = _values(document["results"])
    scaled = {name: value * 100 if name in shares and value is not None else value for name, value in values.items()}
    errors = {name: value * 100 if name in shares else value for name, value in _errors(document["results"]).items()}
    return LmmsEvalFile(path=str(path), stage_id=stages[-1], artifact=folder.rstrip("/"), images=images, values=scaled,
                   errors=errors, is_share=tuple(name for name in values if name in shares),
                   limited=_limited(document.get("n-samples", {})),
                   version=str(document.get("lmms_eval_version", "")),
                   date=str(document.get("date", "")))


def match(trials: Sequence[TrialRow], stages: Sequence[StageRow], scores: Sequence[TrialScores], files: Sequence[LmmsEvalFile]) -> Matched:
    """Put results from outside beside the trials' own.

    Raises:
        StudyError: a file fits no trial, or two files say different things of one.
    """
    found: dict[str, dict[str, tuple[float | None, str]]] = {each.trial_key: {} for each in trials}
    sources = []
    for file in files:
        keys = _trials_of(file, trials, {stage.stage_id: stage for stage in stages})
        for key in keys:
            _add(found[key], file)
        sources.append((file, keys))
    return Matched(trials=[_with(each, found[each.trial_key]) for each in scores], sources=tuple(sources))


def model_arguments(trials: Sequence[TrialRow], stages: Sequence[StageRow], artifacts: Artifacts) -> dict[str, list[str]]:
    """Return `--model_args` for each evaluated checkpoint that is finished -> the trials that it stands for."""
    by_id = {stage.stage_id: stage for stage in stages}
    found: dict[str, list[str]] = {}
    for trial in trials:
        parent = by_id.get(_parent(trial, by_id))
        if parent is None or parent.artifact is None:
            continue
        images = to_plain(build(ImageConfig, trial.config["evaluate"]["images"], "evaluate.images"))
        words = [f"checkpoint={artifacts.resolve(parent.artifact)}", *(f"{name}={value}" for name, value in images.items())]
        found.setdefault(",".join(words), []).append(trial.trial_key)
    return found


def _document(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"{path.stat().st_size} bytes; allowed: {MAX_BYTES}")
        document = json.loads(path.read_text(encoding="utf-8-sig"))
        is_whole = all(isinstance(document[name], dict) for name in ("results", "config"))
        is_whole = is_whole and all(isinstance(task, dict) for task in document["results"].values())
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StudyError(str(path), 0, f"not the results of lmms-eval ({type(error).__name__}: {error})") from error
    if not is_whole:
        raise StudyError(str(path), 0, "not the results of lmms-eval (results and config are no objects)")
    return document  # type: ignore[no-any-return]


def _arguments(given: object, path: Path) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return dict(given)
    pairs = [word.partition("=") for word in str(given or "").split(",") if word]
    if not all(middle for _, middle, _ in pairs):
        raise StudyError(str(path), 0, f"model_args {given!r}; allowed: NAME=VALUE, separated by commas")
    return {name: int(value) if value.isdecimal() else value for name, _, value in pairs}


def _values(results: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    found = {}
    for task, metrics in results.items():
        for key, value in metrics.items():
            if NO_METRICS.fullmatch(key):
                continue
            found[f"{task}/{key.removesuffix(',none')}"] = float(value) if _is_number(value) else None
    return found


def _errors(results: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    found: dict[str, tuple[str, float]] = {}
    for task, metrics in results.items():
        for key, value in metrics.items():
            match = ERRORS.fullmatch(key)
            if match is None or not _is_number(value):
                continue
            name = f"{task}/{match['metric']},{match['filter']}".removesuffix(",none")
            if name not in found or match["kind"] == "_clustered":
                found[name] = (match["kind"], float(value))
    return {name: value for name, (_, value) in found.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _limited(counts: Mapping[str, Any]) -> dict[str, str]:
    return {task: f"{each['effective']} of {each['original']} items" for task, each in counts.items()
            if each["effective"] != each["original"]}


def _parent(trial: TrialRow, stages: Mapping[str, StageRow]) -> str:
    """Return the id of the checkpoint that the trial's evaluations read."""
    return next((stages[each].parent_id or "" for each in trial.stage_ids if each in stages and stages[each].kind == "evaluate"), "")


def _trials_of(file: LmmsEvalFile, trials: Sequence[TrialRow], stages: Mapping[str, StageRow]) -> tuple[str, ...]:
    mine = [trial for trial in trials if _parent(trial, stages) == file.stage_id]
    if not mine:
        raise StudyError(file.path, 0, f"its checkpoint is of stage {file.stage_id[:12]}, which no trial of this study evaluates")
    accepted = stages[file.stage_id].artifact if file.stage_id in stages else None
    if accepted is None or not file.artifact.endswith(f"/{accepted}"):
        raise StudyError(file.path, 0, f"checkpoint {file.artifact} is not what was accepted for stage {file.stage_id[:12]}: {accepted}")
    own = {trial.trial_key: to_plain(build(ImageConfig, trial.config["evaluate"]["images"], "evaluate.images")) for trial in mine}
    fitting = tuple(key for key, images in own.items() if images == file.images)
    if not fitting:
        other = next(iter(own.values()))
        differs = ", ".join(f"{name} {value} (the trial's: {other[name]})" for name, value in file.images.items() if other[name] != value)
        raise StudyError(file.path, 0, f"evaluated with other images than the trials of this checkpoint: {differs}")
    return fitting


def _add(found: dict[str, tuple[float | None, str]], file: LmmsEvalFile) -> None:
    for name, value in file.values.items():
        known = found.setdefault(name, (value, file.path))
        if known[0] != value:
            raise StudyError(file.path, 0, f"{name} is {value}, but {known[0]} in {known[1]}, for the same trial")


def _with(scores: TrialScores, found: Mapping[str, tuple[float | None, str]]) -> TrialScores:
    if scores.is_diverged:
        return scores
    numbers = {name: value for name, (value, _) in found.items() if value is not None}
    missing = {name: "lmms-eval gave no number" for name, (value, _) in found.items() if value is None}
    return dataclasses.replace(scores, metrics=scores.metrics | numbers, withheld=scores.withheld | missing)


def require_known(shares: Collection[str], files: Sequence[LmmsEvalFile]) -> None:
    """Refuse shares that no file has.

    Raises:
        StudyError: one is in no file.
    """
    known = {name for file in files for name in file.values}
    for name in shares:
        if name not in known:
            raise StudyError("--share", 0, f"no metric {name}", hint=did_you_mean(name, known))
