"""The page Items: single questions with their picture, and what two arms answered."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import pictures, text
from dashboard.views import downloads, shared
from model.evaluation.stored_answers import ITEMS
from model.images.drawing import Picture, annotated
from model.samples import Item
from orchestrator.artifacts.store import is_record
from orchestrator.ledger.rows import StageRow
from orchestrator.results.branches import final_stages
from orchestrator.results.item_pages import ItemPage, Only, Pair, item_page, scored_page
from orchestrator.results.results import Results
from orchestrator.results.stored_scores import item_scores

FILTERS: dict[Only, str] = {"all": "all", "worse": "got worse", "wrong": "not right", "unread": "unread"}
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
    start, arms = (int(page_no) - 1) * ON_PAGE, (arm, against if beside else None)
    if is_record(mine.artifact or ""):
        _recorded(mine, beside, benchmark, only, start, arms)
        return
    page = _page(mine, beside, benchmark, only, start)
    _items(page, mine, arms, start)
    downloads.offer_rows(_rows(page, arms), "items")


def _evaluations(results: Results) -> dict[tuple[str, str, int], StageRow]:
    """Return (benchmark, arm, seed) -> finished evaluation with stored answers."""
    stages = {stage.stage_id: stage for stage in results.stages}
    return {(stage.spec["benchmark"], row.arm_name, row.seed): stage
            for row in results.trial_rows if row.rung == 0 for stage in final_stages(row, stages) if stage.artifact}


def _index(names: list[str], results: Results) -> int:
    """Return the position of the chosen arm; of another one than the first without a choice."""
    chosen = results.arm(results.verdict.chosen).name if results.verdict.chosen else None
    return names.index(chosen) if chosen in names else len(names) - 1


def _page(mine: StageRow, theirs: StageRow | None, benchmark: str, only: Only, start: int) -> ItemPage:
    store = shared.artifacts()
    file = store.fetched(mine.artifact or "") / ITEMS
    other = store.fetched(theirs.artifact or "") / ITEMS if theirs and not is_record(theirs.artifact or "") else None
    return item_page(file, other, benchmark, only=only, start=start, limit=ON_PAGE)


def _counted(num_matching: int, num_items: int, start: int) -> None:
    last = max(1, -(-num_matching // ON_PAGE))
    shared.note(f"{num_matching} of {num_items} items match; page {min(start // ON_PAGE + 1, last)} of {last}. "
                "Lines in the picture are the borders of its tiles.")
    if start >= num_matching:
        st.info("No such item on this page.", icon=":material/search_off:")


def _recorded(mine: StageRow, theirs: StageRow | None, benchmark: str, only: Only, start: int,
              arms: tuple[str, str | None]) -> None:
    """Show items of an imported study, of which a record has the scores and not what was said."""
    store = shared.artifacts()
    page = scored_page(item_scores(mine, store), item_scores(theirs, store) if theirs else None, only=only, start=start,
                       limit=ON_PAGE)
    _counted(page.num_matching, page.num_items, start)
    shared.note("This study was imported: its record has the score of every item, and not what was answered. The workbench's "
                "questions are made again by their generator.")
    for own, other in page.pairs:
        with st.container(border=True, key=f"item-{own.item_id}"):
            left, right = st.columns([2, 5], gap="medium")
            item = pictures.remade(benchmark, own.item_id)
            if item:
                _pictures(left, [annotated(image, pictures.image_config(mine.spec), num_images=len(item.images))
                                 for image in item.images], own.item_id)
            _asked(right, item, own.item_id)
            for name, each in zip(arms, (own, other), strict=True):
                if each is not None:
                    right.markdown(f":gray[{text.plain_markdown(name or '')}] {_mark(each.strict, is_read=each.is_read)}")


def _items(page: ItemPage, stage: StageRow, arms: tuple[str, str | None], start: int) -> None:
    _counted(page.num_matching, page.num_items, start)
    shared.note("Boxes: green the reference, blue the arm, orange the arm beside it.")
    for pair in page.pairs:
        with st.container(border=True, key=f"item-{pair.answer.item.item_id}"):
            _item(pair, stage, arms)


def _item(pair: Pair, stage: StageRow, arms: tuple[str, str | None]) -> None:
    answer, item = pair.answer, pair.answer.item
    left, right = st.columns([2, 5], gap="medium")
    images = pictures.item_pictures(answer)
    if images:
        _pictures(left, pictures.drawn(images, answer, pair.other, pictures.image_config(stage.spec)), item.item_id)
    elif item.pictures:
        left.markdown(f":gray[:small[{text.plain_markdown('; '.join(item.pictures))}]]")
    _asked(right, item, item.item_id)
    for name, each in zip(arms, (answer, pair.other), strict=True):
        if each is not None:
            mark = _mark(each.score.strict, is_read=each.score.parsed is not None)
            right.markdown(f":gray[{text.plain_markdown(name or '')}] {mark} {text.plain_markdown(each.prediction) or '(empty)'}")


def _pictures(where: DeltaGenerator, shown: list[Picture], item_id: str) -> None:
    if shown:
        where.image(shown, width=150 if len(shown) > 1 else 220, alt=[f"picture of item {item_id}"] * len(shown))


def _asked(where: DeltaGenerator, item: Item | None, item_id: str) -> None:
    """Show the question, its options and its reference."""
    where.markdown(f":gray[:small[{text.plain_markdown(item_id)}]]")
    if item is None:
        return
    where.markdown(f"**{text.plain_markdown(item.question.replace('<image>', '▣ '))}**")
    if item.options:
        where.markdown(" · ".join(f"{chr(65 + i)}: {text.plain_markdown(each)}" for i, each in enumerate(item.options)))
    where.markdown(f":gray[reference] {text.plain_markdown(' or '.join(item.references))}")


def _mark(score: float, *, is_read: bool) -> str:
    """Return a score, 0 to 1, as a badge with a sign and a colour."""
    if not is_read:
        return ":orange-badge[? unread]"
    return f":green-badge[✓ {score:g}]" if score >= 1 else f":red-badge[✗ {score:g}]"


def _rows(page: ItemPage, arms: tuple[str, str | None]) -> list[dict[str, object]]:
    return [{"item": text.safe(pair.answer.item.item_id), "question": text.safe(pair.answer.item.question),
             "reference": text.safe(" or ".join(pair.answer.item.references)),
             **{f"{name}: {what}": value for name, each in zip(arms, (pair.answer, pair.other), strict=True) if each is not None
                for what, value in (("answer", text.safe(each.prediction)), ("score", each.score.strict))}} for pair in page.pairs]


study = shared.chosen()
shared.title("Items", study)
shared.repeating(show, every=shared.live(study, shared.SLOW_S), key="items")
