"""Open the artifacts that the settings name. A module of its own, because importing an object store takes time."""

from __future__ import annotations

from orchestrator.artifacts.object_store import ObjectStore
from orchestrator.artifacts.store import Artifacts
from orchestrator.settings import Settings


def artifacts_of(settings: Settings) -> Artifacts:
    """Return the artifacts of these settings: a folder, or a local cache of an object store.

    Raises:
        OrchestratorError: the scheme of the object store is not supported.
    """
    return Artifacts(settings.artifacts, ObjectStore(settings.artifact_store) if settings.artifact_store else None)
