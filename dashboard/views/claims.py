"""The page Claims: the paper's statements, what our scores say about each, and what would decide the open ones."""

from __future__ import annotations

import streamlit as st

from dashboard import forests, text
from dashboard.charts import forest
from dashboard.rows import arms
from dashboard.views import downloads, shared
from orchestrator.analysis.claims import ClaimResult
from orchestrator.results.results import Results

_LOOKS = {"supported": ("green", ":material/check_circle:"), "contradicted": ("red", ":material/cancel:"),
          "undecided": ("violet", ":material/help:")}
BARS = ("of each difference alone", "by Holm's correction")
"""What the two intervals of a difference are."""


def show() -> None:
    """Show every claim with its outcome, its differences, and what would decide it."""
    results = shared.results(shared.chosen())
    if not results.claims:
        shared.note("This study names no published results with claims (`published:` in its file).")
        return
    if results.published:
        shared.note(text.plain_markdown(f"From {results.published.title}, {results.published.source}. "
                                        "Another model and other data: its numbers enter no statistic here."))
    counted = {name: sum(claim.outcome == name for claim in results.claims) for name in _LOOKS}
    st.markdown(", ".join(f"**{number} {name}**" for name, number in counted.items() if number))
    shared.note("A claim is supported if the interval of each of its differences alone is on the side that it says, and "
                "contradicted if one is wholly on the other side by Holm's correction over the claim's differences.")
    for claim in results.claims:
        _claim(claim, results)
    downloads.offer_rows([row for claim in results.claims for row in _rows(claim)], "claims")
    downloads.offer(results, [])


def _rows(claim: ClaimResult) -> list[dict[str, object]]:
    return [{"claim": text.safe(claim.claim.statement), "outcome": claim.outcome, **row}
            for row in arms.difference_rows(forests.of_claim(claim))]


def _claim(claim: ClaimResult, results: Results) -> None:
    colour, icon = _LOOKS[claim.outcome]
    with st.container(border=True, key=f"claim-{claim.claim.claim_id}"):
        st.markdown(f"**{text.plain_markdown(claim.claim.statement)}** &nbsp; :{colour}-badge[{icon} {claim.outcome}]")
        st.markdown(text.plain_markdown(forests.sentence(claim, results)))
        found = forests.of_claim(claim)
        if found:
            effects = forests.effects_of(found, has_holm=True)
            shared.draw(forest.forest_figure(effects, revision=claim.claim.claim_id, axis="difference, points",
                                             colours=shared.colours(), bars=BARS),
                        key=f"forest-{claim.claim.claim_id}", alt=forest.forest_words(effects, claim.claim.statement),
                        rows=arms.difference_rows(found))
            shared.note(forest.forest_legend(effects, BARS))
        shared.note("Expected: " + text.plain_markdown("; ".join(forests.expected(each) for each in claim.findings)))
        needed = forests.what_decides(claim, results)
        if needed:
            st.markdown(f"**What would decide it:** {text.plain_markdown(needed)}")


study = shared.chosen()
shared.title("Claims", study)
shared.repeating(show, every=shared.live(study, shared.SLOW_S), key="claims")
