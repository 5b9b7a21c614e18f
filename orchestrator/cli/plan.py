"""`ablate plan` and `factors`: everything that can be known before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from orchestrator import formatting
from orchestrator.cli.console import DONE, FAILED, out, print_json
from orchestrator.cli.context import existing_ledger, load_plan
from orchestrator.cli.options import json_document, json_option, scale_option, study_argument
from orchestrator.cli.planning.explain import catalogue_name
from orchestrator.cli.planning.explain import document as explained
from orchestrator.cli.planning.validate import print_data, print_missing, print_notes, size_text
from orchestrator.cli.results_table import limit_name
from orchestrator.plan.factors import Factor
from orchestrator.plan.factors import factors as all_factors
from orchestrator.plan.needs import missing, training_data
from orchestrator.plan.plan import Plan
from orchestrator.plan.trial_config import resolve
from orchestrator.results.counts import IMPORT
from orchestrator.results.explain import Explanation, explain_plan
from orchestrator.results.preview import Preview, document, preview
from orchestrator.results.rehearsals import rehearsed_rates
from orchestrator.settings import Settings
from orchestrator.study.study import Budget

REASONS = 40
"""Sentences of `--why` that are printed."""


@click.command(epilog=json_document("""
    {"study", "scale", "question", "spec_hash", "seeds": [...], "seed_enters", "num_arms", "num_trials",
     "saved": {"stages", "seconds", "gpu_hours"} (by sharing, beside the stages of each trial by themselves),
     "stages": {"requested", "unique", "known" (finished in the ledger), "to_run",
                "by_kind": [{"kind", "requested", "unique", "known", "flops",
                "memory_gib" (estimated, of each worker)}]},
     "flops", "expected": {"flops", "hours", "gpu_hours", "checkpoint_gb", "wall_s", "slots", "is_measured"} (what is left),
     "estimate_s", "is_measured" (false: no such stage ever ran here), "slots",
     "workers_per_stage" (of a training stage), "gpus_per_stage",
     "arms": [{"key", "name", "levels", "is_baseline", "num_trials", "to_run", "flops", "tokens_per_image"}],
     "trials": [{"key", "arm_key", "seed", "stage_ids"}],
     "stage_list": [{"stage_id", "kind", "label", "parent_id", "flops", "samples", "workers", "state" (null: never seen)}],
     "training_data": [{"kind", "categories": {category: [data sets]}}], "missing": [{"what", "hint"}] (a run could not finish),
     "missing_checkpoints": [...], "missing_data": [...], "notes": [...],
     "why": [as `ablate explain --json`] (with --why)}"""))
@study_argument
@scale_option
@json_option
@click.pass_context
@click.option("--arm", default=None, metavar="NAME", help="Print the whole resolved configuration of one arm as YAML.")
@click.option("--why", is_flag=True, help="Say why each new stage is new: which field of which file differs.")
def plan(ctx: click.Context, study: str, scale: str, as_json: bool, arm: str | None, why: bool) -> None:
    """Show arms, trials, stages, data, cost and time before anything runs.

    The exit code is 1 if a run could not finish here because data, benchmark copies, checkpoints or a judge are
    missing.
    """
    settings = Settings.load()
    _, made = load_plan(study, scale, settings)
    if arm is not None:
        click.echo(_resolved(made, arm))
        return
    shown = preview(made, existing_ledger(settings), slots=settings.slots, rehearsed=rehearsed_rates(settings.home, made.scale))
    lacking = missing(made, has_judge=bool(settings.judge_url))
    reasons = explain_plan(made, existing_ledger(settings), scale=scale, catalogue=catalogue_name(settings)) if why else []
    if as_json:
        asked = {"why": [explained(each) for each in reasons]} if why else {}
        print_json(document(shown) | {"training_data": training_data(made), "missing": lacking} | asked)
    else:
        print_plan(shown)
        if why:
            _print_reasons(reasons, made)
        print_missing(lacking)
    ctx.exit(FAILED if lacking else DONE)


@click.command(epilog=json_document("""
    [{"path", "type", "default" (null: recipe, scale or preset says it), "doc"}]"""))
@click.argument("contains", default="")
@json_option
def factors(contains: str, as_json: bool) -> None:
    """List every path that a study may vary, with type, default and meaning.

    CONTAINS lists only the paths that contain it, such as `mixture`.
    """
    found = [factor for factor in all_factors() if contains in factor.path]
    if as_json:
        print_json(found)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("path", "type", "default", "meaning"):
        table.add_column(title, overflow="fold")
    for factor in found:
        table.add_row(factor.path, factor.type, _default(factor), factor.doc)
    out().print(table)


def _default(factor: Factor) -> str:
    return formatting.MISSING if factor.default is None else formatting.number(factor.default)


def _resolved(made: Plan, name: str) -> str:
    known = {arm.name: arm for arm in made.arms} | {arm.key: arm for arm in made.arms}
    if name not in known:
        raise made.study.error((), f"no arm {name!r}; allowed: {', '.join(arm.name for arm in made.arms)}")
    changes: dict[str, Any] = dict(known[name].levels)
    return resolve(made.study, made.scale, changes, made.study.seed_list[0]).to_yaml()


def _print_reasons(reasons: Sequence[Explanation], made: Plan) -> None:
    """Print a sentence for each new stage whose checkpoint is known; what follows from these is counted."""
    out().print()
    for each in reasons[:REASONS]:
        out().print(each.sentence, soft_wrap=True)
    if len(reasons) > REASONS:
        out().print(f"{len(reasons) - REASONS} more stages are new; --json names all.")
    num_known = sum(each.kind != IMPORT for each in made.stages.values())
    if not reasons:
        out().print(f"No stage is new: the ledger holds all {num_known}.")


def print_plan(shown: Preview) -> None:
    """Print a plan as tables and sentences."""
    made, console = shown.plan, out()
    console.print(Text.assemble((made.study.name, "bold"), f" at scale {made.scale}: {size_text(made)}"))
    console.print(made.study.question, style="italic")
    console.print()
    if shown.arms:
        console.print(_arm_table(shown))
        console.print()
        console.print(_kind_table(shown))
        console.print()
    if shown.num_growing:
        console.print(
            f"The search is expected to add {shown.num_growing:.0f} stages, priced like those at the ends of "
            "its ranges."
        )
    print_data(made)
    if made.seed_enters:
        console.print(f"The seed enters at {made.seed_enters}; what comes before is shared by all seeds.")
    console.print(_saving_sentence(shown))
    console.print(_time_sentence(shown))
    if shown.expected.flops:
        console.print(_cost_sentence(shown))
    if made.study.budget:
        console.print(_budget_sentence(made.study.budget, shown))
    print_notes(made)


def _arm_table(shown: Preview) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("arm", overflow="fold")
    for title in ("trials", "stages to run", "FLOPs", "tokens per image"):
        table.add_column(title, justify="right")
    for arm in shown.arms:
        name = f"{arm.name} (baseline)" if arm.is_baseline else arm.name
        table.add_row(name, str(arm.num_trials), str(arm.to_run), formatting.flops(arm.flops),
                      f"{arm.tokens_per_image:.0f}")
    return table


def _kind_table(shown: Preview) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_footer=len(shown.kinds) > 1)
    made = shown.plan
    table.add_column("stages", footer="all")
    totals = (made.num_requested, made.num_unique, shown.num_known, shown.num_to_run)
    for title, total in zip(("asked for", "unique", "in the ledger", "to run"), totals, strict=True):
        table.add_column(title, justify="right", footer=str(total))
    table.add_column("FLOPs", justify="right", footer=formatting.flops(made.flops))
    table.add_column("GiB a worker", justify="right")
    for kind in shown.kinds:
        table.add_row(kind.kind, str(kind.requested), str(kind.unique), str(kind.known),
                      str(kind.unique - kind.known), formatting.flops(kind.flops), f"{kind.memory_gib:.2g}" if kind.memory_gib else "")
    return table


def _saving_sentence(shown: Preview) -> str:
    saved = shown.saving
    if not shown.arms:
        return "How many stages its arms share is not known before they are proposed."
    if not saved.stages:
        return "Sharing saves nothing here: no two trials need the same stage."
    gpus = f", {saved.gpu_hours:.3g} GPU-hours" if shown.resources.gpus else ""
    asked, trained = shown.plan.steps
    steps = f"; {trained:,} optimizer steps stand for {asked:,}, {asked / trained:.2g} times as many" if trained < asked else ""
    return (f"Sharing saves {saved.stages} of {shown.plan.num_requested} stages: {formatting.duration(saved.seconds)} of work{gpus}"
            f"{steps}.")


def _cost_sentence(shown: Preview) -> str:
    found, study = shown.expected, shown.plan.study
    gpus = f", {found.gpu_hours:.3g} GPU-hours" if found.gpu_hours else ""
    all_arms = f", all {study.num_arms} arms included" if study.search else ""
    more = f"; at most {study.most_seeds / len(study.seed_list):.3g} times that with all seeds" if study.looks else ""
    return (
        f"Expected cost: {formatting.flops(found.flops)}, {formatting.duration(found.hours * 3600)} in stages{gpus}, "
        f"{formatting.size(found.checkpoint_gb * 1e9)} of checkpoints, {formatting.duration(found.wall_s)} here{all_arms}{more}."
    )


def _budget_sentence(budget: Budget, shown: Preview) -> str:
    found = asdict(shown.expected) | {"wall_hours": shown.expected.wall_s / 3600}
    limits = ", ".join(f"{limit:g} {limit_name(name)} (expected {found[name]:.3g})"
                       for name, limit in budget.model_dump(exclude_none=True).items())
    return f"Budget: {limits}; the study is paused when a limit is reached."


def _time_sentence(shown: Preview) -> str:
    if not shown.num_to_run and not shown.num_growing:
        return "All stages are in the ledger already: running the study takes no time."
    gpus = shown.resources.gpus
    workers = shown.resources.workers
    each = f" with {gpus / workers:g} GPU{'s' if gpus != workers else ''} each" if gpus else ""
    slots = f"{shown.slots} slot{'s' if shown.slots > 1 else ''}{each}"
    several = f" A training stage takes {workers} of them." if workers > 1 else ""
    return f"Estimated time: {formatting.duration(shown.estimate.seconds)} on {slots} ({_basis(shown)}).{several}"


def _basis(shown: Preview) -> str:
    """Say where the rates come from."""
    declared, scale = shown.estimate.declared_kinds, shown.plan.scale
    kinds = dict.fromkeys([*(stage.kind for stage in shown.plan.stages.values() if stage.kind != IMPORT),
                           *(each.kind for each in shown.plan.growth.values())])
    rehearsed = [kind for kind in kinds if kind in shown.rehearsed_kinds]
    if len(declared) == len(kinds):
        return f"from the rate that scale {scale} declares: no stage of it ran here yet"
    said = [f"{' and '.join(names)} from {source}" for names, source in (
        (rehearsed, "a rehearsal"), (declared, f"the rate that scale {scale} declares")) if names]
    if not said:
        return f"from stages measured here at scale {scale}"
    is_all = len(rehearsed) + len(declared) == len(kinds)
    return ", ".join(said if is_all else [*said, "the rest from stages measured here"])
