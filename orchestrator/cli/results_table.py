"""Results for the terminal: arms, means ± interval, the difference to the baseline, the verdict.

Columns are ordered by importance (what the rule uses, MMBase, categories). If the terminal is too narrow, the last ones
are left out, and listed below the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator import formatting
from orchestrator.analysis.scores import OUTSIDE
from orchestrator.analysis.table import ArmResult
from orchestrator.cli.console import plain_table
from orchestrator.results.branches import means
from orchestrator.results.results import Results
from orchestrator.results.tables import losses, score_text, unread

_TITLES = {"mmbase": "MMBase", "overall": "all", "tokens_per_image": "tokens/image", "refer_ground": "refer & ground"}
_STYLES = {"selected": "bold green", "tied": "bold yellow", "underpowered": "bold yellow", "infeasible": "bold red"}
_GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column whose cells are text, so that its width is known."""

    title: str
    cells: tuple[str, ...]

    @property
    def width(self) -> int:
        """Its width in terminal cells, without the gap."""
        return max(cell_len(text) for text in (self.title, *self.cells))


def print_results(console: Console, results: Results, *, with_benchmarks: bool = False) -> None:
    """Print everything: table, verdict, claims, shared work, and what the intervals mean."""
    shown, left_out = _fitting(columns(results, with_benchmarks=with_benchmarks), console.width)
    parts: list[RenderableType] = [_table(results, shown)]
    if left_out:
        parts.append(
            Text(f"the terminal is too narrow to show: {', '.join(column.title for column in left_out)}", style="dim")
        )
    parts.append(Text(_legend(results), style="dim"))
    if losses(results):
        parts += [Text(), Text("held-out loss in nats for each supervised token; lower is better", style="dim")]
        parts.append(loss_table(results))
    if results.at_branches:
        parts += [Text(), Text("at branching points, means over seeds; in no average and no verdict", style="dim")]
        parts.append(branch_table(results))
    parts += [Text(), _verdict(results)]
    parts += [_claim(claim.outcome, claim.sentence) for claim in results.claims]
    parts += [Text(line) for line in _search_lines(results)]
    parts += [Text.assemble(("noise:   ", "bold yellow"), f"{results.arm(each.arm).name} {each.sentence}")
              for each in results.noisy]
    parts += [Text.assemble(("unread:  ", "bold yellow"), sentence) for sentence in unread(results)]
    parts += [Text.assemble(("confound: ", "bold yellow"), each.sentence) for each in results.confounds]
    console.print(Group(*parts, Text(_work(results)), *(Text(line) for line in _cost_lines(results))))


def title(metric: str) -> str:
    """Return a metric's readable name."""
    return _TITLES.get(metric, metric if OUTSIDE in metric else metric.replace("_", " "))


def columns(results: Results, *, with_benchmarks: bool) -> list[Column]:
    """Return all columns, the most important first; the first two are the arm and its trials."""
    decisive = sorted(
        (each for each in results.metrics if each.is_decisive), key=lambda each: each.name != _objective(results)
    )
    others = [each for each in results.metrics if not each.is_decisive and each.kind in ("aggregate", "category")]
    others.sort(key=lambda each: (each.name != "mmbase", each.name == "overall"))
    found = [_column("arm", results, lambda arm: _name(results, arm)), _column("trials", results, _count)]
    for metric in [*decisive, *(each for each in results.metrics if each.kind == "outside")]:
        found.append(_score_column(results, metric.name))
        if results.baseline and len(results.arms) > 1:
            written = formatting.loss if metric.kind == "loss" else formatting.score
            delta = partial(_delta, metric=metric.name, written=written)
            found.append(_column("Δ", results, delta))
    found += [_score_column(results, metric.name) for metric in others]
    if len({arm.tokens_per_image for arm in results.arms} - {None}) > 1:
        found.insert(2, _column(title("tokens_per_image"), results, _tokens))
    if len({round(own.tokens) for own in results.seen.values()}) > 1:
        found.append(_column("tokens trained", results, lambda arm: _trained(results, arm)))
    if with_benchmarks:
        found += [_score_column(results, metric.name) for metric in results.metrics
                  if metric.kind == "benchmark" and not metric.is_decisive]
    return found


