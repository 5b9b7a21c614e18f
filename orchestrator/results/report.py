"""Write the report of a study: one self-contained HTML file to read, print or send.

- Every text that comes from a study is escaped. The page has no scripts and no external addresses, and its content
  security policy forbids both.
- The first page answers: question, verdict with both intervals, figure, claims, how to repeat it. Tables follow; hashes
  and configuration are an appendix, which is not printed.
- Figures are those of the dashboard (`panels`, `plane`), drawn by `figures`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from orchestrator import formatting
from orchestrator.analysis.scores import Answers
from orchestrator.analysis.statistics import Difference
from orchestrator.analysis.table import ArmResult, Cell, Delta
from orchestrator.results import figures, panels, plane, provenance
from orchestrator.results.item_statistics import ItemResults
from orchestrator.results.outcome import in_words, states_of, total, verdict_sentence
from orchestrator.results.tables import all_answers, losses, score_text, unread
from orchestrator.results.titles import title
from orchestrator.study.metric_names import TOKENS
from orchestrator.study.strict_yaml import dump

if TYPE_CHECKING:
    from orchestrator.results.results import Results

_TEMPLATE = Path(__file__).with_suffix(".html")
MISSING = formatting.MISSING
MAX_COLUMNS = 6
"""The most arms that are columns of the table of benchmarks; with more, arms are rows."""
_SIGNS = {"selected": "✓", "tied": "=", "underpowered": "?", "infeasible": "✗", "incomplete": "…", "none": "–",
          "supported": "✓", "contradicted": "✗", "undecided": "?"}


def write_report(results: Results, path: Path, items: ItemResults | None = None) -> Path:
    """Write the report of a study, and replace an older one atomically; return its path.

    Args:
        results: of the study.
        path: the file.
        items: what the stored answers say; without them there is no second interval.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    temporary.write_text(render(results, items), encoding="utf-8")
    os.replace(temporary, path)
    return path


def render(results: Results, items: ItemResults | None = None) -> str:
    """Return the report as HTML; `items` as in `write_report`."""
    parts = [_head(results), _verdict(results, items), _curve(results), _claims(results), _reproduce(results),
             _numbers(results), _arms(results, items), _benchmarks(results), _losses(results), _cost(results),
             _data(results),
             _published(results), _appendix(results)]
    name = escape(f"{results.study.name} – {results.study.scale}")
    body = "\n".join(part for part in parts if part)
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(title=name, body=body)


# ---- sections ------------------------------------------------------------------------------------------------------


def _head(results: Results) -> str:
    row = results.study
    source = f'<p class="note">{escape(results.source)}</p>' if results.source else ""
    state = row.state.lower().replace("_", " ")
    when = (
        f"{state} {provenance.day(row.ended_at)}"
        if row.ended_at
        else f"{state}, submitted {provenance.day(row.created_at)}"
    )
    where = f"Study at scale {row.scale}, version {row.version}, {when} · report by ablate {provenance.release()}"
    return (f'<header><p class="where">{escape(where)}</p><h1>{escape(row.name)}</h1>'
            f'<p class="question">{escape(results.question)}</p>{source}</header>')


def _verdict(results: Results, items: ItemResults | None) -> str:
    """Return the verdict for these items and, where it is known, that for the population of items; one of them decides."""
    verdict = results.verdict
    kind = verdict.kind if verdict.kind != "incomplete" else "no verdict"
    second = items.verdict if items else None
    deciding = second.kind if items and second and items.decides else verdict.kind
    parts = [f'<section class="verdict {deciding}" aria-label="Verdict"><div class="{verdict.kind}">'
             f"<strong>{_SIGNS[verdict.kind]} {kind}{', for these items' if second else ''}</strong>"
             f"<p>{escape(verdict_sentence(results))}</p></div>"]
    if items and second:
        parts.append(
            f'<div class="{second.kind} second"><strong>{_SIGNS[second.kind]} {second.kind}, for the population of items'
            f"</strong><p>{escape(second.sentence)}</p></div>"
            f'<p class="note">By the rule the interval for {"the population of items" if items.decides else "these items"} '
            f"decides; {items.num_pictures} pictures were asked about.</p>"
        )
    parts.append(f'<p class="note">Rule, declared before the study ran: {escape(results.rule)}. '
                 f"{escape(results.seed_note)}</p>{_flags(results)}</section>")
    return "".join(parts)


