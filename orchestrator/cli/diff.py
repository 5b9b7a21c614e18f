"""`ablate diff`: compare two studies: changes of their files, shared stages, and scores."""

from __future__ import annotations

from dataclasses import dataclass

import click
from rich.table import Table
from rich.text import Text

from orchestrator import formatting
from orchestrator.analysis.table import ArmResult
from orchestrator.cli.console import out, plain_table, print_json
from orchestrator.cli.context import readable_ledger
from orchestrator.cli.options import json_document, json_option, known_scale_option
from orchestrator.cli.results_table import title
from orchestrator.errors import StudyError
from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine
from orchestrator.ledger.rows import StudyRow
from orchestrator.ledger.submit import differences
from orchestrator.results.counts import IMPORT
from orchestrator.results.planning import load_plan, study_name
from orchestrator.results.results import Results, study_results
from orchestrator.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One metric of an arm that both studies have. A mean is None if the study has no score yet."""

    arm: str
    metric: str
    first: float | None
    first_half_width: float | None
    second: float | None
    second_half_width: float | None

    @property
    def difference(self) -> float | None:
        """The second mean minus the first."""
        return None if self.first is None or self.second is None else self.second - self.first


@click.command(epilog=json_document("""
    {"first", "second": {"name", "scale", "version", "study_id", "state", "verdict"}, "changes": ["path: old -> new"],
     "stages": {"first", "second", "shared"}, "only_first": [arm], "only_second": [arm],
     "scores": [{"arm", "metric", "first", "first_half_width", "second", "second_half_width", "difference"}]};
    of a file: {"first", "second": {"path", "spec_hash"}, "changes", "stages"}"""))
@click.argument("first", metavar="STUDY[@VERSION]")
@click.argument("second", metavar="[STUDY[@VERSION]]", required=False)
@known_scale_option
@json_option
def diff(first: str, second: str | None, scale: str | None, as_json: bool) -> None:
    """Compare two studies, two versions of one (quickstart@1 quickstart@2), or a file with its version in the ledger.

    Scores are compared for arms with the same levels. The difference is one of means. To find out whether it is more
    than noise, put both arms into one study: only there seeds are paired.
    """
    settings, engine = readable_ledger()
    if second is None:
        _compare_file(settings, engine, first, scale, as_json=as_json)
        return
    results = [study_results(engine, _row(engine, text, scale)) for text in (first, second)]
    if as_json:
        print_json(_document(*results))
        return
    _print(*results)


def _compare_file(settings: Settings, engine: Engine, text: str, scale: str | None, *, as_json: bool) -> None:
    """Show how a study's file differs from the newest version in the ledger, and how many stages the two share."""
    row = read.study(engine, study_name(text), scale)
    study, plan = load_plan(text, row.scale, settings)
    changes = list(differences(row.spec, plan.spec))
    ours = {stage.stage_id for stage in read.stages(engine, row.study_id) if stage.kind != IMPORT}
    theirs = {stage_id for stage_id, stage in plan.stages.items() if stage.kind != IMPORT}
    stages = {"first": len(ours), "second": len(theirs), "shared": len(ours & theirs)}
    if as_json:
        print_json({"first": {"name": row.name, "scale": row.scale, "version": row.version, "study_id": row.study_id, "state": row.state},
                    "second": {"path": study.path, "spec_hash": plan.spec_hash}, "changes": changes, "stages": stages})
        return
    out().print(Text(f"{row.name}@{row.version} ({row.scale}) → {study.path}", style="bold"))
    out().print("\n".join(f"  {change}" for change in changes) or "  the same", soft_wrap=True)
    out().print(f"stages: {stages['first']} and {stages['second']}, {stages['shared']} of them shared")


