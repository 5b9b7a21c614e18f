"""Draws become samples, the same ones whoever asks and whenever; a pass over real data loses and repeats none."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.config.stages import Alpha, DataConfig, GroupWeights, PretrainMixture, SftMixture
from model.data.mixture import Draw, MixtureDraw, sample_index, shares
from model.data.sampler import Catalogue, sample_source
from model.data.sources.dataset import BrokenSample
from model.workbench import make_sample
from tests.support import corpora

MIXTURE = SftMixture(alpha=Alpha(general=1, science=0.5, text_rich=0.25), weights=GroupWeights(text=0.1))
CATEGORIES = tuple(shares(MIXTURE))


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(["general", "science", "text_only"]), st.integers(0, 10**6), st.integers(0, 9))
def test_the_workbench_supplies_what_it_generates(category, k, seed):
    found = sample_source(DataConfig(seed=3), [category], seed=seed).sample(Draw(category, k))
    expected = make_sample(category, "train", sample_index(seed, category, k), seed=3)
    assert (found.sample_id, found.turns) == (expected.sample_id, expected.turns)
    assert [image.tobytes() for image in found.images] == [image.tobytes() for image in expected.images]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Five data sets in four categories: JSON lines, parquet, tar shards and text."""
    folder = tmp_path_factory.mktemp("corpora")
    return corpora.catalogue(
        folder, corpora.llava(folder / "a", "general", 9), corpora.cauldron(folder / "b", "general", 14),
        corpora.webdataset(folder / "c", "science", 6), corpora.llava(folder / "d", "text_rich", 3, lines=False),
        corpora.instructions(folder / "e", 5))


def opened(config, seed=0):
    return Catalogue(config, CATEGORIES, seed=seed)


def places(config, draws, seed=0):
    found = opened(config, seed)
    return [(place.source.config.title, place.row) for place in map(found.place, draws)]


