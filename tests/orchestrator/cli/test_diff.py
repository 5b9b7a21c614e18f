from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import Engine

from orchestrator.ledger import read
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import open_ledger, transaction
from orchestrator.results.results import study_results
from tests.support.synthetic import SCIENCE, Sketch, sketch

Ablate = Callable[..., Result]


@pytest.fixture
def engine(home: Path) -> Engine:
    return open_ledger(f"sqlite:///{home}/ledger.db")


@pytest.fixture
def two(engine: Engine) -> Engine:
    sketch(engine, Sketch())
    sketch(engine, Sketch(name="wider", arms=({SCIENCE: 0}, {SCIENCE: 0.5}, {SCIENCE: 1})), seed=1)
    return engine


def test_what_was_asked_differently_is_named(ablate_json: Callable[..., Any], two: Engine) -> None:
    document = ablate_json("diff", "quickstart", "wider")
    assert any(each.startswith("study.name: ") and "wider" in each for each in document["changes"])
    assert (document["only_first"], document["only_second"]) == (["science=0.1"], ["science=1"])
    assert document["stages"]["shared"] >= 1


def test_scores_of_the_arms_that_both_have(ablate_json: Callable[..., Any], two: Engine) -> None:
    document = ablate_json("diff", "quickstart", "wider")
    results = {name: study_results(two, read.study(two, name)) for name in ("quickstart", "wider")}
    pair = next(each for each in document["scores"] if (each["arm"], each["metric"]) == ("science=0.5", "knowledge"))
    means = [next(arm for arm in results[name].arms if arm.name == "science=0.5").metrics["knowledge"].mean for name in results]
    assert (pair["first"], pair["second"]) == tuple(means)
    assert pair["difference"] == pytest.approx(means[1] - means[0])


def test_study_equals_itself(ablate: Ablate, two: Engine) -> None:
    result = ablate("diff", "quickstart", "quickstart")
    assert "the same file" in result.stdout
    assert "+0.0" in result.stdout


def test_versions_are_named_with_an_at_sign(ablate: Ablate, ablate_json: Callable[..., Any], two: Engine) -> None:
    with transaction(two) as connection:
        connection.execute(t.studies.update().where(t.studies.c.name == "wider").values(name="quickstart", version=2))
    document = ablate_json("diff", "quickstart@1", "quickstart@2")
    assert (document["first"]["version"], document["second"]["version"]) == (1, 2)
    unknown = ablate("diff", "quickstart@1", "quickstart@7")
    assert unknown.exit_code == 2
    assert "known: 1, 2" in unknown.stderr


def test_study_without_scores_has_none_in_the_table(ablate: Ablate, engine: Engine) -> None:
    sketch(engine, Sketch())
    sketch(engine, Sketch(name="later", state="QUEUED", done=0.0))
    result = ablate("diff", "quickstart", "later")
    assert result.exit_code == 0
    assert "–" in result.stdout