def _row(engine: Engine, text: str, scale: str | None) -> StudyRow:
    name, at, version = text.rpartition("@")
    if not at:
        return read.study(engine, study_name(text), scale)
    newest = read.study(engine, study_name(name), scale)
    known = {
        str(row.version): row for row in read.studies(engine) if (row.name, row.scale) == (newest.name, newest.scale)
    }
    if version not in known:
        raise StudyError(
            text, 0, f"no version {version} of {newest.name} at scale {newest.scale}; known: {', '.join(sorted(known))}"
        )
    return known[version]


def _pairs(first: Results, second: Results) -> list[Pair]:
    theirs = {arm.key: arm for arm in second.arms}
    names = [each.name for each in first.metrics if each.is_decisive or each.kind in ("aggregate", "category")]
    return [_pair(arm, theirs[arm.key], name) for arm in first.arms if arm.key in theirs for name in names]


def _pair(one: ArmResult, other: ArmResult, metric: str) -> Pair:
    first, second = _mean(one, metric), _mean(other, metric)
    return Pair(arm=one.name, metric=metric, first=first[0], first_half_width=first[1], second=second[0], second_half_width=second[1])


def _mean(arm: ArmResult, metric: str) -> tuple[float | None, float | None]:
    cell = arm.metrics.get(metric)
    return (cell.mean, cell.half_width) if cell else (None, None)


def _stages(first: Results, second: Results) -> dict[str, int]:
    mine, theirs = ({stage.stage_id for stage in each.stages if stage.kind != IMPORT} for each in (first, second))
    return {"first": len(mine), "second": len(theirs), "shared": len(mine & theirs)}


def _only(first: Results, second: Results) -> list[str]:
    keys = {arm.key for arm in second.arms}
    return [arm.name for arm in first.arms if arm.key not in keys]


def _document(first: Results, second: Results) -> dict[str, object]:
    heads = [{"name": each.study.name, "scale": each.study.scale, "version": each.study.version, "study_id": each.study.study_id,
              "state": each.study.state, "verdict": each.verdict.sentence} for each in (first, second)]
    scores = [{"arm": each.arm, "metric": each.metric, "first": each.first, "first_half_width": each.first_half_width,
               "second": each.second, "second_half_width": each.second_half_width, "difference": each.difference}
              for each in _pairs(first, second)]
    return {"first": heads[0], "second": heads[1], "changes": list(differences(first.study.spec, second.study.spec)),
            "stages": _stages(first, second), "only_first": _only(first, second), "only_second": _only(second, first), "scores": scores}


def _print(first: Results, second: Results) -> None:
    console, names = out(), [f"{each.study.name}@{each.study.version} ({each.study.scale})" for each in (first, second)]
    changes, stages = list(differences(first.study.spec, second.study.spec)), _stages(first, second)
    console.print(Text(f"{names[0]} → {names[1]}", style="bold"))
    console.print("\n".join(f"  {change}" for change in changes) or "  the same file", soft_wrap=True)
    console.print(f"stages: {stages['first']} and {stages['second']}, {stages['shared']} of them shared")
    for name, arms in ((names[0], _only(first, second)), (names[1], _only(second, first))):
        if arms:
            console.print(f"only in {name}: {', '.join(arms)}", soft_wrap=True)
    pairs = _pairs(first, second)
    if pairs:
        console.print(_table(pairs, names))
    for name, results in zip(names, (first, second), strict=True):
        console.print(Text.assemble((f"verdict of {name}: ", "bold"), results.verdict.sentence), soft_wrap=True)


def _table(pairs: list[Pair], names: list[str]) -> Table:
    table = plain_table("arm", "metric", numbers=(*names, "difference"))
    for each in pairs:
        table.add_row(each.arm, title(each.metric), _score(each.first, each.first_half_width),
                      _score(each.second, each.second_half_width),
                      formatting.MISSING if each.difference is None else f"{each.difference:+.1f}")
    return table


def _score(mean: float | None, half_width: float | None) -> str:
    return formatting.MISSING if mean is None else formatting.score(mean, half_width)