@settings(deadline=None, max_examples=25)
@given(batch=st.integers(1, 40), seed=st.integers(0, 5), stop=st.integers(0, 12), steps=st.integers(1, 12), workers=st.integers(1, 5))
def test_stopped_resumed_and_divided_draws_see_the_samples_of_an_undisturbed_one(config, batch, seed, stop, steps, workers):
    straight = MixtureDraw(MIXTURE, batch=batch, seed=seed)
    expected = [places(config, straight.batch(step), seed) for step in range(steps)]
    before, after = (MixtureDraw(MIXTURE, batch=batch, seed=seed) for _ in range(2))
    resumed = [before.batch(step) for step in range(min(stop, steps))] + [after.batch(step) for step in range(min(stop, steps), steps)]
    divided = [[places(config, draws[rank::workers], seed) for rank in range(workers)] for draws in resumed]
    merged = [[parts[position % workers][position // workers] for position in range(batch)] for parts in divided]
    assert merged == expected


ROWS = 7
GENERAL = SftMixture()
KINDS = {
    "JSON lines": (GENERAL, lambda folder: corpora.llava(folder, "general", ROWS)),
    "a JSON list": (GENERAL, lambda folder: corpora.llava(folder, "general", ROWS, lines=False)),
    "parquet": (GENERAL, lambda folder: corpora.cauldron(folder, "general", ROWS)),
    "tar shards": (GENERAL, lambda folder: corpora.webdataset(folder, "general", ROWS)),
    "documents": (PretrainMixture(caption=0, interleaved=1, text=0), lambda folder: corpora.documents(folder, ROWS)),
    "text": (SftMixture(weights=GroupWeights(single=0, text=1)), lambda folder: corpora.instructions(folder, ROWS)),
    "workbench": (GENERAL, None),
}
"""What holds the samples: a mixture that draws from it alone, and how it is made on disk."""


@pytest.fixture(scope="module")
def of_kind(tmp_path_factory):
    """Where the samples of each kind come from."""
    found = {"workbench": DataConfig()}
    for number, (kind, (_, make)) in enumerate(KINDS.items()):
        folder = tmp_path_factory.mktemp(f"kind{number}")
        if make:
            found[kind] = DataConfig(source="catalogue", catalogue=corpora.catalogue(folder, make(folder / "data")))
    return found


def content(sample):
    return sample.turns, tuple(image.tobytes() for image in sample.images)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=8)
@given(batch=st.integers(1, 6), seed=st.integers(0, 5), stop=st.integers(0, 5), workers=st.integers(1, 4))
def test_whatever_holds_the_samples_stopped_resumed_and_divided_runs_open_those_of_an_undisturbed_one(
        of_kind, kind, batch, seed, stop, workers):
    data, mixture, steps = of_kind[kind], KINDS[kind][0], 12 // batch + 1
    undisturbed, other = (sample_source(data, shares(mixture), seed=seed) for _ in range(2))
    before, after = (MixtureDraw(mixture, batch=batch, seed=seed) for _ in range(2))
    for step in range(steps):
        expected = [content(undisturbed.sample(draw)) for draw in MixtureDraw(mixture, batch=batch, seed=seed).batch(step)]
        draws = (before if step < stop else after).batch(step)
        parts = [[content(other.sample(draw)) for draw in draws[rank::workers]] for rank in range(workers)]
        assert [parts[position % workers][position // workers] for position in range(batch)] == expected


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "workbench"])
@settings(deadline=None, max_examples=12)
@given(batch=st.integers(1, 6), seed=st.integers(0, 5), workers=st.integers(1, 4))
def test_whatever_holds_the_samples_each_comes_once_a_pass_over_all_workers(of_kind, kind, batch, seed, workers):
    mixture = KINDS[kind][0]
    found, draws = sample_source(of_kind[kind], shares(mixture), seed=seed), MixtureDraw(mixture, batch=batch, seed=seed)
    taken = [found.place(draw) for step in range(2 * ROWS) for rank in range(workers) for draw in draws.batch(step)[rank::workers]]
    # Two batches for each row make twice as many passes as a batch has samples.
    assert Counter((place.row, place.pass_number) for place in taken) == Counter(
        {(row, number): 1 for row in range(ROWS) for number in range(2 * batch)})


@settings(deadline=None, max_examples=25)
@given(passes=st.integers(1, 3), seed=st.integers(0, 5))
def test_a_category_is_the_union_of_its_sets_each_sample_once_a_pass(config, passes, seed):
    found = opened(config, seed)
    drawn = [found.place(Draw("general", k)) for k in range(23 * passes)]
    assert Counter((place.source.config.title, place.row, place.pass_number) for place in drawn) == Counter(
        {(title, row, number): 1 for title, size in (("general/general-llava", 9), ("general/general-cauldron", 14))
         for row in range(size) for number in range(passes)})


@settings(deadline=None, max_examples=10)
@given(steps=st.integers(20, 60), seed=st.integers(0, 5))
def test_shares_converge_to_the_mixture(config, steps, seed):
    mixture = MixtureDraw(MIXTURE, batch=32, seed=seed)
    titles = Counter(title for step in range(steps) for title, _ in places(config, mixture.batch(step), seed))
    asked = opened(config, seed).asked({name: share * 32 * steps for name, share in shares(MIXTURE).items()})
    # Within one of its share for a category; a set of a category is off by less than the rows of one pass.
    assert all(abs(titles[title] - number) <= 1 + 23 for title, number in asked.items())
    categories = Counter({name: sum(count for title, count in titles.items() if title.startswith(f"{name}/")) for name in CATEGORIES})
    assert all(abs(categories[name] - share * 32 * steps) <= 1 for name, share in shares(MIXTURE).items())


def test_arms_of_one_seed_share_their_samples_and_seeds_do_not(config):
    draws = [Draw("general", k) for k in range(23)]
    assert places(config, draws) == places(config, draws)
    assert places(config, draws, seed=1) != places(config, draws)


def test_the_order_in_the_file_does_not_matter(config):
    turned = replace(config, sources=tuple(reversed(config.sources)))
    draws = [Draw("general", k) for k in range(40)]
    assert places(turned, draws) == places(config, draws)


def test_ocr_sets_have_equal_shares_whatever_their_size(tmp_path):
    sources = [corpora.instructions(tmp_path, size, category="ocr", name=name) for size, name in ((3, "small"), (30, "large"))]
    found = Catalogue(corpora.catalogue(tmp_path, *sources), ["ocr"], seed=0)
    drawn = [found.place(Draw("ocr", k)) for k in range(12)]
    assert Counter(place.source.config.name for place in drawn) == {"small": 6, "large": 6}
    assert [place.pass_number for place in drawn if place.source.config.name == "small"] == [0, 0, 0, 1, 1, 1]
    assert found.asked({"ocr": 12}) == {"ocr/small": 6, "ocr/large": 6}


def test_a_category_without_data_is_refused(config):
    with pytest.raises(ValueError, match="no data set of category 'code'"):
        Catalogue(config, ["code"], seed=0)
    with pytest.raises(ValueError, match="no catalogue is configured"):
        sample_source(DataConfig(source="catalogue"), ["code"], seed=0)


@pytest.fixture
def damaged(tmp_path):
    """Twenty samples, one of them broken."""
    source = corpora.llava(tmp_path, "general", 20)
    path = Path(source.files[0])
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:7], "{broken", *lines[8:]]))
    return source


def all_of(tmp_path, source):
    found = Catalogue(corpora.catalogue(tmp_path, source), ["general"], seed=0)
    return [found.sample(Draw("general", k)) for k in range(20)]


def test_a_broken_sample_is_an_error_with_file_and_index(tmp_path, damaged):
    with pytest.raises(BrokenSample, match=r"general\.jsonl:7: not JSON"):
        all_of(tmp_path, damaged)


def test_under_a_declared_limit_another_sample_stands_in_and_says_so(tmp_path, damaged):
    samples = all_of(tmp_path, replace(damaged, broken=0.1))
    assert [sample.sample_id for sample in samples] == [sample.sample_id for sample in all_of(tmp_path, replace(damaged, broken=0.1))]
    (instead,) = [sample for sample in samples if sample.replaces]
    assert "general.jsonl:7" in instead.replaces[0].where
    assert "not JSON" in instead.replaces[0].reason
    assert len({sample.sample_id for sample in samples}) == 19


def test_a_set_with_nothing_whole_is_refused_even_under_a_limit(tmp_path):
    (tmp_path / "a.jsonl").write_text("{\n{\n{\n")
    source = replace(corpora.instructions(tmp_path, 1), files=(str(tmp_path / "a.jsonl"),), broken=0.5)
    with pytest.raises(BrokenSample, match=r"a\.jsonl"):
        Catalogue(corpora.catalogue(tmp_path, source), ["text_only"], seed=0).sample(Draw("text_only", 0))