def _flags(results: Results) -> str:
    """Return notes on confounds, on predictions, and on the arms that a search stopped or could not rank."""
    notes = [f"Unread: {sentence}." for sentence in unread(results)]
    notes += [f"Confound: {each.sentence}." for each in results.confounds]
    search = results.search
    if search is not None and len(search.objectives) > 1:
        goals = ", ".join(f"{way} {metric}" for metric, way in search.objectives)
        names = ", ".join(results.arm(key).name for key in search.pareto) or "none"
        notes.append(f"No feasible arm beats these ({goals}): {names}.")
    notes += [f"Stopped early: {why['name']}, {why['reason']}." for why in (search.stopped.values() if search else ())]
    notes += [f"Predicted, then run: {each.sentence}." for each in results.predictions]
    notes += [f"Not trained: {why['name']}, {why['reason']}." for why in (search.refused.values() if search else ())]
    return "".join(f'<p class="note">{escape(note)}</p>' for note in notes)


def _numbers(results: Results) -> str:
    counts, cost = results.counts, results.cost
    failed = in_words(total(states_of(results).values()))
    reused = f", {counts.stages_reused} from earlier studies" if counts.stages_reused else ""
    elapsed = (
        f"{formatting.duration(cost.elapsed_s)} from submission to end"
        if cost.elapsed_s is not None
        else "not finished"
    )
    guess = results.study.estimate
    elapsed += f"; {formatting.duration(guess['hours'] * 3600)} of compute expected" if guess else ""
    gpus = f", {cost.gpu_hours_saved:.3g} GPU-hours," if cost.gpu_hours_saved else ""
    tiles = [("Arms × seeds", f"{len(results.arms)} × {len(results.seeds)}", f"{len(results.trials)} trials"),
             ("Trials succeeded", f"{counts.trials_done} of {counts.trials}", failed or "none failed"),
             ("Stages requested", str(counts.stages_requested), f"{counts.stages_unique} distinct{reused}"),
             ("Compute", formatting.duration(cost.seconds), elapsed),
             ("Saved by sharing", formatting.duration(cost.seconds_saved),
              f"{counts.stages_saved} stages{gpus} that need no second run")]
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(note)}</small></dd></div>"
                    for name, value, note in tiles)
    return f'<dl class="numbers">{items}</dl>'


def _curve(results: Results) -> str:
    shown = [panels.panel(results, metric) for metric in panels.panel_metrics(results)[:figures.MAX_PANELS]]
    if not shown:
        return ""
    paper = (
        " Diamonds: the paper, as difference to its own baseline."
        if results.published and results.published.scores
        else ""
    )
    caption = (
        "Small circles: single seeds. Squares: means with 95 % intervals over seeds. Dashed: the baseline's mean; "
        "dotted: the limit that must hold. Ring: the chosen arm with its difference to the baseline." + paper
    )
    return _figure(figures.themed(figures.score_figure(shown)), caption)


def _cost(results: Results) -> str:
    """Return the figure of the score against image tokens, where arms differ in them."""
    if TOKENS not in plane.axes(results) or results.objective not in panels.panel_metrics(results):
        return ""
    shown = plane.plane(results, TOKENS, results.objective)
    note = "Joined: the front, which no feasible arm beats in both. Crosses: arms that miss a constraint."
    return f"<h2>Score and cost</h2>{_figure(figures.themed(figures.plane_figure(shown)), note)}"


