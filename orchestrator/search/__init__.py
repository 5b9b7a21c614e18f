"""Propose the next arm of a search: the only door to Optuna."""

from orchestrator.search.proposals import Observed, needs_torch, objectives, observe, propose, propose_from

__all__ = ["Observed", "needs_torch", "objectives", "observe", "propose", "propose_from"]
