"""Open the artifacts that the settings name. A module of its own, because importing an object store takes time."""

from __future__ import annotations

from orchestrator.artifacts.object_store import ObjectStore
from orchestrator.artifacts.owner import part_of
from orchestrator.artifacts.store import Artifacts
from orchestrator.settings import Settings


def whole_store(settings: Settings) -> Artifacts:
    """Return the whole store of these settings, whomever it belongs to: a folder, or a local cache of an object store.

    Raises:
        OrchestratorError: the scheme of the object store is not supported.
    """
    return Artifacts(settings.artifacts, ObjectStore(settings.artifact_store) if settings.artifact_store else None)


def artifacts_of(settings: Settings, ledger_id: str) -> Artifacts:
    """Return the artifacts of a ledger in the store of these settings, to read them.

    Raises:
        OrchestratorError: the scheme of the object store is not supported, or the store does not answer.
    """
    return part_of(whole_store(settings), ledger_id)
