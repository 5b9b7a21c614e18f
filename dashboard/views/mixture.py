"""The page Mixture: scores over the shares of three kinds of data."""

from __future__ import annotations

import streamlit as st

from dashboard import designs
from dashboard.charts import mixture
from dashboard.text import safe
from dashboard.views import downloads, shared
from orchestrator.results import panels
from orchestrator.results.titles import title


def show() -> None:
    """Show the triangle with its table."""
    row = shared.chosen()
    results = shared.results(row)
    found = designs.blends(results, results.objective)
    if found is None:
        shared.note("This study varies no mixture of three kinds of data: the shares of pre-training, of continual pre-training, or "
                    "of fine-tuning (`pretrain.mixture`, `continual.mixture`, `sft.mixture.weights` in its file).")
        return
    offered = panels.offered_metrics(results)
    first = offered[0] if offered else results.objective
    metric = st.pills("Metric", offered or [first], default=first, format_func=title, key="metric", bind="query-params",
                      required=True) or first
    parts, blends = designs.blends(results, metric) or found
    left, right = st.columns([3, 2])
    with left:
        shared.draw(mixture.ternary_figure(blends, parts, revision=f"{row.study_id}/{metric}", metric=title(metric),
                                           colours=shared.colours()),
                    key="ternary", alt=f"{title(metric)} of {len(blends)} mixtures of {', '.join(parts)}")
    with right:
        shared.table(
            [
                {
                    "arm": safe(each.name),
                    **{part: round(share, 3) for part, share in zip(parts, each.shares, strict=True)},
                    title(metric): each.score if each.score is None else round(each.score, 2),
                    "n": each.n,
                    "chosen": each.is_chosen,
                    "baseline": each.is_baseline,
                }
                for each in blends
            ],
            key="blends",
            alt="Shares and scores of the arms",
        )
    downloads.offer(results, [metric])


study = shared.chosen()
shared.title("Mixture", study)
shared.repeating(show, every=shared.live(study, shared.SLOW_S), key="mixture")
