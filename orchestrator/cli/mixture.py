"""`ablate mixture`: export finished arms as mixtures, or let a surrogate propose the next mixture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from model.config.fields import build
from model.config.stages import ContinualMixture, PretrainMixture, SftMixture
from model.data.mixture import shares
from model.data.simplex import sampled
from orchestrator.cli.console import out, print_json
from orchestrator.cli.context import readable_ledger
from orchestrator.cli.options import json_document, json_option, known_scale_option, pasteable, study_argument
from orchestrator.errors import StudyError
from orchestrator.ledger import read
from orchestrator.results.planning import study_name
from orchestrator.results.results import Results, study_results
from orchestrator.search import surrogate
from orchestrator.search.olmix import Rows, from_csv, to_csv
from orchestrator.search.verification import BASELINE, BEST, verifying_study
from orchestrator.study.strict_yaml import dump
from orchestrator.study.study import load_study

RATIOS, METRICS = "ratios.csv", "metrics.csv"
DRAWS, CONCENTRATION = 256, 8.0
"""How many mixtures the surrogate chooses from, and how close they are to the mean of the arms."""
_MIXTURES = {"pretrain": PretrainMixture, "continual": ContinualMixture, "sft": SftMixture}


@click.group()
def mixture() -> None:
    """Export finished arms as mixtures, or let a surrogate propose the next mixture."""


@mixture.command(epilog=json_document("""
    {"ratios": path, "metrics": path, "num_runs", "stage"}"""))
@study_argument
@known_scale_option
@json_option
@click.option(
    "--out", "folder", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Folder to write to."
)
def export(study: str, scale: str | None, as_json: bool, folder: Path) -> None:
    """Write ratios.csv and metrics.csv in Olmix's format, with one row for each finished arm."""
    found = _results(study, scale)
    stage, ratios, metrics = _arms(found)
    names = {arm.key: arm.name for arm in found.arms}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RATIOS).write_text(to_csv(ratios, names, missing=0.0))
    (folder / METRICS).write_text(to_csv(metrics, names))
    if as_json:
        print_json(
            {"ratios": str(folder / RATIOS), "metrics": str(folder / METRICS), "num_runs": len(ratios), "stage": stage}
        )
        return
    out().print(f"{len(ratios)} arms of {found.study.name}, shares of {stage}: {folder / RATIOS}, {folder / METRICS}")


@mixture.command(epilog=json_document("""
    {"metric", "num_arms", "checks": [{"form", "correlation", "error", "predicted": {run: value}}],
     "proposal": {"shares", "predicted", "form", "correlation"} or null: no form is trusted,
     "study": path of the study that verifies it, or null}"""))
@click.argument("source")
@known_scale_option
@json_option
@click.option("--metric", required=True, help="Metric to predict, such as mmbase.")
@click.option("--minimize", is_flag=True, help="Lower values of the metric are better.")
@click.option(
    "--candidates",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="CSV of possible mixtures, in the format of ratios.csv; by default random ones around the mean of the arms.",
)
@click.option("--study", "to", type=click.Path(dir_okay=False, path_type=Path), default=None,
              help="Write a study file that runs the proposal together with the baseline and the best arm so far.")
def propose(
    source: str, scale: str | None, as_json: bool, metric: str, minimize: bool, candidates: Path | None, to: Path | None
) -> None:
    """Check three surrogates by leave-one-out, and propose a mixture if one of them is trusted.

    SOURCE is a study, or a folder with ratios.csv and metrics.csv. A proposal is an arm to run, never a result.
    """
    found = None if Path(source).is_dir() else _results(source, scale)
    kind, ratios, metrics = _arms(found) if found else ("", *_imported(Path(source)))
    values = {run: row[metric] for run, row in metrics.items() if metric in row}
    try:
        checks = surrogate.best_check(ratios, values)
        options = _read(candidates, are_shares=True) if candidates else _around(ratios)
        proposal = surrogate.propose(checks[0], ratios, values, list(options.values()), is_maximized=not minimize)
    except ValueError as error:
        raise StudyError(source, 0, str(error)) from error
    if to is not None and proposal is not None:
        _write_study(to, source, found, kind, proposal, metric, best=(min if minimize else max)(values, key=lambda run: values[run]))
    if as_json:
        print_json({"metric": metric, "num_arms": len(values), "checks": checks, "proposal": proposal,
                    "study": str(to) if to and proposal else None})
        return
    for each in checks:
        out().print(
            f"{each.form:<11} leave-one-out rank correlation {each.correlation:+.2f}, error {each.error:.1f} points, "
            f"{len(each.predicted)} arms"
        )
    if proposal is None:
        out().print(f"No proposal: no form reaches {surrogate.TRUSTED:g}. Run more arms, or more seeds.")
        return
    parts = ", ".join(f"{name} {share:.3f}" for name, share in proposal.shares.items() if share)
    out().print(
        f"Worth running by {proposal.form}: {parts}; predicted {metric} {proposal.predicted:.1f}. "
        "This is a prediction, not a result."
    )
    if to is not None and found is not None:
        out().print(f"Written to {to}: `{pasteable('run', str(to), found.study.scale)}` verifies it.")


