"""Copies as they lie on the hub and as tools write them: in several files, with marks, lists, nulls; read right or refused by row."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.evaluation.benchmarks.registry import BENCHMARKS
from model.evaluation.local_copies.draft import list_of
from model.evaluation.local_copies.items import LocalItems
from model.evaluation.local_copies.rows import Row, RowTable, plain_text
from tests.support.copies import ROWS, write

PARQUET = [name for name in ROWS if BENCHMARKS[name].category != "in_context"]
SHARDED = [name for name in PARQUET if name not in ("textvqa", "docvqa", "infovqa", "mm-vet", "llava-bench-wild", "ferret-bench")]
"""Benchmarks whose rows bring no name of their own; of the others a row twice is an error."""
ONE_NAME = {"seed-img", "mathvista", "mmmu", "qbench2", "mantis", "nlvr2", "blink", "muirbench"}


def sharded(folder, name, form):
    """Write every file of a copy twice, under the names of shards."""
    copy = write(folder, name, suffix="parquet")
    for path in list(copy.rglob("*.parquet")):
        table = pq.read_table(path)
        for number in range(2):
            part = copy / form.format(stem=path.stem, number=number)
            part.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, part)
        path.unlink()
    return copy


@pytest.mark.parametrize("form", ["{stem}-0000{number}-of-00002.parquet", "{stem}/000{number}.parquet", "data/{stem}-{number}.parquet"])
@pytest.mark.parametrize("name", [name for name in SHARDED if name not in ONE_NAME])
def test_shards_of_a_split_load_with_different_names(tmp_path, name, form):
    whole = LocalItems(BENCHMARKS[name], write(tmp_path / "whole", name, suffix="parquet"))
    items = list(LocalItems(BENCHMARKS[name], sharded(tmp_path / "shards", name, form)))
    assert len({item.item_id for item in items}) == len(items) == 2 * len(whole)
    assert sorted(item.meta.get("task", "") for item in items) == sorted(2 * [item.meta.get("task", "") for item in whole])


def test_a_shard_without_rows_is_no_matter(tmp_path):
    copy = sharded(tmp_path, "realworldqa", "test-0000{number}-of-00002.parquet")
    (first, _) = sorted(copy.rglob("*.parquet"))
    pq.write_table(pq.read_table(first).slice(0, 0), first)
    assert [item.item_id for item in LocalItems(BENCHMARKS["realworldqa"], copy)] == ["realworldqa/0"]


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_a_byte_order_mark_is_no_part_of_the_rows(tmp_path, suffix):
    copy = write(tmp_path, "docvqa", suffix=suffix)
    (path,) = copy.glob(f"*.{suffix}")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert LocalItems(BENCHMARKS["docvqa"], copy)[0].references == ("may 1",)


def changed(tmp_path, name, **cells):
    copy = write(tmp_path, name)
    path = next(copy.glob("*.jsonl"))
    first, *others = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps(json.loads(first) | cells), *others]))
    return copy


@pytest.mark.parametrize(("name", "cells", "says"), [
    ("realworldqa", {"answer": ["A"]}, "answer is .*list"), ("realworldqa", {"answer": float("nan")}, "answer is 'nan'"),
    ("docvqa", {"answers": ["a", None]}, r"answers\[1\] is 'None'"), ("docvqa", {"answers": [float("inf")]}, r"answers\[0\] is 'inf'"),
    ("docvqa", {"answers": {"a": 1}}, "answers is dict"), ("mm-vet", {"capability": ["ocr", None]}, r"capability\[1\]"),
    ("docvqa", {"answers": "['a' 'b']"}, "numpy array"), ("mmmu", {"options": "['x' 'y'\n 'z']"}, "numpy array"),
    ("docvqa", {"question": "Which has <image>?"}, "a text contains <image>"),
    ("ai2d", {"options": ["x", "<image>"]}, "a text contains <image>"),
    ("muirbench", {"question": "No place at all? <image> <image> <image>"}, "3 markers"),
    ("docvqa", {"question": "hi \ud83d there"}, r"half of a character \(U\+D83D\)"),
    ("docvqa", {"answers": ["\udc00"]}, "half of a character"),
    ("flickr30k", {"phrases": [{"phrase": "a dog"}]}, "KeyError: 'boxes'"), ("flickr30k", {"phrases": [7]}, "TypeError"),
    ("refcoco", {"bbox": [0, 0, float("nan"), 1]}, "finite numbers"), ("refcoco", {"bbox": ["x", 0, 1, 1]}, "could not convert"),
    ("mathvista", {"precision": "many"}, "many"), ("llava-bench-wild", {"caption": ["a", None]}, "caption is 'None'"),
])
def test_what_is_not_what_it_says_is_refused_by_row(tmp_path, name, cells, says):
    with pytest.raises(ValueError, match=rf"row 0: .*{says}"):
        LocalItems(BENCHMARKS[name], changed(tmp_path, name, **cells))


def test_a_line_that_is_no_json_is_named_by_its_number(tmp_path):
    copy = write(tmp_path, "mme")
    (path,) = copy.glob("*.jsonl")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:6], "{broken", *lines[7:]]))
    with pytest.raises(ValueError, match=r"\.jsonl:7: not JSON"):
        LocalItems(BENCHMARKS["mme"], copy)



@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=2, max_size=6))
def test_lists_and_their_texts_are_read_and_what_numpy_prints_is_not(values):
    row = Row(RowTable.__new__(RowTable), 0, {"x": str(values)})
    row.table.path = "t"
    assert list_of(row, "x") == [value.strip() for value in values]
    row = Row(row.table, 0, {"x": str(np.array(values, dtype=object))})
    with pytest.raises(ValueError, match="row 0"):
        list_of(row, "x")


@pytest.mark.parametrize("cell", [None, [], {}, float("nan"), b"x", ("a",), np.array(["a"])])
def test_only_text_and_numbers_are_text(cell):
    with pytest.raises(ValueError, match="here is .*; allowed: text or a number"):
        plain_text(cell, "here")


@pytest.mark.parametrize(("cell", "expected"), [(" a ", "a"), (3, "3"), (0.5, "0.5"), (True, "True")])
def test_texts_numbers_and_truths_are_text(cell, expected):
    assert plain_text(cell, "here") == expected
