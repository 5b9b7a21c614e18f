"""Find studies, recipes, scales, published results and campaigns by name or by file.

- The library is the folder `studies/` beside this package and the operator's own folder (ABLATE_LIBRARY), laid out
  alike. Recipes, scales, published results and campaigns have a folder each; all other folders hold studies.
- A document's `name` equals the name of its file, so that only one file is read to look up a name. Two documents of one
  kind and name are an error.
"""

from __future__ import annotations

from pathlib import Path

from model.config.fields import did_you_mean
from orchestrator.errors import StudyError
from orchestrator.settings import Settings
from orchestrator.study.strict_yaml import ParsedYaml, load

ROOT = Path(__file__).resolve().parents[2] / "studies"
_FOLDERS = {"recipe": "recipes", "scale": "scales", "published": "published", "campaign": "campaigns"}
_NOT_STUDIES = {*_FOLDERS.values(), "catalogues", "results"}


def names(kind: str) -> dict[str, Path]:
    """Return name -> file of all documents of a kind, sorted by file, the operator's own last.

    Args:
        kind: study, recipe, scale, published or campaign.

    Raises:
        StudyError: two documents have one name, or the operator's folder is not there.
    """
    found: dict[str, Path] = {}
    for root in _roots():
        for path in _documents(root, kind):
            if path.stem in found:
                raise StudyError(
                    str(path),
                    0,
                    f"{path.stem!r} is also the {kind} {found[path.stem]}; allowed: each name once",
                    "rename the file and its `name`",
                )
            found[path.stem] = path
    return found


def find(kind: str, name_or_path: str | Path) -> ParsedYaml:
    """Read a document by its name in the library, or by the path of its file.

    Raises:
        StudyError: no document has this name (the hint names the most similar ones), the file cannot be read, or its
            `name` differs from the name of the file.
    """
    text = str(name_or_path)
    if is_path(text):
        return load(_shown(Path(text)))
    known = names(kind)
    if text not in known:
        raise StudyError(text, 0, f"no {kind} has this name", did_you_mean(text, known))
    document = load(_shown(known[text]))
    if document.values.get("name") != text:
        raise document.error(("name",), f"{document.values.get('name')!r} differs from the file's name {text!r}")
    return document


def results_folder(scale: str, name: str) -> Path:
    """Return the folder of a study's committed record of results, whether it exists or not."""
    return ROOT / "results" / scale / name


def result_folders() -> list[Path]:
    """Return the folders of all committed records, of the operator's own folder too, sorted."""
    return [path.parent for root in _roots() for path in sorted(root.glob("results/*/*/manifest.json"))]


def is_file(name_or_path: str) -> bool:
    """Whether this names a file rather than a document of the library."""
    return name_or_path.endswith((".yaml", ".yml")) or "/" in name_or_path


def _roots() -> list[Path]:
    own = Settings.load().library
    if own is not None and not own.is_dir():
        raise StudyError(str(own), 0, "no such folder; allowed: a folder of studies", "ABLATE_LIBRARY names it")
    return [ROOT] if own is None else [ROOT, own.absolute()]


def _documents(root: Path, kind: str) -> list[Path]:
    if kind in _FOLDERS:
        return sorted((root / _FOLDERS[kind]).glob("*.yaml"))
    return [path for path in sorted(root.rglob("*.yaml")) if path.relative_to(root).parts[0] not in _NOT_STUDIES]


def is_path(name_or_path: str) -> bool:
    """Say whether a text is meant as a file, not as a name."""
    return name_or_path.endswith((".yaml", ".yml")) or "/" in name_or_path


def _shown(path: Path) -> Path:
    """Return the path as a person would type it: relative, if it is below the working directory."""
    absolute, here = path.absolute(), Path.cwd()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else path
