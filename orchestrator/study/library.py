"""Find studies, recipes, scales and published results by name or by file.

- The library is `studies/` beside this package. Kinds have folders (recipes, scales, published, campaigns); studies are
  everywhere else in it.
- A document's `name` is its file's name, so that looking up one name reads one file.
"""

from __future__ import annotations

from pathlib import Path

from model.config.fields import did_you_mean
from orchestrator.errors import StudyError
from orchestrator.study.strict_yaml import ParsedYaml, load

ROOT = Path(__file__).resolve().parents[2] / "studies"
_FOLDERS = {"recipe": "recipes", "scale": "scales", "published": "published", "campaign": "campaigns"}
_NOT_STUDIES = {*_FOLDERS.values(), "results"}


def names(kind: str) -> dict[str, Path]:
    """Return name -> file of all documents of a kind, sorted by file."""
    if kind in _FOLDERS:
        return {path.stem: path for path in sorted((ROOT / _FOLDERS[kind]).glob("*.yaml"))}
    files = (path for path in sorted(ROOT.rglob("*.yaml")))
    return {path.stem: path for path in files if path.relative_to(ROOT).parts[0] not in _NOT_STUDIES}


def find(kind: str, name_or_path: str | Path) -> ParsedYaml:
    """Read the document of that name, or the file if a path is given.

    Raises:
        StudyError: nothing has that name (the hint names the nearest), the file is unreadable or of another name.
    """
    text = str(name_or_path)
    if text.endswith((".yaml", ".yml")) or "/" in text:
        return load(_shown(Path(text)))
    known = names(kind)
    if text not in known:
        raise StudyError(text, 0, f"no {kind} has this name", did_you_mean(text, known))
    document = load(_shown(known[text]))
    if document.values.get("name") != text:
        raise document.error(("name",), f"{document.values.get('name')!r} differs from the file's name {text!r}")
    return document


def _shown(path: Path) -> Path:
    """Return the path as a person would type it."""
    absolute, here = path.absolute(), Path.cwd()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else path