def _claims(results: Results) -> str:
    if not results.claims:
        return ""
    rows = [[_cell_text(each.claim.statement), _cell_text(f"{_SIGNS[each.outcome]} {each.outcome}"),
             _cell_text(each.sentence)] for each in results.claims]
    return "<h2>Published claims</h2>" + _rows(["Claim", "Here", "Evidence"], rows)


def _reproduce(results: Results) -> str:
    row = results.study
    commands = "\n".join([f"ablate run {row.name}.yaml --scale {row.scale}",
                          f"ablate results {row.name} --scale {row.scale} --json"])
    return (
        f"<h2>Reproduce</h2><p>The study's file is in the appendix: save it as <code>{escape(row.name)}.yaml</code>. "
        f"Stages that are finished in the ledger are not run again.</p><pre>{escape(commands)}</pre>"
    )


def _arms(results: Results, items: ItemResults | None) -> str:
    decisive = [each.name for each in results.metrics if each.is_decisive and each.kind != "loss"]
    others = [each.name for each in results.metrics if each.kind in ("aggregate", "category")]
    names = list(dict.fromkeys([results.objective, *decisive, *others]))
    second = {each.arm_key: each.population for each in items.arms if each.population} if items else {}
    note = ("Mean over seeds ± half-width of its 95 % interval. Below it: the difference to the baseline, paired by "
            "seed, and for decisive metrics its 95 % interval. Bold: told apart from the baseline at 5 % after Holm's "
            "correction over the arms of the column." + (" Population: the interval of the deciding difference for the "
                                                         "population of items." if second else ""))
    rows = [[_arm_cell(results, arm), *(_score_cell(arm.metrics.get(name), is_long=name in decisive) for name in names),
             *([_population_cell(second.get(arm.key))] if second else []),
             f"<td>{_tokens(arm)}</td>", f"<td>{_trials(results, arm)}</td>"] for arm in results.arms]
    marked = [arm.key == results.verdict.chosen for arm in results.arms]
    heads = ["Arm", *map(title, names), *(["population"] if second else []), "tokens / image", "seeds"]
    return f'<h2>Arms</h2>{_rows(heads, rows, marked)}<p class="note">{escape(note)}</p>'


def _population_cell(found: Difference | None) -> str:
    if found is None or found.half_width is None:
        return f"<td>{MISSING}</td>"
    bold = " class=told" if found.is_told_apart else ""
    return f"<td{bold}>{found.value:+.1f}<small>[{found.value - found.half_width:.1f}, {found.value + found.half_width:.1f}]</small></td>"


def _benchmarks(results: Results) -> str:
    """Return the table of benchmarks; arms are its columns, or its rows if there are more than `MAX_COLUMNS`."""
    shown = [each for each in results.metrics if each.kind == "benchmark"]
    if not shown:
        return ""
    answers = all_answers(results)
    if len(results.arms) > MAX_COLUMNS:
        rows = [[_arm_cell(results, arm), *(_score_cell(arm.metrics.get(each.name), answers.get((arm.key, each.name)))
                                            for each in shown)] for arm in results.arms]
        marked = [arm.key == results.verdict.chosen for arm in results.arms]
        return f"<h2>Benchmarks</h2>{_rows(['Arm', *(each.name for each in shown)], rows, marked)}"
    rows = [[f"<td>{escape(each.name)}<small>{escape(title(each.category or ''))}</small></td>",
             *(_score_cell(arm.metrics.get(each.name), answers.get((arm.key, each.name)), is_long=True)
               for arm in results.arms)] for each in shown]
    return f"<h2>Benchmarks</h2>{_rows(['Benchmark', *(arm.name for arm in results.arms)], rows)}"


