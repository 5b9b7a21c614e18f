"""The catalogue is read strictly; stages carry their part of it and are named by content."""

import re
from pathlib import Path

import pytest

from model.config.stages import DataConfig
from model.evaluation.benchmarks.registry import BENCHMARKS
from model.evaluation.local_copies.fingerprint import copy_fingerprint
from orchestrator.errors import StudyError
from orchestrator.settings import Settings
from orchestrator.study.catalogue import DataSets, load_catalogue, no_catalogue
from tests.support import copies, corpora

TEXT = """
kind: catalogue
name: lab
remote: {schemes: [s3], hosts: [bucket]}
datasets:
  general:
    LLaVA v1.5 GQA: {layout: llava, files: [general.jsonl], images: images, image_prefix: train/}
  text_only:
    Dolly:
      layout: text
      files: [dolly.json]
      take: 3
    ours: {own: true, layout: text, files: [ours.json]}
"""


@pytest.fixture
def read(tmp_path):
    """Write a catalogue with changes, beside its data, and read it."""
    corpora.llava(tmp_path, "general", 4)
    corpora.instructions(tmp_path, 5, name="dolly")
    corpora.instructions(tmp_path, 4, name="ours")

    def written(*changes, cache="cache"):
        text = TEXT
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "catalogue.yaml").write_text(text)
        return load_catalogue(tmp_path / "catalogue.yaml", cache=tmp_path / cache)

    return written


def test_sources_say_what_the_file_says(read, tmp_path):
    catalogue = read()
    assert [each.title for each in catalogue.sources] == ["general/LLaVA v1.5 GQA", "text_only/Dolly", "text_only/ours"]
    assert (catalogue.sources[0].files, catalogue.sources[0].images) == ((str(tmp_path / "general.jsonl"),), str(tmp_path / "images"))
    assert (catalogue.sources[1].take, catalogue.remote.hosts) == (3, ("bucket",))


@pytest.mark.parametrize(("old", "new", "line", "message"), [
    ("LLaVA v1.5 GQA:", "LLaVA v1.5 GQQ:", 7, "no data set of general in the taxonomy\nhint: did you mean 'LLaVA v1.5 GQA'"),
    ("general:", "generall:", 6, "no such category\nhint: did you mean 'general'"),
    ("take: 3", "take: -3", 12, "-3; allowed: >= 0"),
    ("take: 3", "tke: 3", 12, "unknown field\nhint: did you mean 'take'"),
    ("layout: text\n", "layout: txt\n", 10, "no layout 'txt' is installed; did you mean 'text'"),
    ("[s3]", "[file]", 4, "'file'; allowed: https, s3, gs"),
    ("kind: catalogue", "kind: study", 2, "'study'; allowed: catalogue"),
    ("name: lab", "nam: lab", 3, "unknown field"),
    ("files: [dolly.json]", "files: [dolly.csv]", 11, "allowed endings: .json"),
    ("files: [dolly.json]", "files: []", 11, "either files or hub"),
    ("files: [dolly.json]", "hub: a/b", 9, "allowed: a commit of 40 hex digits"),
    ("{own: true, layout", "{own: yes, layout", 13, "`own: true`"),
])
def test_what_is_wrong_is_named_with_its_line(read, old, new, line, message):
    with pytest.raises(StudyError) as caught:
        read((old, new))
    assert message in str(caught.value)
    assert caught.value.line == line


def data_of(catalogue, *categories):
    return DataSets(lambda: catalogue).data_of(DataConfig(source="catalogue"), categories)


def test_a_stage_carries_only_what_it_draws_from(read):
    data, _ = data_of(read(), "text_only")
    assert [each.name for each in data.catalogue.sources] == ["Dolly", "ours"]


