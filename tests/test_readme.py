"""README tells the truth: its tree equals the disk, its links lead somewhere, its commands exist."""

import re
import subprocess
from pathlib import Path

import pytest

from orchestrator.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
HAVE_DUTIES = (".py", ".yaml", ".yml", ".toml", ".safetensors")


def tree(text: str) -> dict[str, str]:
    """Read path -> duty from the block under `## Tree`: two spaces a level, folders end in a slash, two spaces before the duty."""
    block = re.search(r"^## Tree\n.*?```\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    found: dict[str, str] = {}
    above: list[str] = []
    for line in block[1].splitlines() if block else []:
        indent, name, duty = re.fullmatch(r"( *)(\S+)(?: {2,}(\S.*))?", line).groups()
        above = [*above[: len(indent) // 2], name]
        found["".join(above)] = duty or ""
    return found


def links(text: str) -> set[str]:
    """Return the local targets of links and pictures."""
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) + re.findall(r'src="([^"]+)"', text)
    return {target for target in targets if "://" not in target}


def commands(text: str, name: str) -> set[str]:
    """Return the words that follow `make` or `ablate` in code."""
    code = re.findall(r"```(?:sh|bash|console)\n(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]+)`", text)
    return {word for each in code for line in each.splitlines() for word in re.findall(rf"^(?:\$ )?{name} ([a-z-]+)", line)}


def tracked() -> list[str]:
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [path for path in listing if (ROOT / path).exists()]


def missing(paths: list[str], listed: dict[str, str]) -> list[str]:
    """Return the folders of code and studies that have no line in the tree and lie in none that stands for all below it."""
    folders = {path[: path.rfind("/") + 1] for path in paths if "/" in path and path.endswith(HAVE_DUTIES) and not path.startswith(".")}
    closed = tuple(folder for folder in listed if not any(other != folder and other.startswith(folder) for other in listed))
    return sorted(folder for folder in folders - set(listed) if not folder.startswith(closed))


TREE = tree(README)


def test_every_folder_has_its_place_in_the_tree():
    assert missing(tracked(), TREE) == []


def test_every_entry_of_the_tree_exists():
    assert [path for path in TREE if not (ROOT / path).exists() or (ROOT / path).is_dir() != path.endswith("/")] == []


def test_every_entry_says_its_duty():
    assert [path for path, duty in TREE.items() if not duty] == []


@pytest.mark.parametrize("document", ["README.md", "CHANGELOG.md", ".github/CONTRIBUTING.md", "studies/README.md"])
def test_links_lead_somewhere(document):
    path = ROOT / document
    assert {link for link in links(path.read_text(encoding="utf-8")) if not (path.parent / link).exists()} == set()


@pytest.mark.parametrize("document", ["README.md", ".github/CONTRIBUTING.md", "studies/README.md"])
def test_commands_exist(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert commands(text, "make") - targets == set()
    assert commands(text, r"(?:\.venv/bin/)?ablate") - set(COMMANDS) == set()


EXAMPLE = """
## Tree
words
```
model/      the model
  a.py      does a
  data/     all data
tests/      tests
  b.py
```
[x](gone.md) `make demo`
"""


def test_tree_is_read_with_its_levels():
    assert tree(EXAMPLE) == {"model/": "the model", "model/a.py": "does a", "model/data/": "all data", "tests/": "tests", "tests/b.py": ""}


def test_an_unlisted_folder_is_found_and_one_without_children_stands_for_all_below_it():
    assert missing(["model/a.py", "model/data/sources/c.py", "model/images/d.py"], tree(EXAMPLE)) == ["model/images/"]


def test_links_and_commands_are_found():
    assert (links(EXAMPLE), commands(EXAMPLE, "make")) == ({"gone.md"}, {"demo"})
