"""The flusher's process: `python -m orchestrator.tracking.__main__`, started and asked by `beside.py`.

- It reads lines: the settings, then on each line the seconds to wait for an empty outbox, and answers each with a
  `Flushed`.
- When its input ends, because the driver leaves or is gone, it ends after the message that it is sending.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from dataclasses import asdict

from orchestrator.failpoints import arm
from orchestrator.ledger.engine import open_existing
from orchestrator.settings import Settings
from orchestrator.tracking.flusher import Flusher

COLLECT_AFTER = 20_000
"""Objects after which the collector looks for cycles: at its usual 700 it takes 6 % of what MLflow's store takes."""


def main() -> None:
    """Send what waits until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is printed is no answer
    settings = Settings(**json.loads(sys.stdin.readline()))
    arm(settings.failpoint)
    gc.freeze()  # MLflow's modules are here to stay
    gc.set_threshold(COLLECT_AFTER)
    engine = open_existing(settings.ledger_url)
    flusher = Flusher(settings, engine)
    flusher.start()
    for line in sys.stdin:
        answers.write(json.dumps(asdict(flusher.flush_all(float(line)))) + "\n")
        answers.flush()
    flusher.stop()
    engine.dispose()


if __name__ == "__main__":
    main()
