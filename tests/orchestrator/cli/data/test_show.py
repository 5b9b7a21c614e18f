"""`ablate data show` writes a page of a category's samples and benchmarks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from orchestrator.cli.data.show import CATEGORIES


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_category_has_a_page(ablate: Callable[..., Result], tmp_path: Path, category: str) -> None:
    path = tmp_path / "page.html"
    assert ablate("data", "show", category, "--num", "2", "--output", str(path)).stdout.strip() == str(path)
    assert f"Workbench: {category}" in path.read_text(encoding="utf-8")


def test_the_page_shows_the_benchmarks_of_the_category(ablate_json: Callable[..., Any]) -> None:
    document = ablate_json("data", "show", "text_rich", "--num", "1")
    page = Path(document["path"]).read_text(encoding="utf-8")
    assert "small-print, test (in the manner of InfoVQA; metric anls)" in page
    assert document["examples"] == page.count("<article>")
    assert Path(document["path"]).parent.name == "galleries"


def test_an_unknown_category_is_refused_with_the_known_ones(ablate: Callable[..., Result]) -> None:
    found = ablate("data", "show", "sciense")
    assert found.exit_code == 2
    assert "text_rich" in found.stderr
