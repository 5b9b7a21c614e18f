"""A study is named by its file or by its name; the ledger knows only names and ids."""

from __future__ import annotations

from orchestrator.study.study import load_study


def study_name(name_or_path: str) -> str:
    """Return the name under which the ledger keeps a study: of a file its `name`, else what was given."""
    is_path = name_or_path.endswith((".yaml", ".yml")) or "/" in name_or_path
    return load_study(name_or_path).name if is_path else name_or_path