def _losses(results: Results) -> str:
    """Return the table of held-out losses, in nats."""
    names = losses(results)
    if not names:
        return ""
    rows = [[_arm_cell(results, arm), *(f"<td>{score_text(results, arm, name)}</td>" for name in names)]
            for arm in results.arms]
    note = "Cross-entropy over samples that no training draws, for each supervised token: lower is better."
    return f'<h2>Held-out loss</h2>{_rows(["Arm", *names], rows)}<p class="note">{escape(note)}</p>'


def _data(results: Results) -> str:
    """Return the table of the training data of each arm, by stage and source."""
    if not results.data:
        return ""
    names = {arm.key: arm.name for arm in results.arms}
    rows = [[_cell_text(names[each.arm_key]), _cell_text(each.kind), _cell_text(each.source),
             f"<td>{each.asked:,.1f}</td>", f"<td>{each.samples:,.1f}</td>", f"<td>{each.tokens:,.0f}</td>",
             f"<td>{each.supervised:,.0f}</td>", f"<td>{MISSING if each.passes is None else f'{each.passes:.2f}'}</td>",
             f"<td>{each.broken:g}</td>",
             *(f"<td>{MISSING if share is None else f'{100 * share:.0f} %'}</td>"
               for share in (each.filled, each.data_wait))] for each in results.data]
    heads = ["Arm", "Stage", "Source", "requested", "drawn", "tokens", "supervised", "passes", "skipped", "filled",
             "waited"]
    note = ("Means over the arm's trials. Requested: samples by the mixture; drawn: samples trained on; supervised: "
            f"tokens that carry loss; passes: how often the source was read through, {MISSING} if it is unlimited; "
            "skipped: broken samples that others replaced; filled: share of the stage's token positions that are not "
            "padding; waited: share of the stage's time that training waited for its samples (more `loaders` prepare "
            "more of them at once).")
    return f'<h2>Training data</h2>{_rows(heads, rows)}<p class="note">{escape(note)}</p>'


def _published(results: Results) -> str:
    if not results.published or not results.published.scores:
        return ""
    names = sorted({name for scores in results.published.scores.values() for name in scores})
    rows = [[_cell_text(results.arm(key).name), *(f"<td>{_number(scores.get(name))}</td>" for name in names)]
            for key, scores in results.published.scores.items()]
    note = (
        f"{results.published.title}, {results.published.source}. Another model and other data: not on our axes, and "
        "part of no figure above but by its differences."
    )
    return f'<h2>Published numbers</h2>{_rows(["Arm", *map(title, names)], rows)}<p class="note">{escape(note)}</p>'


def _appendix(results: Results) -> str:
    """Return what proves the rest: identities of trials and stages, configuration, the study's file, versions."""
    rows = [[_cell_text(each.trial_key), f"<td>{each.seed}</td>", f"<td>{escape(each.state.lower())}</td>",
             f'<td class="text"><code>{" ".join(escape(stage_id[:12]) for stage_id in each.stage_ids)}</code></td>']
            for each in results.trial_rows]
    trials = _rows(["Trial", "Seed", "State", "Stages (first 12 digits of the identity)"], rows)
    stages = _rows(["Stage", "Kind", "State", "Seconds", "Identity"], [
        [_cell_text(each.label), f"<td>{escape(each.kind)}</td>", f"<td>{escape(each.state.lower())}</td>",
         f"<td>{_number(each.seconds)}</td>", f'<td class="text"><code>{escape(each.stage_id)}</code></td>']
        for each in results.stages])
    withheld = sorted({f"{arm.name}: {name} withheld, {reason}" for arm in results.arms
                       for name, reason in arm.withheld.items()})
    notes = "<ul>" + "".join(f"<li>{escape(each)}</li>" for each in withheld) + "</ul>" if withheld else ""
    study = _details("The study", f"<pre>{escape(dump(results.study.spec['study']))}</pre>")
    computed = "; ".join(provenance.environments(results)) or "nothing yet"
    return (
        f'<section class="appendix"><h2>Appendix</h2>{notes}{study}{_details("Trials", trials)}{_details("Stages", stages)}'
        f"{_configuration(results)}<footer>Specification <code>{escape(results.study.spec_hash)}</code>. Computed with "
        f"{escape(computed)}; report by ablate {escape(provenance.release())}. All intervals are 95 %; statistics are those of "
        "the pooled arm + seed model.</footer></section>"
        '<p class="printed">The appendix (identities, configuration, the study) is in the file of this report.</p>'
    )


