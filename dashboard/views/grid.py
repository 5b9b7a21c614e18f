"""The page Grid: differences to the baseline over the fewest and the most tiles, trained grids and inference grids apart."""

from __future__ import annotations

import streamlit as st

from dashboard import designs
from dashboard.charts import heat
from dashboard.rows import arms
from dashboard.views import downloads, shared
from orchestrator.results import panels
from orchestrator.results.titles import title


def show() -> None:
    """Show a heatmap for each facet."""
    results = shared.results(shared.chosen())
    found = designs.gridded(results)
    if not found:
        shared.note(
            "This study compares no grids: its arms do not differ in `images.grid`, or do not split dynamically."
        )
        return
    offered = panels.offered_metrics(results)
    if not offered:
        st.info("No scores yet.", icon=":material/hourglass_top:")
        return
    metric = st.pills("Metric", offered, default=offered[0], format_func=title, key="metric", bind="query-params",
                      required=True) or offered[0]
    facets = designs.facets(found)
    for number, (name, facet) in enumerate(facets.items()):
        st.header(name)
        cells, rows, columns = designs.grid_cells(facet, metric)
        shared.draw(
            heat.heat_figure(
                cells, rows, columns, revision=f"{results.study.study_id}/{metric}", colours=shared.colours()
            ),
            key=f"grid-{number}",
            alt=f"{title(metric)}, {name}: {len(facet)} grids",
        )
    shared.note(
        "Above: the difference to the baseline with its 95 % interval. Below: mean and seeds; ✓ told apart after "
        "Holm. – stands where the study has no arm."
    )
    with st.expander("Table behind these figures"):
        shared.table(arms.arm_rows(results, [metric]), key="grid-table", alt="Arms of the study")
    downloads.offer(results, [metric])


study = shared.chosen()
shared.title("Grid", study)
shared.repeating(show, every=shared.live(study, shared.SLOW_S), key="grid")
