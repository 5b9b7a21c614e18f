"""The page Items: single questions with their picture, and what two arms answered."""

from __future__ import annotations

import streamlit as st

from dashboard import pictures, text
from dashboard.views import shared
from model.evaluation.stored_answers import ITEMS
from orchestrator.ledger.rows import StageRow
from orchestrator.results.item_pages import ItemPage, Pair, item_page
from orchestrator.results.results import Results

FILTERS = {"all": "all", "worse": "got worse", "wrong": "not right", "unread": "unread"}
ON_PAGE = 10


def show() -> None:
    """Choose a benchmark and arms, then show a page of items."""
    results = shared.results(shared.chosen())
    stages = _evaluations(results)
    if not stages:
        st.info(
            "No stored answers yet: items appear with the first finished evaluation.", icon=":material/hourglass_top:"
        )
        return
    benchmarks = list(dict.fromkeys(name for name, _, _ in stages))
    names = list(dict.fromkeys(arm for _, arm, _ in stages))
    seeds = sorted({seed for _, _, seed in stages})
    columns = st.columns(4)
    benchmark = columns[0].selectbox("Benchmark", benchmarks, key="benchmark", bind="query-params") or benchmarks[0]
    arm = columns[1].selectbox("Arm", names, index=_index(names, results), format_func=text.visible, key="arm",
                               bind="query-params") or names[0]
    against = columns[2].selectbox("Beside it", names, index=0, format_func=text.visible, key="against",
                                   bind="query-params") or names[0]
    seed = columns[3].selectbox("Seed", seeds, key="seed", bind="query-params")
    mine, theirs = stages.get((benchmark, arm, seed)), stages.get((benchmark, against, seed))
    if mine is None:
        st.info("This arm has no answers to this benchmark with this seed.", icon=":material/hourglass_top:")
        return
    beside = theirs if theirs is not None and against != arm else None
    only = st.pills("Which items", [name for name in FILTERS if name != "worse" or beside], default="all",
                    format_func=lambda name: FILTERS[name], key="only", bind="query-params", required=True) or "all"
    page_no = st.number_input("Page", min_value=1, value=1, key="page", bind="query-params")
    page = _page(mine, beside, benchmark, only, int(page_no))
    _items(page, mine, (arm, against if beside else None), int(page_no))


def _evaluations(results: Results) -> dict[tuple[str, str, int], StageRow]:
    """Return (benchmark, arm, seed) -> finished evaluation with stored answers."""
    stages = {stage.stage_id: stage for stage in results.stages if stage.kind == "evaluate" and stage.artifact}
    return {(stages[stage_id].spec["benchmark"], row.arm_name, row.seed): stages[stage_id]
            for row in results.trial_rows if row.rung == 0 for stage_id in row.stage_ids if stage_id in stages}


def _index(names: list[str], results: Results) -> int:
    """Return the position of the chosen arm; of another one than the first without a choice."""
    chosen = results.arm(results.verdict.chosen).name if results.verdict.chosen else None
    return names.index(chosen) if chosen in names else len(names) - 1


def _page(mine: StageRow, theirs: StageRow | None, benchmark: str, only: str, number: int) -> ItemPage:
    store = shared.artifacts()
    files = [store.fetched(stage.artifact or "") / ITEMS if stage else None for stage in (mine, theirs)]
    return item_page(files[0], files[1], benchmark, only=only, start=(number - 1) * ON_PAGE, limit=ON_PAGE)  # type: ignore[arg-type]


def _items(page: ItemPage, stage: StageRow, arms: tuple[str, str | None], number: int) -> None:
    last = -(-page.num_matching // ON_PAGE)
    shared.note(
        f"{page.num_matching} of {page.num_items} items match; page {min(number, max(last, 1))} of {max(last, 1)}. "
        "Lines in the picture are the borders of its tiles; boxes: green the reference, blue the arm, orange the "
        "arm beside it."
    )
    if not page.pairs:
        st.info("No such item on this page.", icon=":material/search_off:")
    for pair in page.pairs:
        with st.container(border=True, key=f"item-{pair.answer.item.item_id}"):
            _item(pair, stage, arms)


def _item(pair: Pair, stage: StageRow, arms: tuple[str, str | None]) -> None:
    answer, item = pair.answer, pair.answer.item
    left, right = st.columns([2, 5], gap="medium")
    images = pictures.item_pictures(answer)
    if images:
        shown = pictures.drawn(images, answer, pair.other, pictures.image_config(stage.spec))
        left.image(shown, width=150 if len(shown) > 1 else 220, alt=[f"picture of item {item.item_id}"] * len(shown))
    elif item.pictures:
        left.markdown(f":gray[:small[{text.plain_markdown('; '.join(item.pictures))}]]")
    right.markdown(f":gray[:small[{text.plain_markdown(item.item_id)}]]")
    right.markdown(f"**{text.plain_markdown(item.question.replace('<image>', '▣ '))}**")
    if item.options:
        right.markdown(" · ".join(f"{chr(65 + i)}: {text.plain_markdown(each)}" for i, each in enumerate(item.options)))
    right.markdown(f":gray[reference] {text.plain_markdown(' or '.join(item.references))}")
    right.markdown(_answer(arms[0], answer.prediction, answer.score.parsed, answer.score.strict))
    if pair.other is not None:
        right.markdown(_answer(arms[1] or "", pair.other.prediction, pair.other.score.parsed, pair.other.score.strict))


def _answer(arm: str, prediction: str, parsed: str | None, score: float) -> str:
    mark = (
        ":orange-badge[? unread]"
        if parsed is None
        else f":green-badge[✓ {score:g}]"
        if score >= 1
        else f":red-badge[✗ {score:g}]"
    )
    return f":gray[{text.plain_markdown(arm)}] {mark} {text.plain_markdown(prediction) or '(empty)'}"


study = shared.chosen()
shared.title("Items", study)
shared.repeating(show, every=None, key="items")
