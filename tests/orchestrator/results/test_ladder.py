"""Made-up results of one study at several scales, whose truth is known."""

import json
import math
from collections.abc import Callable
from functools import partial

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli.main import main
from orchestrator.errors import StudyError
from orchestrator.ledger.engine import Engine
from orchestrator.results.ladder import ladder
from tests.support.synthetic import SCIENCE, Levels, Sketch, sketch

ARMS = tuple({SCIENCE: level} for level in (0, 0.1, 0.3, 0.5, 1.0, 2.0))
FLOPS = {"tiny": 1e12, "small": 4e12, "large": 1.6e13}


def rising(levels: Levels, category: str, *, height: float, gain: float) -> float:
    """Score by science data: knowledge rises with it by `gain` for each unit."""
    return height + gain * levels[SCIENCE] if category == "knowledge" else 40.0


def entered(engine: Engine, scale: str, *, gain: float = 8.0, noise: float = 0.5, **changes) -> None:
    height = 20 + 5 * math.log(FLOPS[scale] / 1e12)
    wanted = Sketch(arms=ARMS, seeds=4, scale=scale, noise=noise, training_flops=FLOPS[scale], benchmarks=("science-names",),
                    select={"maximize": "knowledge", "baseline": {SCIENCE: 0}}, score=partial(rising, height=height, gain=gain), **changes)
    sketch(engine, wanted, seed=list(FLOPS).index(scale))


@pytest.fixture
def three(ledger: Engine) -> Engine:
    for scale in FLOPS:
        entered(ledger, scale)
    return ledger


def test_scales_that_agree_are_trusted_and_project_on(three: Engine) -> None:
    found = ladder(three, "quickstart", ["large", "tiny", "small"])
    assert [rung.scale for rung in found.rungs] == ["tiny", "small", "large"]
    assert [(each.small, each.large) for each in found.agreements] == [("tiny", "small"), ("small", "large"), ("tiny", "large")]
    assert found.untrusted == ()
    assert found.target_flops == pytest.approx(6.4e13)
    best = max(found.names, key=lambda key: found.projection.scores[key].value)
    assert found.names[best] == "science=2"
    lead = found.projection.leads[best]
    assert lead.low < 16.0 < lead.high
    assert found.hindsight is not None
    assert found.hindsight.num_pairs_right >= 13
    assert found.hindsight.num_leads_inside >= 4


def test_compute_gain_is_what_the_slope_of_all_arms_says(three: Engine) -> None:
    found = ladder(three, "quickstart", list(FLOPS))
    keys = {name: key for key, name in found.names.items()}
    gain = found.gains[keys["science=1"]]
    assert gain.low < math.exp(8.0 / 5) < gain.high  # 8 points at 5 points for each e-fold of compute


def test_a_scale_that_puts_arms_the_other_way_round_is_not_trusted(ledger: Engine) -> None:
    entered(ledger, "tiny", gain=-8.0)
    entered(ledger, "small")
    found = ladder(ledger, "quickstart", ["tiny", "small"])
    assert len(found.untrusted) == 1
    assert "do not trust it" in found.untrusted[0].sentence
    assert found.hindsight is None


@pytest.mark.parametrize(("scales", "message"), [
    (["tiny"], "allowed: two or more different ones"),
    (["tiny", "huge"], "no study of this name at scale huge"),
    (["tiny", "small"], "no scores of knowledge at scale small; it is queued there"),
])
def test_what_a_ladder_lacks_is_said(ledger: Engine, scales: list[str], message: str) -> None:
    entered(ledger, "tiny")
    entered(ledger, "small", state="QUEUED", done=0.0)
    with pytest.raises(StudyError, match=message):
        ladder(ledger, "quickstart", scales)


@pytest.fixture
def ablate(three: Engine, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("ABLATE_LEDGER_URL", str(three.url))
    return lambda *words: CliRunner().invoke(main, list(words))


def test_command_prints_scores_projection_and_whom_to_trust(ablate: Callable[..., Result]) -> None:
    result = ablate("ladder", "quickstart", "--scales", "tiny,small,large")
    assert result.exit_code == 0, result.output
    for expected in ("projected", "lead there", "compute gain", "science=0 (baseline)", "of the pairs of 6 arms", "In hindsight:"):
        assert expected in result.stdout


def test_document_holds_the_same(ablate: Callable[..., Result], three: Engine) -> None:
    document = json.loads(ablate("ladder", "quickstart", "--scales", "tiny,small,large", "--flops", "1e14", "--json").stdout)
    found = ladder(three, "quickstart", list(FLOPS), target_flops=1e14)
    assert document["target_flops"] == 1e14
    assert document["projection"]["scores"].keys() == found.names.keys()
    assert [each["is_trusted"] for each in document["agreements"]] == [each.is_trusted for each in found.agreements]


def test_unknown_metric_is_bad_input(ablate: Callable[..., Result]) -> None:
    result = ablate("ladder", "quickstart", "--scales", "tiny,small", "--metric", "nothing")
    assert result.exit_code == 2
    assert "no scores of nothing at scale" in result.stderr
