"""How long a warm slot waits between two stages: real Ray, stages that do nothing, the ledger written; prints JSON.

From the end of an attempt (its result is on disk) to the first report of the next one in the same process. A program of its own.
"""

import json
import statistics
import sys
import tempfile
from pathlib import Path

from orchestrator.driver.loop import Exit, drive
from orchestrator.execution.ray.executor import RayExecutor
from orchestrator.ledger.engine import open_ledger
from orchestrator.ledger.submit import submit
from tests.support.toy import toy_execute, toy_plan, toy_settings

SLOTS = 2


def main(trials: int) -> None:
    """Drive a study of independent trials, and read from what the attempts left how long each slot stood idle."""
    with tempfile.TemporaryDirectory() as folder:
        settings = toy_settings(Path(folder), slots=SLOTS)
        settings.artifacts.mkdir(parents=True)
        study_id = submit(open_ledger(settings.ledger_url), toy_plan(levels=range(trials), seeds=1, benchmarks=("a",)))
        assert drive(settings, until=study_id, executor=lambda given: RayExecutor(given, execute=toy_execute)) is Exit.FINISHED
        idle = [gap for spans in by_process(settings.artifacts).values() for gap in gaps(sorted(spans))]
    print(json.dumps({"gaps": len(idle), "median_s": statistics.median(idle), "p95_s": statistics.quantiles(idle, n=20)[-1]}))


def by_process(artifacts: Path) -> dict[int, list[tuple[float, float]]]:
    """Return for each worker process when its attempts began and ended."""
    found: dict[int, list[tuple[float, float]]] = {}
    for result in artifacts.glob("stages/*/*/attempts/*/result.json"):
        first = json.loads((result.parent / "progress.jsonl").read_text().splitlines()[0])
        found.setdefault(json.loads(result.read_text())["pid"], []).append((first["at"], result.stat().st_mtime))
    return found


def gaps(spans: list[tuple[float, float]]) -> list[float]:
    """Return the seconds between the end of each attempt and the start of the next."""
    return [start - end for (_, end), (start, _) in zip(spans, spans[1:], strict=False)]


if __name__ == "__main__":
    main(int(sys.argv[1]))
