"""Turn the messages of a trial or an attempt into params, tags and metrics as plain values.

Nothing here imports MLflow.

- A trial has its resolved configuration as params, and its scores, averages among them, as metrics.
- An attempt has its stage's spec as params, and as metrics the curve from its progress file and the totals of its
  result.
- Tags are for searching: `tags.study = 'alpha-science' and tags.arm = 'science=0.1' and tags.seed = '0'`. `identity` is
  the stage's id, or for a trial the hash of its stages' ids: equal identities are equal computations.
- The data that an attempt read (by fingerprint) and the checkpoints that it read and made (by stage) are its lineage.
  Its machine's load is stored as metrics below `system/`, named as MLflow's own monitor names them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model.config.benchmark import Benchmark
from model.config.fields import build
from model.data.mixture import stage_shares
from model.evaluation.benchmarks.registry import BENCHMARKS, own_of
from orchestrator.analysis.scores import metrics_of, suite_of
from orchestrator.artifacts.store import PROGRESS, SYSTEM, Artifacts
from orchestrator.ledger.rows import ScoreRow
from orchestrator.plan.identity import CONFIGS

STAGES = "stages"
"""The MLflow experiment that holds all attempts."""
MAX_CURVE = 2000
"""The most points of a curve. Longer curves are thinned; the last point is kept."""
LONGEST_PARAM = 6000
LONGEST_TAG = 8000
LONGEST_NAME = 250
"""The most characters of a name: the width of MLflow's column in a database server. SQLite does not enforce it."""
LONGEST_SOURCE = 65_000
"""The most characters of a data set's description."""
_SUITE, _OWN = "benchmarks", "own_benchmarks"
_STATUS = {"SUCCEEDED": "FINISHED", "CANCELLED": "KILLED", "PREEMPTED": "KILLED"}
_NO_METRIC = frozenset({"step", "steps", "at"})

Payload = Mapping[str, Any]
Point = tuple[str, float, int, int]
"""Name, value, milliseconds since the epoch, step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """One data set that an attempt read."""

    name: str
    """The categories of a training stage, or the benchmark."""
    source: str
    """`workbench` or `catalogue`."""
    fingerprint: str
    description: str
    """Its configuration as JSON."""
    context: str
    """`training` or `evaluation`."""


@dataclass(slots=True, kw_only=True)
class RunContent:
    """What is to be sent for one subject now."""

    experiment: str = ""
    name: str = ""
    started_at_ms: int | None = None
    ended_at_ms: int | None = None
    status: str | None = None
    """FINISHED, FAILED or KILLED; None while it is in progress."""
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: list[Point] = field(default_factory=list)
    data: list[Data] = field(default_factory=list)
    parents: tuple[str, ...] = ()
    """Stages whose checkpoints the attempt started from."""
    made: str = ""
    """The stage whose checkpoint the attempt made, or ""."""
    last_step: int = 0


def trial_content(
    messages: Sequence[tuple[str, Payload]], suite: Sequence[str], own: Sequence[Benchmark] = ()
) -> RunContent:
    """Return the content of these messages of one trial. Later messages overwrite earlier ones."""
    content = RunContent()
    for kind, payload in messages:
        if kind == "trial_created":
            _trial_created(content, payload)
        else:
            _trial_finished(content, payload, suite, own)
    return content


def attempt_content(messages: Sequence[tuple[str, Payload]], artifacts: Artifacts) -> RunContent:
    """Return the content of these messages of one attempt."""
    content = RunContent(experiment=STAGES)
    for kind, payload in messages:
        if kind == "attempt_started":
            _attempt_started(content, payload)
        else:
            _attempt_finished(content, payload, artifacts)
    return content


def suite_of_tags(tags: Mapping[str, str]) -> tuple[str, ...]:
    """Return the suite that a trial's tags hold."""
    return tuple(name for name in tags.get(_SUITE, "").split(",") if name)


def own_of_tags(tags: Mapping[str, str]) -> tuple[Benchmark, ...]:
    """Read back what a trial's creation noted of benchmarks that a catalogue declares."""
    return own_of({"own": json.loads(tags.get(_OWN, "[]"))})


def _trial_created(content: RunContent, payload: Payload) -> None:
    content.experiment = f"study {payload['study']}" if payload["study"] == STAGES else payload["study"]
    content.name = _name(payload["arm_name"], f" s{payload['seed']}")
    content.started_at_ms = _ms(payload["at"])
    content.params |= _flat(_with_choices(payload["config"], "evaluate", suite_of(payload["config"]["evaluate"])))
    identity = hashlib.sha256("\n".join(payload["stage_ids"]).encode()).hexdigest()
    content.tags |= _texts({
        "study": payload["study"], "scale": payload["scale"], "version": payload["version"], "arm": payload["arm_name"],
        "arm_key": payload["arm_key"], "seed": payload["seed"], "trial": payload["trial_key"], "identity": identity,
        "study_id": payload["study_id"], "spec_hash": payload["spec_hash"], "stages": ",".join(payload["stage_ids"]),
        "levels": json.dumps(payload["levels"], sort_keys=True), _SUITE: ",".join(suite_of(payload["config"]["evaluate"])),
        _OWN: _own_tag(payload["config"]["evaluate"])})


def _own_tag(evaluate: Mapping[str, Any]) -> str:
    """Return what the averages need to know of own benchmarks, as JSON; empty where there are none."""
    fields = ("name", "category", "metric", "num_items", "in_average", "in_mmbase", "in_overall")
    declared = [{name: each[name] for name in fields if name in each} for each in evaluate.get("own", ())]
    return json.dumps(declared) if declared else ""


