"""Tables of what the stored answers add to a study's results, for the terminal."""

from __future__ import annotations

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from orchestrator import formatting
from orchestrator.analysis.crossed import Advice
from orchestrator.analysis.statistics import Difference
from orchestrator.cli.console import plain_table
from orchestrator.results.item_statistics import ItemResults
from orchestrator.results.results import Results


def print_items(console: Console, results: Results, items: ItemResults) -> None:
    """Print both intervals of each difference, what to add next, and the verdict for the population of items."""
    lines = [Text(f"{name}: its answers are left out: {why}", style="dim") for name, why in items.left_out.items()]
    if items.verdict:
        rule = "decides" if items.decides else "does not decide, by the study's rule (select.items)"
        verdict = f"{items.verdict.kind}  {items.verdict.sentence}"
        lines.append(Text.assemble(("population of items: ", "bold"), verdict))
        reach = f"{items.num_pictures} pictures: the interval for the population of items {rule}"
        lines.append(Text(reach, style="dim"))
    console.print(Group(Text(), _differences(results, items), Text(), _components(items), *lines))


def _differences(results: Results, items: ItemResults) -> Table:
    table = plain_table(f"{items.metric}, against the baseline", numbers=("these items", "population of items", "to add next"))
    for each in items.arms:
        table.add_row(results.arm(each.arm_key).name, _interval(each.these), _interval(each.population),
                      advised(each.advice))
    return table


def _interval(difference: Difference | None) -> str:
    if difference is None:
        return formatting.MISSING
    return formatting.score(difference.value, difference.half_width, sign=True)


def advised(advice: Advice | None) -> str:
    """Return what to add, as the total number that is needed; another way that suffices is in parentheses."""
    if advice is None:
        return formatting.MISSING
    ways = {"seeds": advice.seeds and f"{advice.seeds} seeds",
            "pictures": advice.pictures and f"{advice.pictures} pictures"}
    if advice.add not in ways:
        return "nothing" if advice.add == "nothing" else "seeds and pictures"
    others = [way for name, way in ways.items() if way and name != advice.add]
    return f"{ways[advice.add]}{f' (or {others[0]})' if others else ''}"


def _components(items: ItemResults) -> Table:
    table = plain_table("deviation of a picture's score, in points", numbers=("seed", "item", "arm x item", "rest"))
    for name, each in items.components.items():
        variances = (each.seed, each.item, each.arm_item, each.rest)
        table.add_row(name, *(f"{variance ** 0.5:.1f}" for variance in variances))
    return table
