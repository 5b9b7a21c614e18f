"""Compare every study with what its paper published: verdicts, scores and claims, as rows and as a page of Markdown. Pure.

The paper's score of an arm stands beside ours as a difference to *its own* baseline: levels differ between scales, and only
differences can agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from orchestrator import formatting
from orchestrator.results.results import Results
from orchestrator.results.titles import title

AGREES, DIFFERS, TIED, UNDECIDED, NO_CHOICE = "agrees", "differs", "tied with it", "undecided", "no choice published"
MISSING = formatting.MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class BesidePaper:
    """One study: its results here, and those of the paper."""

    name: str
    scale: str
    question: str
    rule: str
    verdict: str
    """Kind of the verdict."""
    chosen: str | None
    """Name of the arm that the rule chose here."""
    paper: str | None
    """Name of the arm that the paper chose."""
    agreement: str
    """`agrees`, `differs`, `tied with it`, `undecided`, or `no choice published`."""
    claims: dict[str, int]
    """Outcome -> number of the paper's statements: supported, contradicted, undecided."""
    num_seeds: int
    """Seeds of the arm with the most."""
    num_arms: int
    date: str
    """Day on which the study ended, or was last looked at."""
    hours: float
    """Of all attempts, one after the other."""


def beside_paper(results: Results) -> BesidePaper:
    """Return a study's row."""
    ended = results.study.ended_at or results.study.created_at
    return BesidePaper(
        name=results.study.name, scale=results.study.scale, question=results.question, rule=results.rule,
        verdict=results.verdict.kind, chosen=_name(results, results.verdict.chosen), paper=_name(results, _choice(results)),
        agreement=agreement(results), claims=dict(Counter(each.outcome for each in results.claims)),
        num_seeds=max((arm.num_scored for arm in results.arms), default=0), num_arms=len(results.arms),
        date=f"{datetime.fromtimestamp(ended, UTC):%Y-%m-%d}", hours=results.spent.hours)


def agreement(results: Results) -> str:
    """Say whether the rule chose what the paper chose."""
    paper, verdict = _choice(results), results.verdict
    if paper is None:
        return NO_CHOICE
    if verdict.chosen is None:
        return UNDECIDED
    if verdict.chosen == paper:
        return AGREES if verdict.kind == "selected" else TIED
    return TIED if paper in verdict.tied else DIFFERS


def page(found: Sequence[Results], title: str) -> str:
    """Return a page of Markdown: a row for each study, then each study's table beside the paper's, and its claims."""
    rows = [beside_paper(each) for each in found]
    claims = Counter(claim.outcome for each in found for claim in each.claims)
    told = ", ".join(f"{claims[outcome]} {outcome}" for outcome in ("supported", "contradicted", "undecided"))
    lines = [f"# {title}", "",
             f"{len(rows)} studies, {sum(claims.values())} statements of the paper: {told}. "
             f"All attempts together took {formatting.duration(3600 * sum(row.hours for row in rows))}, one after the other.",
             "", *summary(rows), ""]
    for results, row in zip(found, rows, strict=True):
        lines += [*_study(results, row), ""]
    return "\n".join(lines)


def summary(rows: Sequence[BesidePaper]) -> list[str]:
    """Return the lines of a Markdown table with a row for each study."""
    return [
        "| study | verdict here | the paper's choice | agreement | statements: supported, contradicted, undecided | seeds | scale | date |",
        "|---|---|---|---|---|---|---|---|",
        *(f"| {_cell(row.name)} | {row.verdict}{f': {_cell(row.chosen)}' if row.chosen else ''} | {_cell(row.paper or MISSING)} "
          f"| {row.agreement} | {', '.join(str(row.claims.get(each, 0)) for each in ('supported', 'contradicted', 'undecided'))} "
          f"| {row.num_seeds} | {row.scale} | {row.date} |" for row in rows)]


def _study(results: Results, row: BesidePaper) -> Iterator[str]:
    yield from (f"## {row.name}", "", row.question, "", f"Rule: {row.rule}", "",
                f"Verdict: **{row.verdict}**. {results.verdict.sentence}", "")
    yield from _scores(results)
    yield ""
    yield from (f"- **{each.outcome}**: {each.claim.statement} {each.sentence}" for each in results.claims)
    yield from ("", f"{row.num_arms} arms, {row.num_seeds} seeds, {formatting.duration(3600 * row.hours)} of stages. "
                    f"Again: `ablate run {row.name} --scale {row.scale}`.")


def _scores(results: Results) -> Iterator[str]:
    """Yield the table of arms: the score here, its difference to the baseline with a 95 % interval, and the paper's difference."""
    published = results.published.scores if results.published else {}
    metrics = [metric.name for metric in results.metrics if metric.is_decisive or metric.kind in ("aggregate", "category")]
    metrics = list(dict.fromkeys([results.objective, *metrics]))
    yield f"| arm | {' | '.join(map(title, metrics))} |"
    yield "|---" * (1 + len(metrics)) + "|"
    for arm in results.arms:
        cells = (_difference(results, arm.key, metric, published) for metric in metrics)
        yield f"| {_cell(arm.name)} | {' | '.join(cells)} |"


def _difference(results: Results, arm: str, metric: str, published: dict[str, dict[str, float]]) -> str:
    cell = results.arm(arm).metrics.get(metric)
    if cell is None:
        return MISSING
    text = formatting.score(cell.mean, cell.half_width)
    if cell.delta is not None:
        text += f" ({formatting.score(cell.delta.value, cell.delta.half_width, sign=True)})"
    theirs = published.get(arm, {}).get(metric)
    base = published.get(results.baseline or "", {}).get(metric)
    if theirs is None or base is None or arm == results.baseline:
        return text
    return f"{text}; paper {theirs - base:+.1f}"


def _choice(results: Results) -> str | None:
    return results.published.chosen if results.published else None


def _name(results: Results, key: str | None) -> str | None:
    return results.arm(key).name if key is not None else None


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
