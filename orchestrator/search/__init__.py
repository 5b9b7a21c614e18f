"""Propose the next arm of a search: the only door to Optuna."""

from orchestrator.search.proposals import (
    ObservedTrial,
    constraints,
    needs_torch,
    observe,
    propose,
    propose_from,
    violations,
)

__all__ = ["ObservedTrial", "constraints", "needs_torch", "observe", "propose", "propose_from", "violations"]
