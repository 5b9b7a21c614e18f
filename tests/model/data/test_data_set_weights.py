"""Weights, repetition and own categories: how often each data set comes, whoever asks for which position, and none lost within a pass."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config.catalogue import SourceConfig
from model.config.fields import FieldError, build, to_plain
from model.config.stages import Alpha, SftConfig, SftMixture, Weight
from model.data import mixture
from model.data.mixture import Draw, apportioned, shares
from model.data.sampler import Catalogue
from model.data.sources.fingerprints import category_content
from tests.support import corpora

WEIGHTS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from([0.0, 0.25, 0.5, 1.0, 1.5, 3.0]), min_size=1).filter(
    lambda weights: any(weights.values()))


@given(WEIGHTS, st.integers(1, 300))
def test_counts_stay_within_one_of_their_share(weights, length):
    sequence = apportioned(weights)
    seen = Counter(sequence.at(k).category for k in range(length))
    total = sum(weights.values())
    assert all(abs(seen[name] - length * weight / total) <= 1 for name, weight in weights.items())


@given(WEIGHTS, st.lists(st.integers(0, 500), min_size=1, max_size=20))
def test_a_position_is_the_same_in_whatever_order_it_is_asked_for(weights, positions):
    straight = [apportioned(weights).at(k) for k in positions]
    jumping = apportioned(weights)
    assert [jumping.at(k) for k in positions] == straight


def test_a_long_period_is_walked_as_a_short_one_is_looked_up(monkeypatch):
    looked_up = [apportioned({"a": 1, "b": 0.7}).at(k) for k in range(60)]
    monkeypatch.setattr(mixture, "LONGEST_TABLE", 1)
    walked = apportioned({"a": 1, "b": 0.7})
    assert [walked.at(k) for k in (*range(60), 5, 40)] == [*looked_up, looked_up[5], looked_up[40]]


def test_weights_that_are_all_0_are_refused():
    with pytest.raises(ValueError, match="a, b are all 0"):
        apportioned({"a": 0, "b": 0})


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Two data sets of one category: 9 samples and 3."""
    folder = tmp_path_factory.mktemp("sets")
    return corpora.catalogue(folder, replace(corpora.llava(folder / "a", "general", 9), name="large"),
                             replace(corpora.llava(folder / "b", "general", 3), name="small"))


def drawn(config, count, *weights):
    opened = Catalogue(config, ["general"], seed=0, weights=weights)
    return Counter((place.source.config.name, place.row) for place in (opened.place(Draw("general", k)) for k in range(count)))


def of_set(found):
    return {name: sum(count for (other, _), count in found.items() if other == name) for name in ("large", "small")}


def test_a_weight_is_beside_1_of_the_others_whatever_their_sizes(config):
    found = drawn(config, 45, Weight(name="general/small", value=0.25))
    assert of_set(found) == {"large": 36, "small": 9}
    assert set(found.values()) == {3, 4}  # 4 passes over 9 samples, 3 over 3: each sample once in a pass
    assert of_set(drawn(config, 20, Weight(name="general/large", value=0))) == {"large": 0, "small": 20}


def test_a_repeated_set_comes_that_often_in_a_pass(config):
    repeated = replace(config, sources=tuple(replace(each, repeat=2 if each.name == "small" else 1) for each in config.sources))
    found = drawn(repeated, 15)
    assert of_set(found) == {"large": 9, "small": 6}
    assert {count for (name, _), count in found.items() if name == "small"} == {2}
    assert category_content(repeated, "general") != category_content(config, "general")
    assert Catalogue(repeated, ["general"], seed=0).asked({"general": 30}) == {"general/large": 18, "general/small": 12}


def test_what_was_asked_of_each_set_follows_the_weights(config):
    opened = Catalogue(config, ["general"], seed=0, weights=[Weight(name="general/small", value=3)])
    assert opened.asked({"general": 40}) == {"general/large": 10, "general/small": 30}


def test_an_own_category_has_its_share_beside_the_papers():
    mixed = SftMixture(alpha=Alpha(science=0.5, own=(Weight(name="roofs", value=0.5),)))
    assert shares(mixed) == {"general": 0.5, "science": 0.25, "roofs": 0.25}
    assert build(SftMixture, {"alpha": {"science": 0.5, "own": {"roofs": 0.5}}}) == mixed == build(SftMixture, to_plain(mixed))


def test_names_with_dots_come_back_from_dotted_paths():
    images = {"mode": "single", "tile": 32, "tokens": 4}
    plain = {"images": images, "steps": 1, "batch": 1, "lr": 1e-3, "data_sets": {"general/LLaVA v1": {"5 GQA": 0.5}, "general/a": 2}}
    assert [each.name for each in build(SftConfig, plain).data_sets] == ["general/LLaVA v1.5 GQA", "general/a"]


@pytest.mark.parametrize(("plain", "says"), [({"own": {"roofs": -1}}, "own.roofs.value: -1; allowed: 0 to 1000"),
                                             ({"own": {"science": 1}}, "'science' is a category of the paper\nhint: it is alpha.science"),
                                             ({"own": {"roofs": "much"}}, "own.roofs.value: 'much' is text")])
def test_what_cannot_be_a_weight_is_refused(plain, says):
    with pytest.raises(FieldError, match=says):
        build(Alpha, plain)


def test_a_repetition_below_1_is_refused():
    with pytest.raises(FieldError, match="repeat: 0; allowed: 1 to 1000"):
        SourceConfig(category="general", name="a", layout="llava", files=("a.json",), repeat=0)
