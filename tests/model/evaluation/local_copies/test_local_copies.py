"""Local copies of every public benchmark, as JSON and as parquet."""

import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.config.scoring import ScoringConfig
from model.evaluation.benchmark_scores import limited, total
from model.evaluation.benchmarks.registry import BENCHMARKS
from model.evaluation.judge.grading import JUDGED
from model.evaluation.local_copies.items import LocalItems
from model.evaluation.metrics import score_item
from tests.support.copies import ROWS, write

PUBLIC = [name for name, each in BENCHMARKS.items() if each.source == "catalogue"]
HALF, WHOLE = "[0, 0, 500, 1000]", "[500, 0, 1000, 1000]"
SAID = {"tabfact": "True", "wtq": "c|a\\pb", "refcoco": HALF, "refcoco-plus": HALF, "refcocog": HALF, "held-out-text": "0.0"}
"""Answers that are right, where the reference itself is not."""


def right(item):
    by_phrase = {"A dog": "[0, 0, 500, 667]", "a cat": WHOLE}.get(item.meta.get("phrase", ""))
    tail = "." if item.benchmark == "ai2d" else ""
    return by_phrase or SAID.get(item.benchmark, item.references[0] + tail)


def items_of(folder, name, suffix="jsonl"):
    return LocalItems(BENCHMARKS[name], write(folder, name, suffix=suffix))


@pytest.mark.parametrize("name", PUBLIC)
def test_json_and_parquet_hold_the_same_items_with_their_pictures(tmp_path, name):
    found = [list(items_of(tmp_path / suffix, name, suffix)) for suffix in ("jsonl", "json", "parquet")]
    for each in zip(*found, strict=True):
        assert len({(item.item_id, item.question, item.references, item.options, item.shots, str(item.meta)) for item in each}) == 1
        assert len({tuple(image.tobytes() for image in item.images) for item in each}) == 1
        assert each[0].num_markers == len(each[0].images)


@pytest.mark.parametrize("name", [name for name in PUBLIC if BENCHMARKS[name].metric not in JUDGED])
def test_right_answers_score_100_and_all_groups_are_there(tmp_path, name):
    spec, items = BENCHMARKS[name], list(items_of(tmp_path, name))
    scores = [score_item(spec.metric, right(item), item) for item in items]
    found = total(spec, items, scores, ScoringConfig(), is_limited=True)
    assert found.score == pytest.approx(100)
    assert found.is_complete
    assert found.num_unparseable == 0


@pytest.mark.parametrize(("name", "count"), [("seed-img", 1), ("scienceqa-img", 1), ("refcoco", 6), ("flickr30k", 2), ("mme", 28)])
def test_rows_become_as_many_items_as_the_benchmark_has(tmp_path, name, count):
    assert len(items_of(tmp_path, name)) == count


def test_images_stand_where_the_question_places_them(tmp_path):
    items = list(items_of(tmp_path, "mmmu"))
    assert items[0].question.startswith("Which is <image>?\nA. x\nB. <image>")
    assert [image.width for image in items[0].images] == [8, 9]


@pytest.mark.parametrize("shots", [0, 4, 8])
def test_in_context_items_have_their_examples_from_the_support_alone(tmp_path, shots):
    item = items_of(tmp_path, f"open-mi-{shots}shot")[0]
    assert len(item.shots) == shots
    assert len(item.images) == shots + 1
    assert {shot.answer for shot in item.shots} <= {"dax", "wug"}


def test_more_shots_begin_with_the_fewer_ones(tmp_path):
    four, eight = (items_of(tmp_path / str(shots), f"open-mi-{shots}shot") for shots in (4, 8))
    assert [four[i].shots for i in range(3)] == [eight[i].shots[:4] for i in range(3)]


def broken(tmp_path, name, change):
    folder = write(tmp_path, name)
    path = next(folder.glob("*.jsonl"))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    change(rows)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("docvqa", lambda rows: rows[0].pop("answers"), "row 0: no 'answers'"),
        ("docvqa", lambda rows: rows[0].pop("question"), r"row 0: no 'question'; did you mean 'questionId'"),
        ("ai2d", lambda rows: rows[0].update(answer="7"), "row 0: the answer is 7; allowed: one of A, B"),
        ("mme", lambda rows: rows[3].update(answer="maybe"), "row 3: the answer is 'maybe'; allowed: yes, no"),
        ("nlvr2", lambda rows: rows[0].update(label="perhaps"), "label is 'perhaps'"),
        ("refcoco", lambda rows: rows[0].update(bbox=[1, 2]), "allowed: four numbers"),
        ("mvbench", lambda rows: rows[0].update(answer="z"), "none of the candidates"),
        ("textvqa", lambda rows: rows.append(rows[0]), "two items have the name textvqa/1"),
        ("seed-img", lambda rows: rows.pop(0), "no items of seed-img"),
    ],
)
def test_a_broken_row_is_named_with_file_and_number(tmp_path, name, change, message):
    with pytest.raises(ValueError, match=message):
        LocalItems(BENCHMARKS[name], broken(tmp_path, name, change))


@pytest.mark.parametrize(("picture", "message"), [("../../secret.png", "leaves"), ("missing.png", "cannot be read"), (7, "no image")])
def test_a_picture_outside_or_absent_is_refused(tmp_path, picture, message):
    items = LocalItems(BENCHMARKS["docvqa"], broken(tmp_path, "docvqa", lambda rows: rows[0].update(image=picture)))
    with pytest.raises(ValueError, match=rf"row 0.*{message}|{message}"):
        items[0]


def test_a_row_group_is_read_once_for_each_column_of_pictures(tmp_path, monkeypatch):
    folder = write(tmp_path, "mmmu", suffix="parquet")
    (path,) = folder.glob("*.parquet")
    table = pa.concat_tables([pq.read_table(path)] * 2)  # items with two pictures each
    place = table.schema.get_field_index("id")
    pq.write_table(table.set_column(place, "id", pa.array([f"item-{number}" for number in range(len(table))])), path)  # in one group
    items, read = LocalItems(BENCHMARKS["mmmu"], folder), []
    whole = pq.ParquetFile.read_row_group

    def counted(file, group, columns):
        read.append((group, *columns))
        return whole(file, group, columns)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counted)
    assert sum(len(item.images) for item in items) > len(read) == len(set(read)) > 1


def test_an_absent_copy_says_what_is_allowed(tmp_path):
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "none"))):
        LocalItems(BENCHMARKS["mme"], tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="parquet"):
        LocalItems(BENCHMARKS["mme"], tmp_path / "empty")


def test_a_limit_takes_turns_between_groups_and_keeps_mme_pairs_together(tmp_path):
    items = items_of(tmp_path, "mme")
    metas = [items.meta(index) for index in range(len(items))]
    chosen = limited(BENCHMARKS["mme"], metas, 9)
    assert len(chosen) == 8
    assert [metas[index]["task"] for index in chosen] == [metas[index ^ 1]["task"] for index in chosen]
    pope = items_of(tmp_path, "pope")
    assert {pope.meta(index)["subset"] for index in limited(BENCHMARKS["pope"], [pope.meta(i) for i in range(3)], 3)} == {
        "random",
        "popular",
        "adversarial",
    }


def test_every_deck_benchmark_is_tried_here():
    assert {name for name in PUBLIC if BENCHMARKS[name].category != "in_context"} == ROWS.keys()
