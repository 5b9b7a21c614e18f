"""Read result files of lmms-eval, and match their scores to the trials of a study.

- A file is matched by its content: the path of the checkpoint contains the identity of the stage that made it, and the
  image settings must equal those of the trial. A file that fits no trial is an error; nothing is matched by order or by
  file name.
- Nothing is written to the ledger: it holds scores of our own stages, with all their answers. So the scores of
  lmms-eval enter no average and no selection; they are shown beside the others and marked with their origin.
- Values keep the scale of lmms-eval, which differs between tasks, unless the user declares one as a share of 1.
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
from orchestrator.results.branches import final_stages

MODEL = "mm15"
"""The name of our model in lmms-eval."""
MAX_BYTES = 256 * 2**20
IMAGES = tuple(field.name for field in dataclasses.fields(ImageConfig))
NO_METRICS = re.compile(r"alias|samples|.*_stderr(_clt|_clustered)?,.*| ")
"""The keys of a task's results that are no scores; lmms-eval writes a blank key for groups without an average."""
ERRORS = re.compile(r"(?P<metric>.*)_stderr(?P<kind>_clustered|_clt|),(?P<filter>.*)")
"""The keys of standard errors: over items, or `_clustered` by the picture (or the text) that several questions
share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LmmsEvalFile:
    """The content of a result file of lmms-eval."""

    path: str
    stage_id: str
    """The stage that made the checkpoint."""
    artifact: str
    """The folder of the checkpoint, as the file names it."""
    images: dict[str, Any]
    """The image settings of the evaluation."""
    values: dict[str, float | None]
    """`TASK/METRIC` -> value; None if lmms-eval has no number for it."""
    errors: dict[str, float]
    """`TASK/METRIC` -> the standard error that lmms-eval gives, clustered if there is one; in the unit of the value."""
    is_share: tuple[str, ...]
    """The values that are shares of 1 in the file and were multiplied by 100."""
    limited: dict[str, str]
    """Task -> the number of items that were used, for tasks that did not use all."""
    version: str
    """The version of lmms-eval."""
    date: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """The trials of a study together with matched results of lmms-eval."""

    trials: list[TrialScores]
    """The trials; their metrics include those of lmms-eval."""
    sources: tuple[tuple[LmmsEvalFile, tuple[str, ...]], ...]
    """Each file, with the keys of the trials that it belongs to."""


def read_results(path: Path, shares: Collection[str] = ()) -> LmmsEvalFile:
    """Read a result file of lmms-eval (`*_results.json`).

    Args:
        path: the file.
        shares: the `TASK/METRIC` whose values are shares of 1; they are multiplied by 100.

    Raises:
        StudyError: it is not such a file, or its model is not `mm15` with a checkpoint from an artifact store.
    """
    document = _document(path)
    arguments = _arguments(document["config"].get("model_args"), path)
    if document["config"].get("model") != MODEL or "checkpoint" not in arguments:
        raise StudyError(str(path), 0, f"results of the model {document['config'].get('model')!r}; "
                         f"allowed: {MODEL}, with a checkpoint")
    folder = str(arguments["checkpoint"])
    stages = re.findall(r"(?<=/)[0-9a-f]{64}(?=/attempts/)", folder)
    if not stages:
        raise StudyError(str(path), 0, f"checkpoint {folder} is not in an artifact store, so its trial is unknown",
                         hint="`ablate lmms STUDY` prints the model_args of each checkpoint")
    settings = {name: value for name, value in arguments.items() if name in IMAGES}
    images = to_plain(build(ImageConfig, settings, f"{path}: model_args"))
    values = _values(document["results"])
    scaled = {name: value * 100 if name in shares and value is not None else value for name, value in values.items()}
    errors = {name: value * 100 if name in shares else value for name, value in _errors(document["results"]).items()}
    return LmmsEvalFile(
        path=str(path), stage_id=stages[-1], artifact=folder.rstrip("/"), images=images, values=scaled, errors=errors,
        is_share=tuple(name for name in values if name in shares), limited=_limited(document.get("n-samples", {})),
        version=str(document.get("lmms_eval_version", "")), date=str(document.get("date", "")))


def match(trials: Sequence[TrialRow], stages: Sequence[StageRow], scores: Sequence[TrialScores],
          files: Sequence[LmmsEvalFile]) -> Matched:
    """Match results of lmms-eval to trials, and add them to the trials' scores.

    Raises:
        StudyError: a file fits no trial, or two files have different values for the same trial and metric.
    """
    outside: dict[str, dict[str, tuple[float | None, str]]] = {each.trial_key: {} for each in trials}
    sources = []
    for file in files:
        keys = _trials_of(file, trials, {stage.stage_id: stage for stage in stages})
        for key in keys:
            _add(outside[key], file)
        sources.append((file, keys))
    return Matched(trials=[_with(each, outside[each.trial_key]) for each in scores], sources=tuple(sources))


def model_arguments(trials: Sequence[TrialRow], stages: Sequence[StageRow],
                    artifacts: Artifacts) -> dict[str, list[str]]:
    """Return `--model_args` of lmms-eval -> keys of the trials that they evaluate, for all finished checkpoints."""
    by_id = {stage.stage_id: stage for stage in stages}
    trial_keys: dict[str, list[str]] = {}
    for trial in trials:
        parent = by_id.get(_parent(trial, by_id))
        if parent is None or parent.artifact is None:
            continue
        images = to_plain(build(ImageConfig, trial.config["evaluate"]["images"], "evaluate.images"))
        arguments = [f"checkpoint={artifacts.resolve(parent.artifact)}"]
        arguments += [f"{name}={value}" for name, value in images.items()]
        trial_keys.setdefault(",".join(arguments), []).append(trial.trial_key)
    return trial_keys


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
        raise StudyError(str(path), 0, "not the results of lmms-eval (`results` and `config` must be objects)")
    return document  # type: ignore[no-any-return]


def _arguments(given: object, path: Path) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return dict(given)
    pairs = [word.partition("=") for word in str(given or "").split(",") if word]
    if not all(middle for _, middle, _ in pairs):
        raise StudyError(str(path), 0, f"model_args {given!r}; allowed: NAME=VALUE, separated by commas")
    return {name: int(value) if value.isdecimal() else value for name, _, value in pairs}


def _values(results: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    values = {}
    for task, metrics in results.items():
        for key, value in metrics.items():
            if NO_METRICS.fullmatch(key):
                continue
            values[f"{task}/{key.removesuffix(',none')}"] = float(value) if _is_number(value) else None
    return values


def _errors(results: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    errors: dict[str, tuple[str, float]] = {}
    for task, metrics in results.items():
        for key, value in metrics.items():
            match = ERRORS.fullmatch(key)
            if match is None or not _is_number(value):
                continue
            name = f"{task}/{match['metric']},{match['filter']}".removesuffix(",none")
            if name not in errors or match["kind"] == "_clustered":
                errors[name] = (match["kind"], float(value))
    return {name: value for name, (_, value) in errors.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _limited(counts: Mapping[str, Any]) -> dict[str, str]:
    return {task: f"{each['effective']} of {each['original']} items" for task, each in counts.items()
            if each["effective"] != each["original"]}


def _parent(trial: TrialRow, stages: Mapping[str, StageRow]) -> str:
    """Return the id of the stage whose checkpoint the trial's evaluations read, "" if there are none."""
    return next((stage.parent_id or "" for stage in final_stages(trial, stages)), "")


