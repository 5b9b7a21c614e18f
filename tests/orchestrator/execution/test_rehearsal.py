"""Rehearsals with the real worker: the packaged start checkpoint, generated data, real benchmarks."""

from pathlib import Path

import pytest

from orchestrator.artifacts.store import packaged
from orchestrator.execution.executor import InlineExecutor
from orchestrator.execution.rehearsal import FOLDER, rehearse
from orchestrator.execution.worker import execute
from orchestrator.plan.plan import Plan, Planner
from orchestrator.plan.rehearsal import NOT_TRIED, Rehearsed, rehearsals
from orchestrator.results.preview import preview
from orchestrator.results.rehearsals import keep_rehearsed, rehearsed_rates
from orchestrator.settings import Settings
from orchestrator.study.study import load_study
from tests.support.toy import toy_settings

STUDY = """name: short
question: q?
recipe: sft-ablation
set: {sft.images: {mode: single}}
vary: {sft.mixture.alpha.science: [0, 0.5]}
evaluate: {benchmarks: [science-names]}
select: {maximize: science-names}
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    path = tmp_path_factory.mktemp("study") / "short.yaml"
    path.write_text(STUDY)
    return Planner(load_study(path), "tiny").plan()


@pytest.fixture(scope="module")
def starts(plan: Plan) -> dict[str, Path]:
    return {each.stage_id: packaged("packaged:tiny") for each in plan.stages.values() if each.kind == "import"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The home of the one rehearsal that most tests look at."""
    return toy_settings(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def found(plan: Plan, starts: dict[str, Path], shared: Settings) -> list[Rehearsed]:
    return rehearse(rehearsals(plan), starts, shared, InlineExecutor(execute))


def test_every_short_stage_runs_and_says_rate_and_memory(found: list[Rehearsed]) -> None:
    assert [(each.rehearsal.kind, each.state) for each in found] == [("sft", "SUCCEEDED"), ("evaluate", "SUCCEEDED")] * 2
    trained = [each for each in found if each.rehearsal.kind == "sft"]
    assert all(each.samples_per_s and each.samples_per_s > 0 for each in found)
    assert all(0.05 < (each.memory_gib or 0) < 64 for each in trained)


def test_nothing_stays_behind_and_no_ledger_is_made(found: list[Rehearsed], shared: Settings) -> None:
    assert found
    assert list((shared.artifacts / FOLDER).iterdir()) == []
    assert not (shared.home / "ledger.db").exists()


def test_plan_counts_with_what_was_seen(found: list[Rehearsed], plan: Plan, settings: Settings) -> None:
    known = keep_rehearsed(settings.home, plan.scale, found)
    assert rehearsed_rates(settings.home, plan.scale) == known
    assert rehearsed_rates(settings.home, "small").rates == {}
    training = [each.flops_per_s for each in found if each.rehearsal.kind == "sft" and each.flops_per_s]
    assert known.rates.keys() == {"sft fp32", "evaluate fp32 science-names"}
    assert known.rates["sft fp32"] == min(training)
    assert known.rates["evaluate fp32 science-names"] <= max(training)
    shown = preview(plan, None, slots=1, rehearsed=known)
    before = preview(plan, None, slots=1)
    assert shown.estimate.seconds == pytest.approx(sum(
        stage.flops / known.rates["sft fp32" if stage.kind == "sft" else "evaluate fp32 science-names"]
        for stage in plan.stages.values() if stage.kind != "import"))
    assert (shown.estimate.declared_kinds, shown.rehearsed_kinds) == ((), ("evaluate", "sft"))
    assert shown.kinds[0].memory_gib == known.memory_gib["sft"] != before.kinds[0].memory_gib


def test_a_missing_start_checkpoint_leaves_its_stages_untried(plan: Plan, settings: Settings) -> None:
    found = rehearse(rehearsals(plan), {}, settings, InlineExecutor(execute))
    assert {each.state for each in found} == {NOT_TRIED}
    assert keep_rehearsed(settings.home, plan.scale, found).rates == {}


def test_what_fails_says_why_and_what_follows_is_not_tried(plan: Plan, starts: dict[str, Path], settings: Settings, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    found = rehearse(rehearsals(plan), dict.fromkeys(starts, damaged), settings, InlineExecutor(execute))
    assert [each.state for each in found] == ["USER_ERROR", NOT_TRIED] * 2
    assert "no readable manifest.json" in found[0].problem