def test_content_names_data_and_places_do_not(read, tmp_path):
    before = data_of(read(), "general", "text_only")[1]
    assert data_of(read(cache="another"), "general", "text_only")[1] == before
    (tmp_path / "moved").mkdir()
    for name in ("dolly.json", "ours.json", "general.jsonl", "images"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    moved = read(("[general.jsonl]", "[moved/general.jsonl]"), ("images: images", "images: moved/images"),
                 ("[dolly.json]", "[moved/dolly.json]"), ("[ours.json]", "[moved/ours.json]"), ("name: lab", "name: other"))
    assert data_of(moved, "general", "text_only")[1] == before


@pytest.mark.parametrize("change", [
    lambda folder: corpora.instructions(folder, 6, name="dolly"),
    lambda folder: (folder / "images" / "train" / "general_0_0.png").write_bytes(b"another picture"),
    lambda folder: (folder / "general.jsonl").write_text((folder / "general.jsonl").read_text().replace("yes", "no!")),
])
def test_changed_content_is_other_data(read, tmp_path, change):
    before = data_of(read(), "general", "text_only")[1]
    change(tmp_path)
    assert data_of(read(), "general", "text_only")[1] != before


@pytest.mark.parametrize("change", [("take: 3", "take: 2"), ("image_prefix: train/", "boxes: pixels")])
def test_changed_reading_is_other_data(read, change):
    assert data_of(read(change), "general", "text_only")[1] != data_of(read(), "general", "text_only")[1]


def test_tolerance_for_broken_samples_is_not_part_of_the_name(read):
    assert data_of(read(("take: 3", "take: 3\n      broken: 0.1")), "text_only")[1] == data_of(read(), "text_only")[1]


def test_categories_without_data_are_collected(read):
    sets = DataSets(read)
    sets.data_of(DataConfig(source="catalogue"), ("general", "science", "code"))
    assert sets.missing == ("code", "science")
    assert DataSets(no_catalogue).data_of(DataConfig(source="catalogue"), ("general",))[0].catalogue is None


def test_the_usual_place_is_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path))
    assert Settings.load().catalogue_file is None
    (tmp_path / "catalogue.yaml").touch()
    assert Settings.load().catalogue_file == tmp_path / "catalogue.yaml"
    monkeypatch.setenv("ABLATE_CATALOGUE", str(tmp_path / "other.yaml"))
    assert Settings.load().catalogue_file == Path(tmp_path / "other.yaml")


@pytest.fixture
def with_copy(tmp_path):
    """A catalogue that names a local copy of DocVQA."""
    copies.write(tmp_path, "docvqa")
    path = tmp_path / "catalogue.yaml"
    path.write_text("kind: catalogue\nname: lab\ndatasets: {}\nbenchmarks: {docvqa: docvqa}\n")
    return DataSets(lambda: load_catalogue(path, cache=tmp_path / "cache"))


def test_an_evaluation_carries_its_copy_alone_and_is_named_by_the_copys_content(with_copy, tmp_path):
    data, before = with_copy.copy_of(DataConfig(), BENCHMARKS["docvqa"])
    assert data.catalogue.copy_of("docvqa") == tmp_path / "docvqa"
    assert copy_fingerprint(data.catalogue, "docvqa") == before
    (tmp_path / "docvqa" / "val.jsonl").write_text("{}\n")
    assert copy_fingerprint(data.catalogue, "docvqa") != before


def test_a_benchmark_without_a_copy_is_missing_and_a_workbench_one_needs_none(with_copy):
    with_copy.copy_of(DataConfig(), BENCHMARKS["scene-qa"])
    assert with_copy.missing == ()
    with_copy.copy_of(DataConfig(), BENCHMARKS["mme"])
    assert with_copy.missing == ("benchmark mme",)


@pytest.mark.parametrize(("line", "message"), [("{docvq: docvqa}", "did you mean 'docvqa'"), ("{docvqa: 3}", "folder of a local copy")])
def test_a_wrong_copy_is_named_with_its_line(tmp_path, line, message):
    path = tmp_path / "catalogue.yaml"
    path.write_text(f"kind: catalogue\nname: lab\ndatasets: {{}}\nbenchmarks: {line}\n")
    with pytest.raises(StudyError, match=rf"(?s)catalogue\.yaml:4.*{message}"):
        load_catalogue(path, cache=tmp_path)


def test_the_example_of_the_documentation_is_one(tmp_path):
    document = (Path(__file__).parents[3] / "studies" / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", document, re.DOTALL)
    catalogue, benchmarks = [block for block in blocks if block.startswith(("kind: catalogue", "benchmarks:"))]
    (tmp_path / "catalogue.yaml").write_text(catalogue + benchmarks)
    found = load_catalogue(tmp_path / "catalogue.yaml", cache=tmp_path)
    assert {each.title for each in found.sources} == {"general/LLaVA v1.5 GQA", "text_rich/DVQA", "text_rich/ArxivQA", "text_only/ours"}
    assert len(found.benchmarks) == 3
