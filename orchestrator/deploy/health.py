"""Whether a service is well, asked cheaply: each check returns what is wrong, "" if nothing is."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from pathlib import Path

from orchestrator.errors import OrchestratorError
from orchestrator.ledger.engine import open_for_reading

ANSWER_S = 5.0
OLDEST_S = 60.0
"""A health file is written every five seconds; a busy machine may be late with it."""
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answers(url: str) -> str:
    """Ask a service by HTTP."""
    try:
        with _OPENER.open(url, timeout=ANSWER_S) as reply:
            return "" if reply.status == 200 else f"{url} answers {reply.status}"
    except (urllib.error.URLError, OSError) as error:
        return f"{url}: {getattr(error, 'reason', None) or error}"


def is_fresh(file: Path) -> str:
    """Look when a service last wrote that it is well."""
    try:
        age_s = time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return "it has not begun to work"
    return "" if age_s <= OLDEST_S else f"it was last at work {age_s:.0f} s ago"


def serves_ledger(url: str) -> str:
    """Ask the database, as a client does."""
    try:
        open_for_reading(url).dispose()
    except OrchestratorError as error:
        return str(error).splitlines()[0]
    return ""
