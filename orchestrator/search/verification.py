"""Write the study that verifies a surrogate's proposal: the baseline, the best arm so far, and the proposal. Pure.

- Recipe, settings, seeds and evaluation are those of the source study, so its finished stages are reused and only the
  proposal is trained.
- The predicted value and the surrogate's correlation are written into the study, and shown beside the measured value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model.config.fields import to_plain
from model.data.mixture import mixture_of
from orchestrator.search.surrogate import Proposal

BASELINE, BEST, PROPOSAL = "baseline", "best so far", "proposal"
_KEPT = ("recipe", "set", "seeds", "seed_from", "evaluate", "effect")
_DIGITS = 6


def verifying_study(source: Mapping[str, Any], proposal: Proposal, *, kind: str, metric: str, num_arms: int,
                    arms: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the values of the study's file.

    Args:
        source: the values of the study whose arms the surrogate was fitted to.
        proposal: the surrogate's proposal.
        kind: the training stage to which the mixture belongs.
        metric: the metric that was predicted.
        num_arms: how many arms the surrogate was fitted to.
        arms: the arms to compare with: name -> levels.
    """
    name, rule = source["name"], source.get("select", {})
    changes = {f"{kind}.mixture": mixture_levels(proposal.shares, kind)}
    select: dict[str, Any] = {
        "maximize": rule.get("maximize", metric),
        **({"baseline": BASELINE} if BASELINE in arms else {}),
    }
    if rule.get("subject_to") and BASELINE in arms:
        select["subject_to"] = rule["subject_to"]
    return {
        "name": f"{name[:54]}-proposal",
        "question": f"Is the mixture that a {proposal.form} surrogate proposes as good as it predicts?",
        "source": f"proposed from {num_arms} arms of {name}",
        **{field: source[field] for field in _KEPT if field in source},
        "arms": {**{each: dict(levels) for each, levels in arms.items()}, PROPOSAL: changes},
        "select": select,
        "predictions": {PROPOSAL: {"metric": metric, "predicted": float(proposal.predicted), "form": proposal.form,
                                   "correlation": float(proposal.correlation), "num_arms": num_arms, "source": name}},
    }


def mixture_levels(shares: Mapping[str, float], kind: str) -> dict[str, Any]:
    """Return the fields of a stage's mixture that give these shares.

    Raises:
        ValueError: no mixture can be written for them.
    """
    total = sum(shares.values())
    whole = {name: share / total for name, share in shares.items() if share > 0}
    if kind == "sft":
        found = to_plain(mixture_of(whole))
        return {
            part: {name: value for name, value in found[part].items() if value is not None}
            for part in ("alpha", "weights")
        }
    largest = max(whole, key=lambda name: whole[name])
    rounded = {name: round(share, _DIGITS) for name, share in whole.items()}
    rounded[largest] = round(1 - sum(share for name, share in rounded.items() if name != largest), _DIGITS)
    return {name: rounded.get(name, 0.0) for name in shares}
