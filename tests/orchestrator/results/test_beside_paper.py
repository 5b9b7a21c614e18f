"""Studies beside their paper: the choice, the statements, and the paper's differences to its own baseline."""

import pytest

from orchestrator.ledger import read
from orchestrator.results.beside_paper import agreement, beside_paper, page
from orchestrator.results.results import study_results
from orchestrator.study import library
from tests.support import scored

SEEDS = ("seeds: 5", "seeds: 3")


@pytest.fixture
def found(engine, planned):
    """Row 4 of 4 is the best by construction, and the paper's choice."""
    text = (library.ROOT / "mm15" / "indicator-and-overview.yaml").read_text()
    scored.enter(engine, planned(SEEDS, text=text))
    scored.finish(engine)
    return study_results(engine, read.study(engine, "indicator-and-overview"))


def test_the_rules_choice_is_held_beside_the_papers(found):
    row = beside_paper(found)
    assert (row.verdict, row.chosen, row.paper, row.agreement) == ("selected", "4 none after", "4 none after", "agrees")
    assert (row.num_arms, row.num_seeds, row.scale) == (4, 3, "tiny")
    assert sum(row.claims.values()) == len(found.claims) > 0


def test_another_choice_differs(engine, planned):
    text = (library.ROOT / "mm15" / "indicator-and-overview.yaml").read_text()
    scored.enter(engine, planned(SEEDS, text=text))
    scored.finish(engine, gain=-8.0)
    assert agreement(study_results(engine, read.study(engine, "indicator-and-overview"))) == "differs"


def test_the_page_has_both_differences_and_every_statement(found):
    text = page([found], "Ours beside the paper's")
    assert "| indicator-and-overview | selected: 4 none after | 4 none after | agrees |" in text
    row = next(line for line in text.splitlines() if line.startswith("| 4 none after"))
    assert "(+24.0" in row
    assert "; paper +0.3" in row  # 62.8 and 62.5 overall
    assert all(each.claim.statement in text for each in found.claims)
    assert "`ablate run indicator-and-overview --scale tiny`" in text
