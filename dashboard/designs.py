"""What designs look like: grids of tiles and mixtures of three parts in the plane, a campaign as a graph. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.charts.heat import HeatCell
from dashboard.charts.mixture import Blend
from orchestrator.analysis.table import ArmResult
from orchestrator.results.results import Results

Grid = tuple[int, int]
"""n_min and n_max."""
MIXTURES = {"sft": ("single", "multi", "text"), "pretrain": ("caption", "interleaved", "text"),
            "continual": ("ocr", "recap", "sharegpt4v")}
"""Stage -> the three parts of its mixture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gridded:
    """An arm with the grids that it trains and answers with."""

    arm: ArmResult
    train: Grid
    infer: Grid
    model: str
    """What else the arm changes, such as a larger model; "" if nothing."""


def gridded(results: Results) -> list[Gridded]:
    """Return the arms that split images into grids; the others have no place in the plane."""
    configs = configs_of(results)
    found = []
    for arm in results.arms:
        config = configs.get(arm.key, {})
        train, infer = (_grid(config.get(kind)) for kind in ("sft", "evaluate"))
        if train and infer:
            rest = {
                path: value for path, value in arm.levels.items()
                if not path.endswith(("images.grid", ".n_min", ".n_max", "images.mode"))
            }
            model = ", ".join(f"{path.rsplit('.', 1)[-1]} {value}" for path, value in rest.items())
            found.append(Gridded(arm=arm, train=train, infer=infer, model=model))
    return found if len({(each.train, each.infer) for each in found}) > 1 else []


def configs_of(results: Results) -> dict[str, Mapping[str, Any]]:
    """Return arm key -> resolved configuration of its first trial."""
    configs: dict[str, Mapping[str, Any]] = {}
    for row in results.trial_rows:
        configs.setdefault(row.arm_key, row.config)
    return configs


def _grid(stage: Mapping[str, Any] | None) -> Grid | None:
    images = (stage or {}).get("images", {})
    return (images["n_min"], images["n_max"]) if images.get("mode") == "dynamic" else None


def facets(found: Sequence[Gridded]) -> dict[str, dict[Grid, list[Gridded]]]:
    """Return title -> grid -> arms: grids trained and used alike, then other grids at inference for each model."""
    shown: dict[str, dict[Grid, list[Gridded]]] = {}
    for each in found:
        model = f", {each.model}" if each.model else ""
        if each.train == each.infer:
            shown.setdefault(f"trained with the grid{model}", {}).setdefault(each.train, []).append(each)
        else:
            name = f"inference alone, trained with {each.train[0]} to {each.train[1]} tiles{model}"
            shown.setdefault(name, {}).setdefault(each.infer, []).append(each)
    return shown


def grid_cells(
    facet: Mapping[Grid, Sequence[Gridded]], metric: str
) -> tuple[list[list[HeatCell]], list[str], list[str]]:
    """Return cells, rows (n_min) and columns (n_max) of one facet."""
    lows, highs = sorted({grid[0] for grid in facet}), sorted({grid[1] for grid in facet})
    cells = [[_grid_cell(facet.get((low, high), ()), metric) for high in highs] for low in lows]
    return cells, [f"n_min {low}" for low in lows], [f"n_max {high}" for high in highs]


def _grid_cell(arms: Sequence[Gridded], metric: str) -> HeatCell:
    if not arms:
        return HeatCell(colour=None, text="–", hover="not in the study")
    arm = arms[0].arm
    cell = arm.metrics.get(metric)
    if cell is None:
        return HeatCell(
            colour=None, text="no score", hover=f"{arm.name}\n{arm.num_scored} of {arm.num_trials} trials scored"
        )
    delta = cell.delta
    half = "" if delta is None or delta.half_width is None else f" ± {delta.half_width:.1f}"
    change = "baseline" if arm.is_baseline else f"{delta.value:+.1f}{half}" if delta else "–"
    text = f"{change}\n{cell.mean:.1f}, n={cell.n}" + (" ✓" if delta and delta.is_told_apart else "")
    return HeatCell(
        colour=delta.value if delta else 0.0 if arm.is_baseline else None, text=text, hover=f"{arm.name}\n{text}"
    )


def blends(results: Results, metric: str) -> tuple[tuple[str, str, str], list[Blend]] | None:
    """Return the parts of the mixture that the study varies, and each arm's shares; None if it varies none."""
    configs = configs_of(results)
    for stage, parts in MIXTURES.items():
        shares = {key: _shares((config.get(stage) or {}).get("mixture", {}), parts) for key, config in configs.items()}
        known = {key: own for key, own in shares.items() if own is not None}
        if len(set(known.values())) > 1:
            return parts, [_blend(results, arm, known[arm.key], metric) for arm in results.arms if arm.key in known]
    return None


def _shares(mixture: Mapping[str, Any], parts: tuple[str, str, str]) -> tuple[float, float, float] | None:
    """Return the shares of the parts; an empty first part is the rest."""
    own = mixture.get("weights", mixture)
    second, third = (float(own.get(part) or 0.0) for part in parts[1:])
    first = own.get(parts[0])
    first = 1 - second - third if first is None and parts[0] in own else float(first or 0.0)
    total = first + second + third
    return (first / total, second / total, third / total) if total > 0 else None


def _blend(results: Results, arm: ArmResult, shares: tuple[float, float, float], metric: str) -> Blend:
    cell = arm.metrics.get(metric)
    return Blend(name=arm.name, shares=shares, score=cell.mean if cell else None, n=cell.n if cell else 0,
                 is_chosen=arm.key == results.verdict.chosen, is_baseline=arm.is_baseline)


def nearest(required: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """Return study -> the studies that it takes values from, without those that one of the others takes values from too.

    Args:
        required: study -> all studies that it takes values from, in an order in which each follows its own.
    """
    before: dict[str, set[str]] = {}
    for name, own in required.items():
        before[name] = {*own, *(far for other in own for far in before.get(other, ()))}
    return {name: [other for other in own if not any(other in before.get(each, ()) for each in own)]
            for name, own in required.items()}