def _objective(results: Results) -> str:
    return results.objective


def _column(name: str, results: Results, cell: Callable[[ArmResult], str]) -> Column:
    return Column(name, tuple(cell(arm) for arm in results.arms))


def _score_column(results: Results, metric: str) -> Column:
    def cell(arm: ArmResult) -> str:
        return score_text(results, arm, metric)

    return _column(title(metric), results, cell)


def _fitting(wanted: Sequence[Column], width: int) -> tuple[list[Column], list[Column]]:
    used, fitting = 0, 0
    for column in wanted:
        used += column.width + _GAP
        fitting += used <= width + _GAP
    return list(wanted[:max(fitting, 3)]), list(wanted[max(fitting, 3):])


def _table(results: Results, shown: Sequence[Column]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    for i, column in enumerate(shown):
        table.add_column(column.title, justify="left" if i == 0 else "right", no_wrap=i > 0)
    for i, arm in enumerate(results.arms):
        table.add_row(*(column.cells[i] for column in shown), style="bold" if arm.key == results.verdict.chosen else "")
    return table


def _name(results: Results, arm: ArmResult) -> str:
    mark = "▸ " if arm.key == results.verdict.chosen else "  "
    return f"{mark}{arm.name}{' (baseline)' if arm.is_baseline and arm.name != 'baseline' else ''}"


def _tokens(arm: ArmResult) -> str:
    return formatting.MISSING if arm.tokens_per_image is None else f"{arm.tokens_per_image:.0f}"


def _trained(results: Results, arm: ArmResult) -> str:
    return f"{results.seen[arm.key].tokens:,.0f}" if arm.key in results.seen else formatting.MISSING


def _delta(arm: ArmResult, metric: str, written: Callable[..., str]) -> str:
    cell = arm.metrics.get(metric)
    if cell is None or cell.delta is None:
        return ""
    star = " *" if cell.delta.is_told_apart else "  "
    return written(cell.delta.value, cell.delta.half_width, sign=True) + star


def _count(arm: ArmResult) -> str:
    lost = [
        f"{number} {word}" for number, word in ((arm.num_diverged, "diverged"), (arm.num_failed, "failed")) if number
    ]
    return f"{arm.num_scored}/{arm.num_trials}" + (f", {', '.join(lost)}" if lost else "")


def _legend(results: Results) -> str:
    if len(results.seeds) < 2:
        return "n=1: one seed, so no interval."
    delta = " Δ against the baseline, paired by seed; * told apart from it (Holm, 5 %)." if results.baseline else ""
    return f"mean ± 95 % interval over seeds.{delta} {results.seed_note}"


def _verdict(results: Results) -> Text:
    verdict = results.verdict
    return Text.assemble(
        ("verdict: ", "bold"), (verdict.kind, _STYLES.get(verdict.kind, "bold")), f"  {verdict.sentence}"
    )


def _claim(outcome: str, sentence: str) -> Text:
    style = {"supported": "green", "contradicted": "red"}.get(outcome, "yellow")
    return Text.assemble(
        ("claim:   ", "bold"), (outcome, style), f"  {sentence.removeprefix(f'{outcome.capitalize()}: ')}"
    )


def _search_lines(results: Results) -> list[str]:
    found = results.search
    lines = [f"predicted: {each.sentence}" for each in results.predictions]
    if found is None:
        return lines
    if len(found.objectives) > 1:
        goals = ", ".join(f"{way} {title(metric)}" for metric, way in found.objectives)
        names = ", ".join(results.arm(key).name for key in found.pareto) or "none"
        lines.append(f"pareto:   no feasible arm beats these ({goals}): {names}")
    return lines + [
        f"{word}  {why['name']}: {why['reason']}"
        for word, arms in (("stopped:", found.stopped), ("refused:", found.refused))
        for why in arms.values()
    ]


def limit_name(name: str) -> str:
    """Return the readable name of a budget's limit."""
    return name.replace("_", " ")


def _cost_lines(results: Results) -> list[str]:
    """Return expected and actual cost, and the limit."""
    guess, took = results.study.estimate, results.spent
    limit = results.study.spec["study"].get("budget")
    lines = (
        [f"budget:   {', '.join(f'{limit_name(name)} {value:g}' for name, value in limit.items())}"] if limit else []
    )
    if guess:
        gpus = f", {took.gpu_hours:.3g} GPU-hours (expected {guess['gpu_hours']:.3g})" if guess["gpu_hours"] else ""
        disk, size = (formatting.size(each * 1e9) for each in (took.checkpoint_gb, guess["checkpoint_gb"]))
        expected, since = formatting.duration(guess["hours"] * 3600), formatting.duration(guess["wall_s"])
        lines.append(f"cost:     {formatting.duration(took.hours * 3600)} in attempts (expected {expected}), "
                     f"{formatting.duration(took.wall_hours * 3600)} since submission (expected {since}){gpus}, "
                     f"{formatting.flops(took.flops)} (expected {formatting.flops(guess['flops'])}), "
                     f"{disk} of checkpoints (expected {size})")
    return lines


def _work(results: Results) -> str:
    counts, cost = results.counts, results.cost
    elapsed = (
        f"{formatting.duration(cost.elapsed_s)} from submission to the end, " if cost.elapsed_s is not None else ""
    )
    gpus = f", {cost.gpu_hours_saved:.3g} GPU-hours" if cost.gpu_hours_saved else ""
    saved = (
        f"; sharing saved {counts.stages_saved} stages, {formatting.duration(cost.seconds_saved)}{gpus}"
        if counts.stages_saved
        else ""
    )
    imported = f"; {counts.stages_imported} came from a record, without weights" if counts.stages_imported else ""
    return (
        f"work:    {elapsed}{formatting.duration(cost.seconds)} in stages; {counts.stages_requested} stages asked for, "
        f"{counts.stages_unique} unique, {counts.stages_reused} reused from earlier studies{saved}{imported}"
    )


def loss_table(results: Results) -> Table:
    """Return the held-out losses of the arms; lower is better."""
    names = losses(results)
    shown = plain_table("arm", numbers=names)
    for arm in results.arms:
        cells = [arm.metrics.get(name) for name in names]
        shown.add_row(arm.name, *(formatting.loss(cell.mean, cell.half_width) if cell else formatting.MISSING
                                  for cell in cells))
    return shown


def branch_table(results: Results) -> Table:
    """Return what the arms' intermediate checkpoints scored, by training stage and step, and the final scores."""
    shown = plain_table("arm", "benchmark", "step and score")
    for arm in results.arms:
        for benchmark, points in means(results.at_branches, arm.key).items():
            several = len({kind for kind, _ in points}) > 1
            said = {f"{kind} {step}" if several else str(step): value for (kind, step), value in points.items()}
            end = {"end": arm.metrics[benchmark].mean if benchmark in arm.metrics else None}
            written = formatting.loss if benchmark in losses(results) else formatting.score
            texts = (f"{where}: {written(value, None)}" for where, value in (said | end).items())
            shown.add_row(arm.name, benchmark, ", ".join(texts))
    return shown


def data_table(results: Results) -> Table:
    """Return what each arm was trained on, by stage and source: means over its trials."""
    numbers = ("asked", "drawn", "tokens", "supervised", "passes", "broken", "filled", "waited")
    shown = plain_table("arm", "stage", "source", numbers=numbers)
    for each in results.data:
        passes = "" if each.passes is None else f"{each.passes:.2f}"
        shown.add_row(results.arm(each.arm_key).name, each.kind, each.source, f"{each.asked:,.1f}", f"{each.samples:,.1f}",
                      f"{each.tokens:,.0f}", f"{each.supervised:,.0f}", passes, f"{each.broken:g}" if each.broken else "",
                      *("" if share is None else f"{100 * share:.0f} %" for share in (each.filled, each.data_wait)))
    return shown
