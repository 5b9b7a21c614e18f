"""The folder of a Ray session: where its sockets and logs lie. Ray itself is not imported here."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from orchestrator.errors import OrchestratorError
from orchestrator.settings import temporary_folders

_LONGEST_BASE = 27
"""Bytes of the path below which a cluster's folder is made: Ray adds some 80 for its session and sockets, of 107 that
there are."""


def short_folder() -> Path:
    """Make a folder whose path is short enough for sockets below it.

    Raises:
        OrchestratorError: none of the usual places is short and can be written to.
    """
    for base in temporary_folders():
        if len(os.fsencode(base)) <= _LONGEST_BASE:
            with suppress(OSError):
                return Path(tempfile.mkdtemp(prefix="ablate-", dir=base))
    raise OrchestratorError(f"Ray: no temporary folder can be used; tried: {', '.join(map(str, temporary_folders()))}\n"
                            f"hint: let TMPDIR name one that you may write to, of at most {_LONGEST_BASE} characters")