def _write_study(
    to: Path, source: str, found: Results | None, kind: str, proposal: surrogate.Proposal, metric: str, *, best: str
) -> None:
    """Write the study that verifies a proposal. An existing file is not changed."""
    if found is None:
        raise StudyError(source, 0, "--study needs a study as SOURCE: a folder of tables does not contain its recipe",
                         "`ablate mixture propose STUDY` fits its own arms; --candidates takes mixtures from a table")
    if to.exists():
        raise StudyError(str(to), 0, "this file exists; --study writes a new file")
    arms = {BASELINE: found.arm(found.baseline).levels} if found.baseline else {}
    if best != found.baseline:
        arms[BEST] = found.arm(best).levels
    values = verifying_study(
        found.study.spec["study"], proposal, kind=kind, metric=metric, num_arms=len(found.arms), arms=arms
    )
    to.write_text(dump(values))
    load_study(to)


def _results(study: str, scale: str | None) -> Results:
    _, engine = readable_ledger()
    return study_results(engine, read.study(engine, study_name(study), scale))


def _arms(found: Results) -> tuple[str, Rows, Rows]:
    """Return the last training stage of finished arms, their shares in it, and their mean metrics."""
    ratios: Rows = {}
    metrics: Rows = {}
    kinds = set()
    configs: Mapping[str, Any] = {row.arm_key: row.config for row in found.trial_rows}
    for arm in found.arms:
        kind = next((each for each in reversed(_MIXTURES) if configs[arm.key].get(each)), None)
        if kind is None or not arm.num_scored:
            continue
        if configs[arm.key][kind].get("late_mixture"):
            raise StudyError(found.study.name, 0, f"arm {arm.name!r} has a late mixture; allowed: one mixture a stage",
                             "two arms of the same shares would be the same point to a surrogate")
        kinds.add(kind)
        ratios[arm.key] = shares(build(_MIXTURES[kind], configs[arm.key][kind]["mixture"], "mixture"))
        metrics[arm.key] = {name: cell.mean for name, cell in arm.metrics.items()}
    if len(kinds) != 1:
        raise StudyError(found.study.name, 0, f"finished arms train {' and '.join(sorted(kinds)) or 'nothing'} last; "
                         "allowed: one kind of stage")
    return kinds.pop(), ratios, metrics


def _imported(folder: Path) -> tuple[Rows, Rows]:
    return _read(folder / RATIOS, are_shares=True), _read(folder / METRICS, are_shares=False)


def _read(path: Path, *, are_shares: bool) -> Rows:
    try:
        return from_csv(path.read_text(encoding="utf-8-sig"), str(path), are_shares=are_shares)
    except (OSError, ValueError) as error:
        raise StudyError(str(path), 0, str(error)) from error


def _around(ratios: Rows) -> Rows:
    """Return random mixtures around the mean of the arms.

    Each share stays within the range of the arms, because a fit is not trusted outside it.
    """
    names = dict.fromkeys(name for row in ratios.values() for name in row)
    columns = {name: [row.get(name, 0.0) for row in ratios.values()] for name in names}
    prior = {name: sum(column) / len(column) for name, column in columns.items() if any(column)}
    bounds = {name: (min(columns[name]), max(columns[name])) for name in prior}
    return {f"draw {i}": sampled(prior, concentration=CONCENTRATION, bounds=bounds, index=i) for i in range(DRAWS)}
