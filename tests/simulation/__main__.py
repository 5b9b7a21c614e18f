"""Run seeds of the simulated world: `python -m tests.simulation FROM..TO [--record]`; both ends are included.

A seed that is not good is printed with all that is wrong, and `FROM..TO` with that seed alone replays it. `--record`
appends the range to recorded.csv, which must hold each seed once.
"""

import csv
import logging
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from tests.simulation.world import Result, simulate

RECORDED = Path(__file__).with_name("recorded.csv")
FIELDS = ("first", "last", "schedules", "faults", "lost", "twice", "disagreements", "processor_seconds")
BLOCK = 500
"""Seeds of a row of the record: a run that is interrupted keeps the blocks that it finished."""


def seeds_of(text: str) -> range:
    """Return the seeds of `FROM..TO` or of a single number.

    Raises:
        SystemExit: it is neither.
    """
    first, dots, last = text.partition("..")
    if not first.isdigit() or (dots and not last.isdigit()) or int(last or first) < int(first):
        raise SystemExit(f"{text!r}; allowed: FROM..TO, such as 0..999, or one seed")
    return range(int(first), int(last or first) + 1)


def recorded(file: Path = RECORDED) -> list[dict[str, int]]:
    """Return the ranges that were recorded."""
    with file.open() as lines:
        return [{name: int(value) for name, value in row.items()} for row in csv.DictReader(lines)]


def overlapping(seeds: range, rows: Iterable[dict[str, int]]) -> list[dict[str, int]]:
    return [row for row in rows if row["first"] <= seeds[-1] and seeds[0] <= row["last"]]


def summed(seeds: range, results: list[Result], seconds: float) -> dict[str, int]:
    return {"first": seeds[0], "last": seeds[-1], "schedules": len(results), "faults": sum(each.faults for each in results),
            "lost": sum(each.lost for each in results), "twice": sum(each.twice for each in results),
            "disagreements": sum(len(each.disagreements) for each in results), "processor_seconds": round(seconds)}


def main(words: list[str]) -> int:
    logging.disable(logging.ERROR)  # a driver that waits for a database says so a thousand times
    is_recorded, texts = "--record" in words, [word for word in words if word != "--record"]
    seeds = seeds_of(texts[0] if texts else "0..99")
    if is_recorded and overlapping(seeds, recorded()):
        raise SystemExit(f"{overlapping(seeds, recorded())} is recorded already; allowed: seeds that are not")
    blocks = [seeds[start:start + BLOCK] for start in range(0, len(seeds), BLOCK)]
    return int(not all([run_block(block, is_recorded=is_recorded) for block in blocks]))


def run_block(seeds: range, *, is_recorded: bool) -> bool:
    """Run a range, print what it came to, and record it; True if all its seeds are good."""
    began, results = time.process_time(), []
    for seed in seeds:
        results.append(simulate(seed))
        if not results[-1].is_good:
            print(f"seed {seed} is not good: {results[-1]}", flush=True)
    seconds = time.process_time() - began
    row = summed(seeds, results, seconds)
    per_hour = 3600 * len(results) / max(seconds, 1e-9)
    print(", ".join(f"{name} {value}" for name, value in row.items()) + f"; {per_hour:.0f} schedules an hour of one core", flush=True)
    if is_recorded:
        with RECORDED.open("a") as lines:
            csv.DictWriter(lines, FIELDS, lineterminator="\n").writerow(row)
    return all(each.is_good for each in results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
