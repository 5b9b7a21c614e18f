"""`ablate campaign`: run studies in dependency order, so that later ones can use the verdicts of earlier ones."""

from __future__ import annotations

from typing import Any

import click
from rich.text import Text

from orchestrator.cli.console import DONE, err, out, print_json
from orchestrator.cli.context import ledger
from orchestrator.cli.options import json_document, json_option, pasteable, scale_option
from orchestrator.cli.run import exit_code, run_to_end, update_option
from orchestrator.ledger import read
from orchestrator.results import campaign as campaigns
from orchestrator.results.planning import plan_study
from orchestrator.results.results import Results, study_results
from orchestrator.study.study import load_campaign


@click.command(epilog=json_document("""
    {"campaign", "scale", "studies": [{"name", "study_id", "state", "took": {study: {"kind", "levels"}}, "chosen": {path: value} or null,
     "verdict": as in `ablate results --json`}]}"""))
@click.argument("campaign")
@scale_option
@update_option
@json_option
@click.pass_context
def campaign(ctx: click.Context, campaign: str, scale: str, update: bool, as_json: bool) -> None:
    """Run the studies of a campaign, each after those whose verdict it needs. Run it again to resume it.

    CAMPAIGN is the path of a campaign file, or its name.
    """
    loaded = load_campaign(campaign)
    ordered = campaigns.sorted_studies(loaded)
    settings, engine = ledger()
    found: list[Results] = []
    status = DONE
    for number, study in enumerate(ordered, 1):
        err().print(f"{loaded.name}: study {number} of {len(ordered)}, {study.name}")
        plan = plan_study(study, scale, settings)
        study_id, ended = run_to_end(settings, engine, plan, update=update)
        row = read.study(engine, study_id)
        status = exit_code(row, ended)
        found.append(study_results(engine, row))
        if not as_json:
            out().print(
                Text.assemble((f"{study.name}: ", "bold"), found[-1].verdict.kind, f"  {found[-1].verdict.sentence}")
            )
        if status != DONE:
            err().print(f"{loaded.name} stops here: {study.name} is {row.state.lower()}; "
                        f"`{pasteable('campaign', campaign, scale)}` continues it")
            break
    if as_json:
        print_json({"campaign": loaded.name, "scale": scale, "studies": [_document(each) for each in found]})
    ctx.exit(status)


def _document(found: Results) -> dict[str, Any]:
    took = {
        name: {"kind": each.kind, "levels": dict(each.levels)}
        for name, each in campaigns.chosen_in(found.study.spec).items()
    }
    chosen = found.verdict.chosen
    return {"name": found.study.name, "study_id": found.study.study_id, "state": found.study.state, "took": took,
            "chosen": found.arm(chosen).levels if chosen else None, "verdict": found.to_json()["verdict"]}
