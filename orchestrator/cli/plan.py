"""`ablate validate`, `plan` and `factors`: everything that can be known before anything runs."""

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
from orchestrator.cli.results_table import limit_name
from orchestrator.plan.factors import Factor
from orchestrator.plan.factors import factors as all_factors
from orchestrator.plan.needs import Missing, missing, not_run, training_data
from orchestrator.plan.plan import Plan
from orchestrator.plan.trial_config import resolve
from orchestrator.results.counts import IMPORT
from orchestrator.results.preview import Preview, document, preview
from orchestrator.settings import Settings
from orchestrator.study.study import Budget


@click.command(epilog=json_document("""
    {"study", "scale", "path", "spec_hash", "is_valid": true, "num_arms", "num_trials", "missing": [{"what", "hint"}], "notes": [...]}"""))
@study_argument
@scale_option
@json_option
@click.pass_context
def validate(ctx: click.Context, study: str, scale: str, as_json: bool) -> None:
    """Check a study file; print what it resolves to.

    A study that cannot be used prints path, line, problem and hint of every mistake on standard error, exit code 2;
    one that is in order and lacks data, checkpoints or a judge here, exit code 1.
    """
    settings = Settings.load()
    loaded, made = load_plan(study, scale, settings)
    lacking = missing(made, has_judge=bool(settings.judge_url))
    if as_json:
        print_json({"study": loaded.name, "scale": scale, "path": loaded.path, "spec_hash": made.spec_hash,
                    "is_valid": True, "num_arms": loaded.num_arms,
                    "num_trials": loaded.num_arms * len(loaded.seed_list), "missing": lacking, "notes": made.notes})
        ctx.exit(FAILED if lacking else DONE)
    out().print(Text.assemble(("✓ ", "green"), f"{loaded.path} is valid at scale {scale}: {_size(made)}"))
    _print_data(made)
    _print_notes(made)
    _print_missing(lacking)
    ctx.exit(FAILED if lacking else DONE)


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
     "missing_checkpoints": [...], "missing_data": [...], "notes": [...]}"""))
@study_argument
@scale_option
@json_option
@click.pass_context
@click.option("--arm", default=None, metavar="NAME", help="Print the whole resolved configuration of one arm as YAML.")
def plan(ctx: click.Context, study: str, scale: str, as_json: bool, arm: str | None) -> None:
    """Show arms, trials, stages, data, cost and time before anything runs.

    Exit code 1 where a run could not finish here, since data, benchmark copies, checkpoints or a judge are missing.
    """
    settings = Settings.load()
    _, made = load_plan(study, scale, settings)
    if arm is not None:
        click.echo(_resolved(made, arm))
        return
    shown = preview(made, existing_ledger(settings), slots=settings.slots)
    lacking = missing(made, has_judge=bool(settings.judge_url))
    if as_json:
        print_json(document(shown) | {"training_data": training_data(made), "missing": lacking})
    else:
        print_plan(shown)
        _print_missing(lacking)
    ctx.exit(FAILED if lacking else DONE)


@click.command(epilog=json_document("""
    [{"path", "type", "default" (null: recipe, scale or preset says it), "doc"}]"""))
@click.argument("contains", default="")
@json_option
def factors(contains: str, as_json: bool) -> None:
    """List every path that a study may vary, with type, unit and default.

    CONTAINS keeps the paths that contain it, such as `mixture`.
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


def _size(made: Plan) -> str:
    study, seeds = made.study, len(made.study.seed_list)
    arms = f"{'up to ' if study.search else ''}{study.num_arms} arms"
    return f"{arms} × {seeds} seed{'s' if seeds > 1 else ''} = {study.num_arms * seeds} trials"


def _print_notes(made: Plan) -> None:
    for note in made.notes:
        out().print(Text.assemble(("note: ", "yellow"), note))


def _print_data(made: Plan) -> None:
    """Say which data each kind of training stage draws from."""
    for each in training_data(made):
        names = "; ".join(f"{category}: {', '.join(sets) or 'nothing'}" for category, sets in each.categories.items())
        out().print(Text.assemble((f"{each.kind} trains on ", "bold"), names), soft_wrap=True)
    skipped = not_run(made)
    if skipped:
        out().print(
            Text.assemble(
                ("note: ", "yellow"), f"not run, since evaluate.scoring.judge names no judge: {', '.join(skipped)}"
            )
        )


def _print_missing(lacking: Sequence[Missing]) -> None:
    for each in lacking:
        out().print(Text.assemble(("missing: ", "bold red"), f"{each.what} (", each.hint, ")"), soft_wrap=True)


def print_plan(shown: Preview) -> None:
    """Print a plan as tables and sentences."""
    made, console = shown.plan, out()
    console.print(Text.assemble((made.study.name, "bold"), f" at scale {made.scale}: {_size(made)}"))
    console.print(made.study.question, style="italic")
    console.print()
    if shown.arms:
        console.print(_arm_table(shown))
        console.print()
        console.print(_kind_table(shown))
        console.print()
    if shown.num_growing:
        console.print(
            f"The search is expected to add {shown.num_growing:.0f} stages, as dear as those at the ends of its ranges."
        )
    _print_data(made)
    if made.seed_enters:
        console.print(f"The seed enters at {made.seed_enters}; what comes before is shared by all seeds.")
    console.print(_saving_sentence(shown))
    console.print(_time_sentence(shown))
    if shown.expected.flops:
        console.print(_cost_sentence(shown))
    if made.study.budget:
        console.print(_budget_sentence(made.study.budget, shown))
    _print_notes(made)


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
        return "What its arms share is known once they are proposed."
    if not saved.stages:
        return "Sharing saves nothing here: every stage is asked for once."
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
    return f"Budget: {limits}; the study is paused when that much is spent."


def _time_sentence(shown: Preview) -> str:
    if not shown.num_to_run and not shown.num_growing:
        return "Everything is in the ledger already: running it takes no time."
    gpus = shown.resources.gpus
    workers = shown.resources.workers
    each = f" with {gpus / workers:g} GPU{'s' if gpus != workers else ''} each" if gpus else ""
    slots = f"{shown.slots} slot{'s' if shown.slots > 1 else ''}{each}"
    several = f" A training stage takes {workers} of them." if workers > 1 else ""
    return f"Estimated time: {formatting.duration(shown.estimate.seconds)} on {slots} ({_basis(shown)}).{several}"


def _basis(shown: Preview) -> str:
    """Say where the rates come from."""
    declared = shown.estimate.declared_kinds
    if not declared:
        return f"from stages measured here at scale {shown.plan.scale}"
    kinds = dict.fromkeys([*(stage.kind for stage in shown.plan.stages.values() if stage.kind != IMPORT),
                           *(each.kind for each in shown.plan.growth.values())])
    if len(declared) == len(kinds):
        return f"from the rate that scale {shown.plan.scale} declares: no stage of it ran here yet"
    return f"{' and '.join(declared)} from the rate that scale {shown.plan.scale} declares, the rest from stages measured here"
