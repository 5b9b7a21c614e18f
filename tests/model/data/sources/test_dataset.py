"""Whatever a data set is stored in, its samples are what went in, and a broken one is named by file and index."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from model.config.catalogue import SourceConfig
from model.data.sources.dataset import BrokenSample, open_dataset
from tests.support import corpora


def opened(tmp_path, source):
    return open_dataset(source, corpora.catalogue(tmp_path, source))


def same(found, expected):
    assert found.turns == expected.turns
    assert [image.tobytes() for image in found.images] == [image.tobytes() for image in expected.images]


MAKERS = {
    "json lines": lambda folder: corpora.llava(folder, "general", 7),
    "a JSON list": lambda folder: corpora.llava(folder, "general", 7, lines=False),
    "parquet": lambda folder: corpora.cauldron(folder, "general", 7),
    "tar shards": lambda folder: corpora.webdataset(folder, "general", 7),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_samples_come_out_as_they_went_in(tmp_path, kind):
    source = opened(tmp_path, MAKERS[kind](tmp_path / "data"))
    assert len(source) == 7
    for index, expected in enumerate(corpora.made("general", 7)):
        found = source.sample(index)
        same(found, expected)
        assert (found.category, found.source) == ("general", source.config.title)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_second_opening_reads_the_same_from_the_cache(tmp_path, kind):
    config = MAKERS[kind](tmp_path / "data")
    first = opened(tmp_path, config).sample(5)
    again = open_dataset(config, replace(corpora.catalogue(tmp_path, config), name="again")).sample(5)
    same(again, first)


def test_several_images_keep_their_places(tmp_path):
    source = opened(tmp_path, corpora.llava(tmp_path, "multi_image", 3))
    same(source.sample(2), corpora.made("multi_image", 3)[2])


def test_a_document_keeps_the_order_of_text_and_images(tmp_path):
    source = opened(tmp_path, corpora.documents(tmp_path, 3))
    for index, expected in enumerate(corpora.made("interleaved", 3)):
        same(source.sample(index), expected)


def test_a_changed_file_is_indexed_anew(tmp_path):
    config = corpora.instructions(tmp_path, 3)
    assert len(opened(tmp_path, config)) == 3
    corpora.instructions(tmp_path, 5)
    assert len(opened(tmp_path, config)) == 5


def test_the_prefix_takes_one_part_of_a_mixed_file(tmp_path):
    config = corpora.llava(tmp_path, "general", 4)
    path = Path(config.files[0])
    other = {"image": "gqa/x.png", "conversations": []}
    path.write_text(path.read_text() + "\n" + json.dumps(other))
    kept = opened(tmp_path, replace(config, image_prefix="train/"))
    assert len(kept) == 4
    rest = opened(tmp_path, replace(config, image_prefix="gqa/"))
    with pytest.raises(BrokenSample, match=r"general\.jsonl:4: "):
        rest.sample(0)


def test_take_chooses_the_same_samples_every_time_and_not_the_first(tmp_path):
    config = replace(corpora.instructions(tmp_path, 50), take=10)
    found = [opened(tmp_path, config).sample(index).sample_id for index in range(10)]
    assert found == [open_dataset(config, corpora.catalogue(tmp_path / "b", config)).sample(index).sample_id for index in range(10)]
    assert len(set(found)) == 10
    assert found != [f"text_only/sums: {config.files[0]}:{index}" for index in range(10)]


def test_taking_more_than_there_is_is_refused(tmp_path):
    with pytest.raises(ValueError, match="take is 9, but it has 3 samples"):
        opened(tmp_path, replace(corpora.instructions(tmp_path, 3), take=9))


def test_a_broken_line_is_named_by_file_and_index(tmp_path):
    config = corpora.llava(tmp_path, "general", 3)
    path = Path(config.files[0])
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:50], lines[2]]))
    source = opened(tmp_path, config)
    same(source.sample(2), corpora.made("general", 3)[2])
    with pytest.raises(BrokenSample, match=r"general/general-llava: .*general\.jsonl:1: not JSON"):
        source.sample(1)


def test_a_damaged_image_names_the_record_and_the_image(tmp_path):
    config = corpora.llava(tmp_path, "general", 3)
    image = tmp_path / "images" / "train" / "general_1_0.png"
    image.write_bytes(image.read_bytes()[:40])
    with pytest.raises(BrokenSample, match=r"general\.jsonl:1: .*general_1_0\.png: damaged"):
        opened(tmp_path, config).sample(1)


def test_a_row_of_parquet_is_named_in_its_own_file(tmp_path):
    config = corpora.cauldron(tmp_path, "general", 6)
    with pytest.raises(BrokenSample, match=r"general-00001\.parquet:2: has no .?`?image"):
        opened(tmp_path, replace(config, layout="caption")).sample(5)


@pytest.mark.parametrize(("name", "content", "message"), [
    ("a.json", b"{}", "not a JSON list"), ("a.json", b"[1, 2", "not a JSON list"), ("a.json", b"[]", "contains no samples"),
    ("a.jsonl", b"\n\n", "contains no samples"), ("a.parquet", b"PAR1", "not readable as parquet"),
    ("a.tar", b"\x1f\x8b\x08 compressed", "not a readable, uncompressed tar"),
])
def test_an_unreadable_file_is_refused_by_name(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        opened(tmp_path, SourceConfig(category="general", name="x", layout="llava", files=(str(tmp_path / name),)))


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere\.json: cannot be read"):
        opened(tmp_path, SourceConfig(category="general", name="x", layout="llava", files=(str(tmp_path / "nowhere.json"),)))
    with pytest.raises(ValueError, match=r"\*\.json: no such file"):
        opened(tmp_path, SourceConfig(category="general", name="x", layout="llava", files=(str(tmp_path / "*.json"),)))


def test_a_list_with_any_white_space_and_any_alphabet_is_indexed_by_bytes(tmp_path):
    records = [{"instruction": f"Grüße {'λ' * n} 😀?", "output": f"да {n}"} for n in range(6)]
    text = " [\n" + " ,\t\n".join(json.dumps(record, ensure_ascii=False) for record in records) + "\r\n ]\n"
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    source = opened(tmp_path, SourceConfig(category="text_only", name="x", layout="text", files=(str(tmp_path / "a.json"),)))
    assert [source.sample(index).turns[0].answer for index in range(6)] == [record["output"] for record in records]


@pytest.mark.parametrize("content", [json.dumps([{"instruction": "a λ", "output": "b"}] * 3), ' [{"instruction": "ü", "output": "c"}] '])
def test_a_byte_order_mark_is_no_part_of_a_list(tmp_path, content):
    for name, begin in (("with.json", b"\xef\xbb\xbf"), ("without.json", b"")):
        (tmp_path / name).write_bytes(begin + content.encode())
    sources = [opened(tmp_path, SourceConfig(category="text_only", name="x", layout="text", files=(str(tmp_path / name),)))
               for name in ("with.json", "without.json")]
    turns = [[source.sample(index).turns for index in range(len(source))] for source in sources]
    assert turns[0] == turns[1]


def test_a_byte_order_mark_is_no_part_of_a_line_or_of_a_caption(tmp_path):
    mark = b"\xef\xbb\xbf"
    (tmp_path / "a.jsonl").write_bytes(mark + json.dumps({"instruction": "a", "output": "b"}).encode())
    lines = SourceConfig(category="text_only", name="x", layout="text", files=(str(tmp_path / "a.jsonl"),))
    assert opened(tmp_path, lines).sample(0).turns[0].question == "a"
    corpora.shard(tmp_path / "a.tar", [("0.png", corpora.png(corpora.made("general", 1)[0].images[0])), ("0.txt", mark + b"a dog")])
    shard = SourceConfig(category="caption", name="x", layout="caption", files=(str(tmp_path / "a.tar"),))
    assert opened(tmp_path, shard).sample(0).turns[0].answer == "a dog"