def _configuration(results: Results) -> str:
    """Return the resolved configuration of a trial of the baseline, or of the first trial without a baseline."""
    row = next((each for each in results.trial_rows if each.arm_key == results.baseline),
               next(iter(results.trial_rows), None))
    if row is None:
        return ""
    plain = {name: value for name, value in row.config.items() if value is not None}
    return _details(f"Resolved configuration of {row.trial_key} ({row.arm_name})", f"<pre>{escape(dump(plain))}</pre>")


# ---- pieces --------------------------------------------------------------------------------------------------------


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _details(title: str, body: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{body}</details>"


def _rows(heads: Sequence[str], rows: Sequence[Sequence[str]], marked: Sequence[bool] = ()) -> str:
    """Return a table; a heading is aligned like the first cell of its column."""
    is_text = [each.startswith('<td class="text"') for each in rows[0]] if rows else [False] * len(heads)
    head = "".join(f'<th scope="col"{" class=text" if is_left else ""}>{escape(each)}</th>'
                   for each, is_left in zip(heads, is_text, strict=True))
    flags = [*marked, *([False] * (len(rows) - len(marked)))]
    body = "".join(f"<tr{' class=chosen' if flag else ''}>{''.join(row)}</tr>"
                   for row, flag in zip(rows, flags, strict=True))
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell_text(text: str) -> str:
    return f'<td class="text">{escape(text)}</td>'


def _arm_cell(results: Results, arm: ArmResult) -> str:
    tags = [("chosen", arm.key == results.verdict.chosen, ""), ("baseline", arm.is_baseline, " plain"),
            ("tied", results.verdict.kind != "selected" and arm.key in results.verdict.tied, " plain")]
    shown = "".join(f'<span class="tag{style}">{name}</span>' for name, is_on, style in tags if is_on)
    levels = json.dumps(arm.levels, ensure_ascii=False)
    return f'<td title="{escape(levels)}">{escape(arm.name)}{shown}</td>'


def _score_cell(cell: Cell | None, read: Answers | None = None, *, is_long: bool = False) -> str:
    if cell is None:
        return f"<td>{MISSING}</td>"
    width = "n=1" if cell.half_width is None else f"± {cell.half_width:.1f}"
    bold = " class=told" if cell.delta and cell.delta.is_told_apart else ""
    return (f"<td{bold}>{cell.mean:.1f} <small style='display:inline'>{width}</small>"
            f"{_delta(cell.delta, is_long=is_long)}{_unread(read)}</td>")


def _unread(read: Answers | None) -> str:
    return f"<small>{read.num_unparseable} of {read.num_items} unread</small>" if read and read.num_unparseable else ""


def _delta(delta: Delta | None, *, is_long: bool) -> str:
    if delta is None:
        return ""
    half = delta.half_width
    bounds = "" if half is None else f"[{delta.value - half:.1f}, {delta.value + half:.1f}]"
    return f'<small title="{bounds}">{delta.value:+.1f}{" " + bounds if is_long else ""}</small>'


def _tokens(arm: ArmResult) -> str:
    return MISSING if arm.tokens_per_image is None else f"{arm.tokens_per_image:.0f}"


def _trials(results: Results, arm: ArmResult) -> str:
    words = in_words(states_of(results)[arm.key])
    aside = f"<small>{escape(words)}</small>" if words else ""
    return f"{arm.num_scored} of {arm.num_trials}{aside}"


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:.1f}"
