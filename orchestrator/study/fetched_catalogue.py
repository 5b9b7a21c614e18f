"""Enter fetched data into the operator's catalogue, if no person wrote it; otherwise say which lines to add."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from orchestrator.study.strict_yaml import dump, load

OURS = (
    "# Written by `ablate data fetch`. Delete this line to keep the file as it is; the command then prints what to add."
)
"""First line of a catalogue that the command may rewrite."""


def empty(host: str) -> dict[str, Any]:
    """Return a catalogue without data, which may open files of this hub."""
    return {
        "kind": "catalogue",
        "name": "fetched",
        "remote": {"schemes": ["https"], "hosts": [host]},
        "datasets": {},
        "benchmarks": {},
    }


def enter(file: Path, added: dict[str, Any]) -> str:
    """Add data sets and benchmarks to a catalogue that does not exist or that this module wrote.

    Args:
        file: the catalogue.
        added: `remote`, `datasets` and `benchmarks`, as in a catalogue.

    Returns:
        The lines for a person to add; empty if they were written.

    Raises:
        StudyError: the file is no YAML.
    """
    if file.exists() and not file.read_text(encoding="utf-8-sig").startswith(OURS):
        return dump({name: value for name, value in added.items() if value and name not in ("kind", "name")})
    merged = _merged(load(file).values, added) if file.exists() else added
    file.parent.mkdir(parents=True, exist_ok=True)
    written = file.with_name(f".{file.name}.new")
    written.write_text(f"{OURS}\n{dump(merged)}", encoding="utf-8")
    os.replace(written, file)
    return ""


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return both mappings in one, at every depth; values of the new one replace those of the old, lists are joined."""
    merged = dict(old)
    for name, value in new.items():
        before = merged.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            merged[name] = _merged(before, value)
        elif isinstance(value, list) and isinstance(before, list):
            merged[name] = [*before, *(each for each in value if each not in before)]
        else:
            merged[name] = value
    return merged
