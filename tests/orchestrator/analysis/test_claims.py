import pytest

from orchestrator.analysis import claims, statistics
from orchestrator.analysis.claims import Claim
from orchestrator.study.documents import PublishedClaim

NOISE = {"low": [0.1, -0.1, 0.0], "mid": [-0.1, 0.0, 0.1], "high": [0.0, 0.1, -0.1]}


def fits(**means):
    values = {arm: {s: mean + NOISE[arm][s] for s in range(3)} for arm, mean in means.items()}
    return {"text_rich": statistics.fit(values)}


def judged(comparisons, fitted):
    return claims.judge(Claim(claim_id="c", statement="s", comparisons=comparisons), fitted)


APART = fits(low=40.0, mid=50.0, high=60.0)
TOGETHER = fits(low=50.0, mid=50.01, high=50.02)


@pytest.mark.parametrize(("fitted", "expect", "outcome"), [
    (APART, ">", "supported"), (APART, "<", "contradicted"), (TOGETHER, ">", "undecided")])
def test_sign(fitted, expect, outcome):
    assert judged([claims.compare("high", "low", "text_rich", expect)], fitted).outcome == outcome


@pytest.mark.parametrize(("order", "outcome"), [
    (["high", "mid", "low"], "supported"), (["mid", "high", "low"], "contradicted")])
def test_ordering(order, outcome):
    assert judged(claims.ordering(order, "text_rich"), APART).outcome == outcome


@pytest.mark.parametrize(("winner", "outcome"), [("high", "supported"), ("mid", "contradicted")])
def test_optimum(winner, outcome):
    assert judged(claims.optimum(winner, ["low", "mid", "high"], "text_rich"), APART).outcome == outcome


@pytest.mark.parametrize(("fitted", "tolerance", "outcome"), [
    (TOGETHER, 1.0, "supported"), (TOGETHER, 0.1, "undecided"), (APART, 1.0, "contradicted")])
def test_flat(fitted, tolerance, outcome):
    assert judged(claims.flat(["low", "mid", "high"], "text_rich", tolerance=tolerance), fitted).outcome == outcome


def test_one_open_comparison_leaves_the_claim_undecided():
    fitted = fits(low=40.0, mid=60.0, high=60.02)
    assert judged(claims.ordering(["high", "mid", "low"], "text_rich"), fitted).outcome == "undecided"


def test_sentence_gives_effect_and_interval():
    sentence = judged([claims.compare("high", "low", "text_rich", ">")], APART).sentence
    assert sentence.startswith("Supported: text_rich of high minus low is +20.0 [19.")


def test_unknown_metric_is_undecided():
    found = judged([claims.compare("high", "low", "docvqa", ">")], APART)
    assert (found.outcome, found.sentence) == ("undecided", "Undecided: this study lacks the arms or the metric.")


def test_one_seed_is_undecided():
    fitted = {"text_rich": statistics.fit({"low": {0: 1.0}, "high": {0: 9.0}})}
    assert judged([claims.compare("high", "low", "text_rich", ">")], fitted).sentence.endswith("(n=1).")


def test_flat_without_tolerance_is_refused():
    with pytest.raises(ValueError, match="above 0 points"):
        claims.compare("a", "b", "m", "~")


@pytest.mark.parametrize(("larger", "outcome"), [(("high", "low"), "supported"), (("mid", "low"), "contradicted")])
def test_gain_is_a_difference_of_differences(larger, outcome):
    smaller = {"high": ("mid", "low"), "mid": ("high", "low")}[larger[0]]
    assert judged([claims.gain("text_rich", larger, smaller)], APART).outcome == outcome


def test_published_claim_is_read_in_all_its_forms():
    plain = {"id": "c", "kind": "sign", "trust": "deck", "statement": "s", "table_support": "holds",
             "compare": [{"metric": "text_rich", "a": "high", "expect": "~", "b": "mid"}],
             "gains": [{"metric": "text_rich", "larger": ["high", "low"], "smaller": ["mid", "low"]}],
             "optimum": {"metric": "text_rich", "arm": "high"}}
    claim = claims.published_claim(PublishedClaim.model_validate(plain, strict=False), ["low", "mid", "high"])
    assert [(each.a, each.expect, each.b) for each in claim.comparisons] == [
        ("high", "~", "mid"), ("high minus low", ">", "mid minus low"), ("high", ">", "low"), ("high", ">", "mid")]
