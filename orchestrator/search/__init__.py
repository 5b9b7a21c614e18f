"""Search: propose the next arm, stop arms early, add seeds. No other package imports Optuna."""

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