def _trial_finished(content: RunContent, payload: Payload, suite: Sequence[str], own: Sequence[Benchmark]) -> None:
    rows = [ScoreRow(trial_key=payload["trial_key"], arm_key="", arm_name="", seed=0, benchmark=name, **score)
            for name, score in payload["scores"].items()]
    metrics, withheld = metrics_of(suite, rows, own)
    at = _ms(payload["at"])
    content.metrics = [(name, value, at, 0) for name, value in metrics.items()]
    _end(content, payload)
    if withheld:
        content.tags["withheld"] = _cut(json.dumps(withheld, sort_keys=True), LONGEST_TAG)


def _attempt_started(content: RunContent, payload: Payload) -> None:
    content.name = _name(payload["label"])
    content.started_at_ms = _ms(payload["at"])
    is_evaluation = payload["kind"] == "evaluate"  # its model is the parent's, where it is logged
    spec = {name: value for name, value in payload["spec"].items() if not (is_evaluation and name == "model")}
    content.params |= _flat(_with_choices(spec, "config", [spec["benchmark"]]) if is_evaluation else spec)
    content.tags |= _texts({
        "kind": payload["kind"], "stage_id": payload["stage_id"], "identity": payload["stage_id"], "label": payload["label"],
        "attempt": payload["attempt_id"], "attempt_no": payload["attempt_no"], "study_id": payload["study_id"],
        "parents": ",".join(payload["parent_ids"]), "seed": payload["spec"].get("seed", ""), "flops": f"{payload['flops']:.6g}"})
    content.data, content.parents = _data(payload["kind"], payload["spec"]), tuple(payload["parent_ids"])


def _with_choices(values: Mapping[str, Any], section: str, suite: Sequence[str]) -> dict[str, Any]:
    """Keep only those `scoring` options that some of these benchmarks offer. The others change none of their scores."""
    scoring = values.get(section, {}).get("scoring")
    if not scoring or not all(benchmark in BENCHMARKS for benchmark in suite):  # of another release
        return dict(values)
    chosen = {name for benchmark in suite for name in BENCHMARKS[benchmark].choices}
    kept = {name: value for name, value in scoring.items() if name in chosen}
    return {**values, section: {**values[section], "scoring": kept}}


def _data(kind: str, spec: Mapping[str, Any]) -> list[Data]:
    """Return the data of a stage; an import reads none."""
    if "data_fingerprint" not in spec:
        return []
    is_evaluation = kind == "evaluate"
    names = (
        (spec["benchmark"],) if is_evaluation else tuple(stage_shares(build(CONFIGS[kind], spec["config"], "config")))
    )
    return [
        Data(
            name=_cut(", ".join(names), LONGEST_NAME),
            source=spec["data"]["source"],
            fingerprint=spec["data_fingerprint"],
            description=_cut(json.dumps(spec["data"], sort_keys=True), LONGEST_SOURCE),
            context="evaluation" if is_evaluation else "training",
        )
    ]


def _attempt_finished(content: RunContent, payload: Payload, artifacts: Artifacts) -> None:
    at = _ms(payload["at"])
    content.name = _name(payload["label"])
    folder = artifacts.fetch_record(payload["stage_id"], payload["attempt_no"])
    curve, system = _curve(folder / PROGRESS, at), _curve(folder / SYSTEM, at)
    totals = {**(payload["result"] or {}), "seconds": payload["seconds"]}
    content.last_step = max((step for _, _, _, step in curve), default=0)
    content.metrics = [*curve, *system,
                       *((f"result.{name}", value, at, content.last_step) for name, value in _numbers(totals).items())]
    if payload["state"] == "SUCCEEDED" and payload["kind"] != "evaluate":
        content.made = payload["stage_id"]
    _end(content, payload)
    failure = payload["failure"] or {}
    content.tags |= _texts({"artifact": payload["artifact"] or "", "failure": failure.get("message", "")})


def _end(content: RunContent, payload: Payload) -> None:
    content.status = _STATUS.get(payload["state"], "FAILED")
    content.ended_at_ms = _ms(payload["at"])
    content.tags["state"] = payload["state"]


def _curve(path: Any, at: int) -> list[Point]:
    """Read the reports of an attempt. A line that a crash cut off is skipped."""
    reports = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            reports.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    stride = math.ceil(len(reports) / MAX_CURVE) if reports else 1
    kept = [report for i, report in enumerate(reports) if i % stride == 0 or i == len(reports) - 1]
    return [(name, value, _ms(report["at"]) if "at" in report else at, int(report.get("step", 0)))
            for report in kept for name, value in _numbers(report).items() if name not in _NO_METRIC]


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Keep the finite numbers: MLflow would store infinity as 1.8e308."""
    return {name: float(value) for name, value in values.items()
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Flatten nested values to dotted paths. None is left out."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        elif value is not None:
            flat[f"{prefix}{name}"] = _cut(value if isinstance(value, str) else json.dumps(value), LONGEST_PARAM)
    return flat


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: _cut(str(value), LONGEST_TAG) for name, value in values.items() if value != ""}


def _name(text: str, end: str = "") -> str:
    """Return a name that is short enough. Its end is never cut, because it holds the seed."""
    return _cut(text, LONGEST_NAME - len(end)) + end


def _cut(text: str, length: int) -> str:
    """Return text that every database accepts.

    It has no NUL and no lone surrogates (file names may contain them), and at most `length` characters.
    """
    text = text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text if len(text) <= length else text[: length - 1] + "…"


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
