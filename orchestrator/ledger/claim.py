"""Claim the part of the artifact store in which a ledger may write: before a driver works, and before an import."""

from __future__ import annotations

from orchestrator.artifacts.opening import whole_store
from orchestrator.artifacts.owner import claim
from orchestrator.artifacts.store import Artifacts
from orchestrator.ledger.engine import Engine
from orchestrator.ledger.naming import name_ledger
from orchestrator.ledger.summaries import stage_ids
from orchestrator.settings import Settings, redact


def claimed_artifacts(engine: Engine, settings: Settings) -> Artifacts:
    """Return the part of the artifact store in which this ledger may write.

    Raises:
        OrchestratorError: the store cannot be used, or its owner cannot be read.
    """
    where = redact(settings.ledger_url)
    return claim(whole_store(settings), name_ledger(engine), ledger=where, known=stage_ids(engine))
