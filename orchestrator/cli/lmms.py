"""`ablate lmms`: show lmms-eval's scores of a study's checkpoints beside the study's own scores."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
from rich.text import Text

from orchestrator.artifacts.opening import artifacts_of
from orchestrator.cli.console import out, print_json
from orchestrator.cli.context import readable_ledger
from orchestrator.cli.options import json_document, json_option, known_scale_option, study_argument
from orchestrator.cli.results_table import print_results
from orchestrator.ledger import read
from orchestrator.ledger.naming import ledger_id
from orchestrator.results.lmms_eval import MODEL, LmmsEvalFile, model_arguments, read_results, require_known
from orchestrator.results.planning import study_name
from orchestrator.results.results import Results, study_results


@click.command("lmms", epilog=json_document("""
    with files, the document of `ablate results` with `outside` filled; without, {"name", "scale", "model", "checkpoints":
     [{"model_args", "trial_keys"}]}"""))
@study_argument
@click.argument(
    "files", metavar="[RESULTS.json]...", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@known_scale_option
@click.option("--share", "shares", multiple=True, metavar="TASK/METRIC",
              help="This metric is a fraction: multiply it by 100, as our scores are. May be repeated.")
@json_option
def lmms(study: str, files: tuple[Path, ...], scale: str | None, shares: tuple[str, ...], as_json: bool) -> None:
    """Show lmms-eval's scores beside a study's own. Without files, print --model_args for each checkpoint.

    Nothing is written to the ledger, and lmms-eval's scores enter no average and no verdict.
    """
    settings, engine = readable_ledger()
    row = read.study(engine, study_name(study), scale)
    found = [read_results(path, shares) for path in files]
    require_known(shares, found)
    if found:
        results = study_results(engine, row, found)
        if as_json:
            print_json(results.to_json())
            return
        print_results(out(), results)
        _sources(results)
        return
    trials = [each for each in read.trials(engine, row.study_id) if each.rung == 0]
    arguments = model_arguments(trials, read.stages(engine, row.study_id), artifacts_of(settings, ledger_id(engine)))
    if as_json:
        print_json({"name": row.name, "scale": row.scale, "model": MODEL,
                    "checkpoints": [{"model_args": words, "trial_keys": keys} for words, keys in arguments.items()]})
        return
    names = {trial.trial_key: f"{trial.arm_name} seed {trial.seed}" for trial in trials}
    for words, keys in arguments.items():
        click.echo(f"# {'; '.join(names[key] for key in keys)}\n--model {MODEL} --model_args {shlex.quote(words)}")
    if not arguments:
        click.echo("no trial has a finished checkpoint yet")


def _sources(results: Results) -> None:
    names = {each.trial_key: f"{each.arm_name} seed {each.seed}" for each in results.trial_rows}
    for file, keys in results.outside:
        limited = "".join(f"; {task}: {count}" for task, count in file.limited.items())
        line = f"{file.path}, {file.date}: {'; '.join(names[key] for key in keys)}{limited}"
        out().print(Text.assemble(("lmms-eval: ", "bold"), line))
        errors = ", ".join(f"{name} {file.values[name]:.4g} ± {error:.2g}" for name, error in file.errors.items()
                           if file.values.get(name) is not None)
        if errors:
            out().print(Text(f"           its standard errors over items: {errors}"))
    small = sorted({name for file, _ in results.outside for name in _small(file)})
    if small:
        hint = f"at most 1: {', '.join(small)}; if they are fractions, --share multiplies them by 100"
        out().print(Text(hint, style="yellow"))


def _small(file: LmmsEvalFile) -> list[str]:
    return [
        name
        for name, value in file.values.items()
        if value is not None and name not in file.is_share and abs(value) <= 1
    ]
