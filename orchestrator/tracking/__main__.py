"""The flusher's process: `python -m orchestrator.tracking.__main__`, started by `flusher_process.py`.

- Standard input has the settings on its first line. Each further line is a number of seconds to wait until the outbox
  is empty; the answer is a `Flushed` as JSON.
- When standard input ends, because the driver exits or is gone, the process ends after the message that it is sending.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from dataclasses import asdict

from orchestrator.failpoints import arm
from orchestrator.ledger.engine import open_ledger
from orchestrator.settings import Settings
from orchestrator.tracking.flusher import Flusher

COLLECT_AFTER = 20_000
"""Allocations after which the garbage collector runs. At the default of 700 it takes 6 % of the time of MLflow's store.
"""


def main() -> None:
    """Send the outbox until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # keep other prints out of the answers
    settings = Settings(**json.loads(sys.stdin.readline()))
    arm(settings.failpoint)
    gc.freeze()  # MLflow's modules are never collected: do not scan them
    gc.set_threshold(COLLECT_AFTER)
    engine = open_ledger(settings.ledger_url)
    flusher = Flusher(settings, engine)
    flusher.start()
    for line in sys.stdin:
        answers.write(json.dumps(asdict(flusher.flush_all(float(line)))) + "\n")
        answers.flush()
    flusher.stop()
    engine.dispose()


if __name__ == "__main__":
    main()
