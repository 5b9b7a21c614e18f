"""A real driver over a toy study in a ledger, in a process of its own: what a page shows while it works, and when it is killed.

Its stages are arithmetic and are executed in the driver's process; the arm `science=1` waits in training until the gate opens.
"""

import sys
from pathlib import Path

from orchestrator.driver.loop import drive
from orchestrator.execution.executor import InlineExecutor
from orchestrator.ledger.engine import open_ledger
from orchestrator.ledger.submit import submit
from tests.support.toy import toy_execute, toy_plan, toy_settings

LEASE_S = 4.0


def main(home: Path, name: str) -> None:
    settings = toy_settings(home, lease_ttl_s=LEASE_S)
    plan = toy_plan(name=name, levels=(0, 1), seeds=1, benchmarks=("science-names", "scene-qa"), trouble={1: "gate"})
    study_id = submit(open_ledger(settings.ledger_url), plan)
    drive(settings, until=study_id, executor=lambda _: InlineExecutor(toy_execute))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
