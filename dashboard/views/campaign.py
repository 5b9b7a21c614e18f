"""The page Campaign: studies that take values from the verdicts of others, and how far each is."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import designs, queries, text
from dashboard.views import downloads, shared
from orchestrator.ledger.rows import StudyRow
from orchestrator.plan.layers import required_studies
from orchestrator.results.campaign import chosen_in, sorted_studies
from orchestrator.study import library
from orchestrator.study.study import Study, load_campaign

Row = dict[str, Any]


def show() -> None:
    """Show one campaign of the library, then every decision in the ledger that another study was planned with."""
    shared.stamp()
    names = list(library.names("campaign"))
    if names:
        picked = st.selectbox("Campaign", names, key="campaign", bind="query-params") or names[0]
        _campaign(picked)
    st.header("Decisions in this ledger")
    rows = [row for study in shared.studies() for row in _taken(study)]
    if rows:
        shared.table(rows, key="taken", alt="Values that studies took from the verdicts of others")
    else:
        shared.note("No study here took a value from the verdict of another (`from_selection` in a study's file).")


def _campaign(name: str) -> None:
    campaign = load_campaign(name)
    ordered = sorted_studies(campaign)
    st.markdown(text.plain_markdown(campaign.question))
    st.graphviz_chart(_graph(ordered), alt=f"{len(ordered)} studies of the campaign in the order in which they run")
    shared.note("An arrow goes from a study to one that takes values from its verdict; where a way leads over other studies, "
                "no arrow of its own is drawn.")
    rows = [_row(number, study) for number, study in enumerate(ordered, 1)]
    shared.table(rows, key="campaign-studies", alt=f"Studies of the campaign {name}",
                 column_config={"takes values from": st.column_config.TextColumn(width="medium")})
    downloads.offer_rows(rows, name)
    st.code(f"ablate campaign {name}", language="bash")


def _graph(ordered: list[Study]) -> str:
    """Return the graph in the language of Graphviz; names of studies hold no quotes."""
    dark = st.context.theme.type == "dark"
    ink = "#E8EAED" if dark else "#262B33"
    style = f'color="{ink}", fontcolor="{ink}", fontname="sans-serif", fontsize=12'
    near = designs.nearest({study.name: required_studies(study) for study in ordered})
    edges = [f'"{other}" -> "{name}"' for name, others in near.items() for other in others]
    return "\n".join(
        [
            'digraph { rankdir=LR; bgcolor="transparent";',
            f"node [shape=box, style=rounded, {style}]; edge [{style}];",
            *(f'"{study.name}"' for study in ordered),
            *edges,
            "}",
        ]
    )


def _newest(name: str) -> list[StudyRow]:
    found: dict[str, StudyRow] = {}
    for row in shared.studies():
        if row.name == name and row.version >= (found[row.scale].version if row.scale in found else 0):
            found[row.scale] = row
    return list(found.values())


def _row(number: int, study: Study) -> Row:
    rows = _newest(study.name)
    outcomes = shared.outcomes(shared.settings().ledger_url).look(shared.engine(), rows) if rows else {}
    found = [
        f"{queries.label_of(row)}: {text.state(queries.shown_state(row, shared.health()))}"
        + (f", {outcomes[row.study_id].verdict} {outcomes[row.study_id].chosen}" if row.study_id in outcomes else "")
        for row in rows
    ]
    return {"order": number, "study": study.name, "in this ledger": "; ".join(map(text.safe, found)) or "not run yet",
            "question": text.safe(study.question), "takes values from": ", ".join(required_studies(study)) or "–"}


def _taken(row: StudyRow) -> list[Row]:
    return [
        {
            "study": queries.label_of(row),
            "took from": name,
            "verdict": each.kind,
            "values": ", ".join(f"{path} = {value}" for path, value in each.levels.items()),
            "sentence": text.safe(each.sentence),
        }
        for name, each in chosen_in(row.spec).items()
    ]


st.title("Campaign")
shared.repeating(show, every=shared.live_any(shared.SLOW_S), key="campaign")
