"""Plan, schedule, execute, record and analyse ablation studies; only the workers' processes import torch.

`import orchestrator` is what a notebook begins with: `open_home()` gives a `Home`, which plans and submits studies and
reads their results as pandas frames. The names are imported on first use, so that the import itself costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.home import Home as Home
    from orchestrator.home import StudyResults as StudyResults
    from orchestrator.home import open_home as open_home

__all__ = ["Home", "StudyResults", "open_home"]


def __getattr__(name: str) -> Any:
    # Imported on first use (PEP 562): every module of the package imports it first, and must not wait for pandas or the ledger.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from orchestrator import home
    return getattr(home, name)
