"""`ablate rehearse`: try a study briefly before it is paid for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from orchestrator import formatting
from orchestrator.artifacts.store import resolve_import
from orchestrator.cli.console import DONE, FAILED, err, out, print_json, state_text
from orchestrator.cli.options import json_document, json_option, pasteable, scale_option, study_argument
from orchestrator.execution.ray.executor import RayExecutor
from orchestrator.execution.rehearsal import rehearse as execute
from orchestrator.plan.arms import designed_arms, probes
from orchestrator.plan.needs import missing
from orchestrator.plan.plan import Plan, TrialRequest
from orchestrator.plan.rehearsal import Rehearsed, rehearsals
from orchestrator.results.planning import find_study, planner_of
from orchestrator.results.rehearsals import RehearsedRates, keep_rehearsed
from orchestrator.settings import Settings, redact
from orchestrator.study.study import Study


@click.command(
    epilog=json_document("""
    {"study", "scale", "is_ready": nothing is missing and all succeeded, "missing": [{"what", "hint"}],
     "stages": [{"label", "kind", "state", "problem", "seconds",
                 "samples_per_s" (of an evaluation: items), "memory_gib" (null: an evaluation), "stands_for": [stage id]}],
     "rates": {kind and type: FLOPs per second}, "memory_gib": {kind: GiB} (both as `ablate plan` will use them)}""")
)
@study_argument
@scale_option
@json_option
@click.pass_context
def rehearse(ctx: click.Context, study: str, scale: str, as_json: bool) -> None:
    """Execute two steps of each distinct training stage and two items of each benchmark, with the real data and weights.

    It runs on the cluster that `ablate run` would use, records no result, and finds what is missing before a study is paid for.
    `ablate plan` then uses the rates and the memory that were measured. The exit code is 1 if anything is missing or failed.
    """
    settings = Settings.load()
    loaded = find_study(study, scale, settings)
    plan = _plan(loaded, scale, settings)
    lacking = missing(plan, has_judge=bool(settings.judge_url))
    found = _executed(plan, settings)
    known = keep_rehearsed(settings.home, plan.scale, found)
    is_ready = not lacking and all(each.is_good for each in found)
    if as_json:
        print_json(_document(plan, found, known) | {"is_ready": is_ready, "missing": lacking})
        ctx.exit(DONE if is_ready else FAILED)
    out().print(_table(found))
    for each in lacking:
        out().print(Text.assemble(("missing: ", "bold red"), f"{each.what} ({each.hint})"), soft_wrap=True)
    for failed in (each for each in found if each.problem):
        out().print(Text.assemble((f"{failed.rehearsal.label}: ", "bold red"), redact(failed.problem)), soft_wrap=True)
    out().print(_verdict(plan, study, found, is_ready=is_ready))
    ctx.exit(DONE if is_ready else FAILED)


def _plan(study: Study, scale: str, settings: Settings) -> Plan:
    """Plan the study; of a search also arms at the ends of its ranges, since those to come lie between them."""
    planner = planner_of(study, scale, settings)
    if study.search is None:
        return planner.plan()
    arms = (*designed_arms(study), *probes(study))
    return planner.plan([TrialRequest(arm.levels, study.seed_list[:1]) for arm in arms])


def _executed(plan: Plan, settings: Settings) -> list[Rehearsed]:
    asked = rehearsals(plan)
    err().print(f"{plan.study.name}: {len(asked)} short stages stand for {plan.num_unique}, on {settings.slots} slots")
    executor = RayExecutor(settings)
    try:
        return execute(asked, _starts(plan), settings, executor, _tell)
    finally:
        executor.close()


def _starts(plan: Plan) -> dict[str, Path]:
    """Return the folders of the start checkpoints that are there."""
    imports = [
        stage
        for stage in plan.stages.values()
        if stage.kind == "import" and stage.spec["path"] not in plan.missing_checkpoints
    ]
    return {stage.stage_id: resolve_import(stage.spec) for stage in imports}


def _tell(found: Rehearsed) -> None:
    err().print(Text.assemble(state_text(found.state), f"  {found.rehearsal.label}"))


def _table(found: Sequence[Rehearsed]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("stage", overflow="fold")
    for title in ("stands for", "state", "time", "samples/s", "GiB a worker"):
        table.add_column(title, justify="right")
    for each in found:
        rate, memory = each.samples_per_s, each.memory_gib
        table.add_row(
            each.rehearsal.label,
            str(len(each.rehearsal.stands_for)),
            state_text(each.state),
            formatting.duration(each.seconds),
            f"{rate:.3g}" if rate else "",
            f"{memory:.2g}" if memory else "",
        )
    return table


def _verdict(plan: Plan, study: str, found: Sequence[Rehearsed], *, is_ready: bool) -> str:
    if is_ready:
        commands = (pasteable(command, study, plan.scale) for command in ("plan", "run"))
        return "Everything is there: `{}` counts with these rates, `{}` runs it.".format(*commands)
    num_bad = sum(not each.is_good for each in found)
    return (
        f"Not ready: {num_bad} of {len(found)} short stages did not succeed."
        if num_bad
        else "Not ready: something is missing."
    )


def _document(plan: Plan, found: Sequence[Rehearsed], known: RehearsedRates) -> dict[str, object]:
    stages = [
        {
            "label": each.rehearsal.label,
            "kind": each.rehearsal.kind,
            "state": each.state,
            "problem": each.problem,
            "seconds": each.seconds,
            "samples_per_s": each.samples_per_s,
            "memory_gib": each.memory_gib,
            "stands_for": each.rehearsal.stands_for,
        }
        for each in found
    ]
    return {
        "study": plan.study.name,
        "scale": plan.scale,
        "stages": stages,
        "rates": dict(known.rates),
        "memory_gib": dict(known.memory_gib),
    }
