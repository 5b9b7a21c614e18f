"""The page Submit: the text of a study, checked line by line, its cost, what is missing, and the way into the ledger."""

from __future__ import annotations

import streamlit as st

from dashboard import submission, text
from dashboard.submission import Mistake, Planned
from dashboard.views import shared
from orchestrator import formatting
from orchestrator.errors import OrchestratorError
from orchestrator.ledger.engine import has_ledger
from orchestrator.study import library


def show() -> None:
    """Show the editor, then mistakes, or cost and the button."""
    shared.stamp()
    if not shared.may_submit():
        st.warning(f"{text.plain_markdown(shared.who())} may look, but not submit. In a terminal: `ablate submit STUDY`",
                   icon=":material/lock:")
        return
    left, right = st.columns([3, 1])
    names = library.names("study")
    start = left.selectbox(
        "Begin with",
        list(names),
        index=list(names).index("quickstart") if "quickstart" in names else 0,
        key="begin",
        bind="query-params",
    )
    scale = (
        right.selectbox("Scale", list(library.names("scale")), index=_tiny(), key="scale", bind="query-params")
        or "tiny"
    )
    source = st.text_area("Study", value=names[start].read_text(encoding="utf-8") if start else "", height=360,
                          key=f"source-{start}", max_chars=submission.MOST_BYTES)
    engine = shared.engine() if has_ledger(shared.settings().ledger_url) else None
    found = submission.planned(source or "", scale, shared.settings(), engine)
    if isinstance(found, Planned):
        _plan(found)
    else:
        _mistakes(found, source or "")


def _tiny() -> int:
    names = list(library.names("scale"))
    return names.index("tiny") if "tiny" in names else 0


def _mistakes(found: list[Mistake], source: str) -> None:
    lines = source.splitlines()
    for each in found:
        where = f"**Line {each.line}.** " if each.line else ""
        hint = f" Hint: {text.plain_markdown(each.hint)}" if each.hint else ""
        st.error(f"{where}{text.plain_markdown(each.message)}{hint}", icon=":material/error:")
        if 0 < each.line <= len(lines):
            st.code(f"{each.line}: {text.visible(lines[each.line - 1])}", language=None)


def _plan(found: Planned) -> None:
    shown = found.preview
    plan, expected = shown.plan, shown.expected
    tiles = [
        ("Trials", f"{len(plan.trials)}", f"{len(plan.arms)} arms × {len(plan.study.seed_list)} seeds"),
        ("Stages to run", str(shown.num_to_run), f"{shown.num_known} of {plan.num_unique} are in the ledger already"),
        (
            "Time",
            formatting.duration(shown.estimate.seconds),
            f"on {shown.slots} slots, {'measured' if shown.estimate.is_measured else 'from the declared rate'}",
        ),
        (
            "Compute",
            formatting.flops(expected.flops),
            f"{formatting.duration(expected.hours * 3600)} in stages, {formatting.size(expected.checkpoint_gb * 1e9)} of checkpoints",
        ),
    ]
    shared.tiles(tiles)
    shared.table(
        [
            {
                "arm": text.safe(arm.name),
                "baseline": arm.is_baseline,
                "trials": arm.num_trials,
                "stages to run": arm.to_run,
                "TFLOPs": round(arm.flops / 1e12, 3),
                "tokens per image": round(arm.tokens_per_image, 1),
            }
            for arm in shown.arms
        ],
        key="plan-arms",
        alt=f"{len(shown.arms)} arms of the plan with their cost",
    )
    for note in plan.notes:
        shared.note(text.plain_markdown(note))
    for each in found.missing:
        st.error(
            f"**Missing: {text.plain_markdown(each.what)}.** {text.plain_markdown(each.hint)}", icon=":material/error:"
        )
    update = st.toggle("Make a new version if the name is known with other content", key="update")
    if st.button("Submit …", type="primary", disabled=bool(found.missing), key="submit"):
        confirm(found, update)


@st.dialog("Submit this study?")
def confirm(found: Planned, update: bool) -> None:
    """Ask for confirmation, then submit; a driver must be running, or be started, for it to advance."""
    plan = found.preview.plan
    st.markdown(
        f"**{text.plain_markdown(plan.study.name)}** at scale {plan.scale}: {found.preview.num_to_run} stages, about "
        f"{formatting.duration(found.preview.estimate.seconds)} of work."
    )
    if st.button("Yes, submit", key="confirmed", type="primary", on_click=send, args=(found, update)):
        st.rerun()


def send(found: Planned, update: bool) -> None:
    """Submit the study, and keep for the page what came of it."""
    plan = found.preview.plan
    try:
        submission.send(found, shared.settings(), update=update, who=shared.who())
    except OrchestratorError as error:
        st.session_state["was_refused"] = str(error)
    else:
        st.session_state["was_submitted"] = f"{plan.study.name}@{plan.scale}"


st.title("Submit")
if name := st.session_state.pop("was_submitted", None):
    st.success(
        f"{text.plain_markdown(name)} is submitted. It advances while a driver runs: `ablate drive`",
        icon=":material/check_circle:",
    )
if problem := st.session_state.pop("was_refused", None):
    st.error(text.plain_markdown(problem), icon=":material/error:")
shared.told(show)
