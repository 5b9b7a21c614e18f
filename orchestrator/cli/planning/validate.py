"""`ablate validate`: list the mistakes in a study's file. It must answer at once.

Most studies are checked without the ledger and without statistics. These are imported only for a study that needs
them, because the import takes longer than the check.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import click
from rich.text import Text

from orchestrator.cli.console import DONE, FAILED, out, print_json
from orchestrator.cli.options import json_document, json_option, scale_option, study_argument
from orchestrator.plan.layers import required_studies
from orchestrator.plan.needs import Missing, missing, not_run, training_data
from orchestrator.plan.plan import Plan, Planner
from orchestrator.settings import Settings
from orchestrator.study import library
from orchestrator.study.catalogue import catalogue_of
from orchestrator.study.study import Study, load_study


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
    loaded, made = _planned(study, scale, settings)
    lacking = missing(made, has_judge=bool(settings.judge_url))
    if as_json:
        print_json({"study": loaded.name, "scale": scale, "path": loaded.path, "spec_hash": made.spec_hash,
                    "is_valid": True, "num_arms": loaded.num_arms,
                    "num_trials": loaded.num_arms * len(loaded.seed_list), "missing": lacking, "notes": made.notes})
        ctx.exit(FAILED if lacking else DONE)
    out().print(Text.assemble(("✓ ", "green"), f"{loaded.path} is valid at scale {scale}: {size_text(made)}"))
    print_data(made)
    print_notes(made)
    print_missing(lacking)
    ctx.exit(FAILED if lacking else DONE)


def _planned(name_or_path: str, scale: str, settings: Settings) -> tuple[Study, Plan]:
    """Load a study and plan it: one of the ledger, or one that takes values from it, as every other command does."""
    if library.is_path(name_or_path) or name_or_path in library.names("study"):
        study = load_study(name_or_path)
        if not required_studies(study) and not study.budget:
            catalogue = partial(catalogue_of, settings)
            return study, Planner(study, scale, checkpoints=settings.home / "checkpoints", catalogue=catalogue).plan()
    from orchestrator.results.planning import load_plan

    return load_plan(name_or_path, scale, settings)


def size_text(made: Plan) -> str:
    """Say how many arms, seeds and trials a plan has."""
    study, seeds = made.study, len(made.study.seed_list)
    arms = f"{'up to ' if study.search else ''}{study.num_arms} arms"
    return f"{arms} × {seeds} seed{'s' if seeds > 1 else ''} = {study.num_arms * seeds} trials"


def print_notes(made: Plan) -> None:
    """Print what the user should know before launching."""
    for note in made.notes:
        out().print(Text.assemble(("note: ", "yellow"), note))


def print_data(made: Plan) -> None:
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


def print_missing(lacking: Sequence[Missing]) -> None:
    """Print what a run could not finish without."""
    for each in lacking:
        out().print(Text.assemble(("missing: ", "bold red"), f"{each.what} (", each.hint, ")"), soft_wrap=True)
