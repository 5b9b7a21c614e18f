"""Who computed and who wrote: versions, commit, and times, for the head of a report."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from orchestrator.results.results import Results

ROOT = Path(__file__).resolve().parents[2]
_HASH = re.compile(r"[0-9a-f]{40}")


def release() -> str:
    """Return the version of this program and, in a clone, its commit: `0.1.0 (ec6fb2f)`."""
    commit = commit_of(ROOT)
    try:
        number = version("ablate")
    except PackageNotFoundError:
        number = "unreleased"
    return f"{number} ({commit[:7]})" if commit else number


def commit_of(folder: Path) -> str:
    """Return the commit that a clone has checked out; "" where there is no clone. Git itself is not asked."""
    git = folder / ".git"
    if not (git / "HEAD").is_file():
        return ""
    head = (git / "HEAD").read_text(encoding="utf-8").strip()
    name = head.removeprefix("ref: ")
    if name == head:
        return head if _HASH.fullmatch(head) else ""
    if (git / name).is_file():
        return (git / name).read_text(encoding="utf-8").strip()
    packed = (git / "packed-refs").read_text(encoding="utf-8") if (git / "packed-refs").is_file() else ""
    return next((line.split()[0] for line in packed.splitlines() if line.endswith(f" {name}")), "")


def day(seconds: float) -> str:
    """Format a time, in seconds since 1970, as a date in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


def environments(results: Results) -> list[str]:
    """Return with what the stages were computed, the most frequent first: `ablate 0.1.0, torch 2.13.0 on cpu`."""
    counted: Counter[str] = Counter()
    for stage in results.stages:
        found = (stage.result or {}).get("environment") or {}
        names = [f"{name} {found[name]}" for name in ("ablate", "torch") if name in found]
        if names:
            counted[f"{', '.join(names)} on {found.get('device', 'an unknown device')}"] += 1
    return [name for name, _ in counted.most_common()]
