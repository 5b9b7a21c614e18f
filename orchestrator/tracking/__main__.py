"""The flusher's process: `python -m orchestrator.tracking.__main__`, started by `flusher_process.py`.

- Standard input has the settings on its first line. Each further line is a number of seconds to wait until the outbox
  is empty; the answer is a `Flushed` as JSON.
- The process has one thread. Before each subject it looks for input, so a request interrupts the sending of a long
  outbox. When the input ends, because the driver exits or is gone, the process ends after the subject it is sending.
"""

from __future__ import annotations

import gc
import json
import os
import select
import time
from dataclasses import asdict
from io import FileIO

from orchestrator.failpoints import arm
from orchestrator.ledger.engine import open_existing
from orchestrator.settings import Settings
from orchestrator.tracking.flusher import Flusher

COLLECT_AFTER = 20_000
"""Allocations after which the garbage collector runs. At the default of 700 it takes 6 % of the time of MLflow's store.
"""


def main() -> None:
    """Send the outbox until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # keep other prints out of the answers
    # Unbuffered: `select` does not see a line that is already in a buffer of this process.
    requests = FileIO(0, closefd=False)
    settings = Settings(**json.loads(requests.readline()))
    arm(settings.failpoint)
    gc.freeze()  # MLflow's modules are never collected: do not scan them
    gc.set_threshold(COLLECT_AFTER)
    engine = open_existing(settings.ledger_url)
    flusher = Flusher(settings, engine, lambda: _is_readable(requests, 0.0))
    while True:
        if not _is_readable(requests, flusher.next_at - time.monotonic()):
            flusher.turn()
        elif line := requests.readline():
            answers.write(json.dumps(asdict(flusher.flush_all(float(line)))) + "\n")
            answers.flush()
        else:
            break
    engine.dispose()


def _is_readable(requests: FileIO, timeout_s: float) -> bool:
    """Wait for a request, at most so long. Return whether there is one, or the input has ended."""
    return bool(select.select([requests], [], [], max(0.0, timeout_s))[0])


if __name__ == "__main__":
    main()