def _trials_of(file: LmmsEvalFile, trials: Sequence[TrialRow], stages: Mapping[str, StageRow]) -> tuple[str, ...]:
    evaluated = [trial for trial in trials if _parent(trial, stages) == file.stage_id]
    if not evaluated:
        raise StudyError(file.path, 0, f"its checkpoint is of stage {file.stage_id[:12]}, which no trial of this study "
                         "evaluates")
    accepted = stages[file.stage_id].artifact if file.stage_id in stages else None
    if accepted is None or not file.artifact.endswith(f"/{accepted}"):
        raise StudyError(file.path, 0, f"checkpoint {file.artifact} is not the accepted one of stage "
                         f"{file.stage_id[:12]}: {accepted}")
    images_of = {trial.trial_key: to_plain(build(ImageConfig, trial.config["evaluate"]["images"], "evaluate.images"))
                 for trial in evaluated}
    fitting = tuple(key for key, images in images_of.items() if images == file.images)
    if not fitting:
        expected = next(iter(images_of.values()))
        differs = ", ".join(f"{name} {value} (the trial's: {expected[name]})" for name, value in file.images.items()
                            if expected[name] != value)
        raise StudyError(file.path, 0, "evaluated with other image settings than the trials of this checkpoint: "
                         f"{differs}")
    return fitting


def _add(outside: dict[str, tuple[float | None, str]], file: LmmsEvalFile) -> None:
    for name, value in file.values.items():
        known = outside.setdefault(name, (value, file.path))
        if known[0] != value:
            raise StudyError(file.path, 0, f"{name} is {value}, but {known[0]} in {known[1]}, for the same trial")


def _with(scores: TrialScores, outside: Mapping[str, tuple[float | None, str]]) -> TrialScores:
    if scores.is_diverged:
        return scores
    numbers = {name: value for name, (value, _) in outside.items() if value is not None}
    missing = {name: "lmms-eval gave no number" for name, (value, _) in outside.items() if value is None}
    return dataclasses.replace(scores, metrics=scores.metrics | numbers, withheld=scores.withheld | missing)


def require_known(shares: Collection[str], files: Sequence[LmmsEvalFile]) -> None:
    """Check that each metric declared as a share is in one of the files.

    Raises:
        StudyError: a metric is in none of them.
    """
    known = {name for file in files for name in file.values}
    for name in shares:
        if name not in known:
            raise StudyError("--share", 0, f"no metric {name}", hint=did_you_mean(name, known))
