"""`ablate explain`: why a stage is new."""

from __future__ import annotations

import click

from orchestrator.cli.console import out, print_json
from orchestrator.cli.context import readable_ledger
from orchestrator.cli.options import json_document, json_option
from orchestrator.results.explain import Explanation, explain_stage
from orchestrator.settings import Settings


@click.command(epilog=json_document("""
    {"stage_id", "label", "nearest_id" (null: the first of its kind), "sentence",
     "differences": [{"paths": [of the configuration], "file", "line" (0: not known), "field", "mine", "other"}]}"""))
@click.argument("stage", metavar="STAGE")
@json_option
def explain(stage: str, as_json: bool) -> None:
    """Say in one sentence why a stage was new when it was entered.

    STAGE is the label of a stage ("sft science=0.5 seed 0") or the first digits of its id, as `ablate status` and `ablate plan --json`
    show them. It is compared with the nearest stage that the ledger held before: which field of which file differs. For a study
    that was not submitted yet: `ablate plan STUDY --why`.
    """
    settings, engine = readable_ledger()
    found = explain_stage(engine, stage, catalogue=catalogue_name(settings))
    if as_json:
        print_json(document(found))
        return
    out().print(found.sentence, soft_wrap=True)


def catalogue_name(settings: Settings) -> str:
    """Return the file of the operator's catalogue as text."""
    return str(settings.catalogue_file or "the catalogue")


def document(found: Explanation) -> dict[str, object]:
    """Return an explanation as a JSON document."""
    differences = [{"paths": list(each.paths), "file": each.origin.file, "line": each.origin.line, "field": each.origin.field,
                    "mine": each.mine, "other": each.other} for each in found.differences]
    return {"stage_id": found.stage_id, "label": found.label, "nearest_id": found.nearest_id,
            "sentence": found.sentence, "differences": differences}
