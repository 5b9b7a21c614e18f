import numpy as np
import pytest

from orchestrator.search.surrogate import FORMS, SurrogateCheck, best_check, check, propose

RANDOM = np.random.default_rng(0)
SHARES = RANDOM.dirichlet([2, 2, 2], size=14)
RATIOS = {f"arm {i}": dict(zip("abc", row, strict=True)) for i, row in enumerate(SHARES)}
RISING = {arm: 30 + 8 * np.exp(1.5 * row["a"]) - 5 * row["b"] for arm, row in RATIOS.items()}
PEAKED = {arm: 60 - 8 * np.log(row["b"] / row["a"]) ** 2 for arm, row in RATIOS.items()}
NOISE = dict(zip(RATIOS, RANDOM.normal(size=14), strict=True))


@pytest.mark.parametrize("form", FORMS)
def test_a_smooth_law_is_predicted_in_rank(form):
    assert check(form, RATIOS, RISING).correlation > 0.9


def test_a_peak_in_the_ratio_is_what_the_quadratic_sees():
    assert best_check(RATIOS, PEAKED)[0].form == "quadratic"


@pytest.mark.parametrize("form", FORMS)
def test_noise_is_not_trusted_and_gives_no_proposal(form):
    found = check(form, RATIOS, NOISE)
    assert not found.is_trusted
    assert propose(found, RATIOS, NOISE, [{"a": 1.0}]) is None


def test_leave_one_out_does_not_see_the_arm_that_it_predicts():
    odd = RISING | {"arm 3": 500.0}
    assert check("quadratic", RATIOS, odd).predicted["arm 3"] == pytest.approx(check("quadratic", RATIOS, RISING).predicted["arm 3"])


@pytest.mark.parametrize(("is_maximized", "expected"), [(True, {"a": 0.9, "c": 0.1}), (False, {"b": 1.0})])
def test_the_best_candidate_is_proposed(is_maximized, expected):
    found = best_check(RATIOS, RISING)[0]
    candidates = [{"a": 0.2, "b": 0.4, "c": 0.4}, {"b": 1.0}, {"a": 0.9, "c": 0.1}]
    assert propose(found, RATIOS, RISING, candidates, is_maximized=is_maximized).shares == expected


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(ValueError, match="2 arms have both"):
        check("gp", dict(list(RATIOS.items())[:2]), RISING)
    with pytest.raises(ValueError, match=r"shares of arm 0 sum to 2"):
        check("gp", RATIOS | {"arm 0": {"a": 2.0}}, RISING)
    trusted = SurrogateCheck(form="gp", correlation=1.0, error=0.0, predicted={})
    with pytest.raises(ValueError, match="candidates contain d"):
        propose(trusted, RATIOS, RISING, [{"d": 1.0}])
