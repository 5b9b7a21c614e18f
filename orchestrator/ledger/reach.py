"""Open a ledger for a person: what the database says becomes one line that can be acted upon."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.errors import OrchestratorError
from orchestrator.ledger.engine import open_ledger

__all__ = ["Engine", "has_ledger", "reach"]


def reach(url: str) -> Engine:
    """Open the ledger, as `open_ledger` does.

    Raises:
        OrchestratorError: it cannot be opened: where (without password), and the database's own reason.
    """
    try:
        return open_ledger(url)
    except (SQLAlchemyError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise OrchestratorError(f"ledger {_shown(url)}: cannot be opened: {reason}\n"
                                "hint: see ABLATE_HOME and ABLATE_LEDGER_URL; `ablate doctor` checks them") from error


def has_ledger(url: str) -> bool:
    """Say whether there is a ledger to open; a server is taken to have one."""
    parsed = make_url(url)
    return parsed.get_backend_name() != "sqlite" or Path(parsed.database or "").is_file()


def _shown(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return "(unreadable URL)"
