"""The page Trade-off: score against image tokens, or one metric against another, with the Pareto front."""

from __future__ import annotations

import streamlit as st

from dashboard import charts, queries, rows, text
from dashboard.views import shared
from orchestrator.analysis.scores import TOKENS

study = shared.chosen()
st.title("Trade-off")
shared.note(text.plain_markdown(f"{study.name} at scale {study.scale}"))
found = shared.results(study)
across = queries.costs(found)
up = [metric.name for metric in found.metrics if metric.kind in ("aggregate", "category")]
if not across or not up:
    st.info("No scores yet.", icon=":material/hourglass_top:")
    st.stop()

left, right = st.columns(2)
x = left.selectbox("Across", across, format_func=text.title, key="x", bind="query-params")
y = right.selectbox("Up", up, index=up.index(found.objective) if found.objective in up else 0,
                    format_func=text.title, key="y", bind="query-params")
trades = queries.trades(found, x or across[0], y or up[0])
figure = charts.trade_figure(trades, x or across[0], y or up[0], study_id=study.study_id, colours=shared.colours())
st.plotly_chart(figure, theme=None, key="trade", config=charts.CONFIG,
                alt=charts.trade_words(trades, x or across[0], y or up[0]))
if TOKENS not in across:
    shared.note("All arms spend the same number of image tokens, so tokens are not offered as an axis.")
st.header("Arms")
st.dataframe(rows.trade_rows(trades, x or across[0], y or up[0]), hide_index=True, key="front",
             alt="Arms with both metrics")
