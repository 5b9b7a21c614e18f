"""Open the artifact store that the settings name."""

from __future__ import annotations

from orchestrator.artifacts.object_store import ObjectStore
from orchestrator.artifacts.store import Artifacts
from orchestrator.settings import Settings


def artifacts_of(settings: Settings) -> Artifacts:
    """Return the artifacts of these settings: a folder, or a cache of an object store.

    Raises:
        OrchestratorError: the store's scheme is not known.
    """
    return Artifacts(settings.artifacts, ObjectStore(settings.artifact_store) if settings.artifact_store else None)
