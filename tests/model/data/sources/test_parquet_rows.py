"""Rows of parquet are what the columns hold, whatever the file says of itself, in any number of files."""

import json

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from model.config.catalogue import CatalogueConfig, SourceConfig
from model.data.sources.dataset import BrokenSample, Source
from tests.support import corpora

TALK = [{"from": "human", "value": "<image>What?"}, {"from": "gpt", "value": "It."}]


def opened(folder, *files, **fields):
    config = SourceConfig(**{"category": "general", "name": "x", "layout": "llava", "files": tuple(map(str, files)), **fields})
    return Source(config, CatalogueConfig(name="c", sources=(config,), cache=str(folder / "cache")))


def texts(folder, name, answers, kind=None):
    """Write instructions with these answers."""
    table = pa.table({"instruction": pa.array(["a"] * len(answers), pa.string()), "output": pa.array(answers, kind or pa.string())})
    pq.write_table(table, folder / name)
    return folder / name


def test_what_a_file_says_of_its_columns_is_not_followed(tmp_path, monkeypatch):
    secret = tmp_path / "secret.png"
    secret.write_bytes(corpora.png(Image.new("RGB", (8, 8))))
    places = [{"bytes": None, "path": place} for place in (str(secret), "https://127.0.0.1:9/a.png")]
    rows = [{"image": place, "conversations": TALK, "deep": {"picture": place}} for place in places]
    feature = datasets.Features({"image": datasets.Image(), "conversations": datasets.List({"from": datasets.Value("string"),
                                 "value": datasets.Value("string")}), "deep": {"picture": datasets.Image()}})
    table = pa.Table.from_pylist(rows).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": feature.to_dict()}})})
    pq.write_table(table, tmp_path / "a.parquet")
    monkeypatch.setattr(datasets.Image, "decode_example", None)
    source = opened(tmp_path, tmp_path / "a.parquet")
    for index in range(2):
        with pytest.raises(BrokenSample, match=r"a\.parquet:\d: .*(declares no folder `images`|may not be opened)"):
            source.sample(index)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 150), min_size=1, max_size=5), st.integers(1, 80))
def test_every_row_of_several_files_is_found_at_its_place(tmp_path_factory, sizes, group):
    folder = tmp_path_factory.mktemp("shards")
    for number, size in enumerate(sizes):
        rows = {"instruction": ["a"] * size, "output": [f"{number}:{row}" for row in range(size)]}
        table = pa.table(rows, schema=pa.schema([("instruction", pa.string()), ("output", pa.string())]))
        pq.write_table(table, folder / f"a[{number}].parquet", row_group_size=group)
    expected = [f"{number}:{row}" for number, size in enumerate(sizes) for row in range(size)]
    if not expected:
        with pytest.raises(ValueError, match="contains no samples"):
            opened(folder, folder / "a[*].parquet", layout="text", category="text_only")
        return
    source = opened(folder, folder / "a[*].parquet", layout="text", category="text_only")
    assert [source.sample(index).turns[0].answer for index in range(len(source))] == expected
    assert [source.sample(index).sample_id.rpartition("/")[2] for index in range(len(source))] == [
        f"a[{each.replace(':', '].parquet:')}" for each in expected]


def test_the_odd_file_is_named(tmp_path):
    for name in ("a-0.parquet", "a-2.parquet"):
        texts(tmp_path, name, ["x"])
    odd = texts(tmp_path, "a-1.parquet", [1], pa.int64())
    with pytest.raises(ValueError, match=r"a-1\.parquet: column 'output' is int; in the other files .* string"):
        opened(tmp_path, tmp_path / "a-*.parquet", layout="text", category="text_only")
    pq.write_table(pa.table({"instruction": ["a"]}), odd)
    with pytest.raises(ValueError, match=r"a-1\.parquet: column 'output' is not there; in the other files"):
        opened(tmp_path, tmp_path / "a-*.parquet", layout="text", category="text_only")


@pytest.mark.parametrize("kind", [pa.large_string(), pa.null(), pa.dictionary(pa.int32(), pa.string())])
def test_widths_and_empty_columns_are_no_other_kind(tmp_path, kind):
    texts(tmp_path, "a-0.parquet", ["x", "y"])
    texts(tmp_path, "a-1.parquet", [None, None] if kind == pa.null() else ["z", "z"], kind)
    assert len(opened(tmp_path, tmp_path / "a-*.parquet", layout="text", category="text_only")) == 4


def test_a_file_without_rows_may_have_other_columns(tmp_path):
    texts(tmp_path, "a-0.parquet", ["x"])
    pq.write_table(pa.table({"other": pa.array([], pa.int8())}), tmp_path / "a-1.parquet")
    assert len(opened(tmp_path, tmp_path / "a-*.parquet", layout="text", category="text_only")) == 1
