"""Results as tables: one long, one wide, the same numbers in every form, and what could not be read beside every score."""

import csv
import io
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from orchestrator.ledger import read
from orchestrator.results import tables
from orchestrator.results.results import study_results
from tests.support import scored


@pytest.fixture
def results(tmp_path, planned):
    engine = scored.ledger(tmp_path)
    scored.enter(engine, planned(("seeds: 2", "seeds: 3")))
    scored.finish(engine)
    with scored.transaction(engine) as connection:
        connection.execute(scored.t.scores.update().where(scored.t.scores.c.benchmark == "scene-qa").values(num_unparseable=200, value=0.0))
    yield study_results(engine, read.study(engine, "written"))
    engine.dispose()


def test_a_row_for_each_arm_and_metric_in_csv_and_parquet(results, tmp_path):
    rows = list(csv.DictReader(io.StringIO(tables.to_csv(results))))
    assert len(rows) == len(results.arms) * len(results.metrics)
    tables.to_parquet(results, tmp_path / "a.parquet")
    columns = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert [row["mean"] for row in columns] == [pytest.approx(float(row["mean"])) for row in rows]
    (own,) = [row for row in rows if row["arm"] == "science=0.5" and row["metric"] == "knowledge"]
    cell = results.arms[2].metrics["knowledge"]
    assert (float(own["mean"]), float(own["delta"])) == (pytest.approx(cell.mean), pytest.approx(cell.delta.value))


def test_what_could_not_be_read_stands_beside_every_score_of_a_benchmark(results):
    rows = {(row["arm"], row["metric"]): row for row in tables.long_rows(results)}
    assert [rows["science=0", "scene-qa"][name] for name in ("num_items", "num_unparseable", "mean")] == [600, 600, 0]
    assert rows["science=0", "knowledge"]["num_items"] is None
    assert tables.score_text(results, results.arms[0], "scene-qa").endswith("(600 of 600 unread)")
    assert "600 of 600 unread" in tables.to_markdown(results)
    assert "600 of 600 unread" in tables.to_latex(results)


def test_a_benchmark_of_unread_answers_is_said_aloud(results):
    assert tables.unread(results) == [f"scene-qa: 600 of 600 answers of {arm.name} could not be read" for arm in results.arms]


def test_wide_tables_have_a_row_for_each_arm_and_are_escaped(results):
    arm = replace(results.arms[0], name="a_b & 50 % | <x>")
    strange = replace(results, arms=(arm,))
    (line,) = tables.to_markdown(strange).splitlines()[2:]
    assert line.startswith(r"| a_b & 50 % \| <x> |")
    assert r"a\_b \& 50 \% | <x> &" in tables.to_latex(strange)
    assert tables.to_latex(results).count(r"\\") == 1 + len(results.arms)


@pytest.mark.parametrize("name", ["=1+1", "+1+A1", "-1-A1", "@x", "\tx"])
def test_a_cell_of_csv_is_no_formula(results, name):
    strange = replace(results, arms=(replace(results.arms[0], name=name),))
    assert next(csv.DictReader(io.StringIO(tables.to_csv(strange))))["arm"] == f"'{name}"
