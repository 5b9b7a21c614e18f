"""Small local copies of public benchmarks, in the layouts that `Benchmark.layout` describes: what readers and evaluations are tried on."""

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from model.evaluation.benchmarks.public import BLINK_TASKS, MVBENCH_TASKS
from model.evaluation.metrics.yes_no import COGNITION, PERCEPTION

RULES = {name: {"role": "Assistant", "prompt": "Rate both."} for name in ("llava_bench_conv", "refer_desc", "refer_reason", "ground_conv")}
MATHVISTA = {
    "query": "How many?",
    "question": "How many?",
    "question_type": "free_form",
    "answer_type": "integer",
    "precision": 0,
    "choices": None,
    "answer": "4",
}
PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
PICTURES = (
    "image",
    "images",
    "image1",
    "image2",
    "image_1",
    "image_2",
    "decoded_image",
    "left_image",
    "right_image",
    "frames",
    "image_list",
)

ROWS: dict[str, dict[str, list[dict]]] = {
    "mme": {
        "test": [
            {"image": "a.png", "question": f"Is it {word}?", "answer": answer, "question_id": "1.png", "category": task}
            for task in PERCEPTION + COGNITION
            for word, answer in (("red", "Yes"), ("blue", "No"))
        ]
    },
    "seed-img": {
        "test": [
            {
                "image": "a.png",
                "question": "Which?",
                "choice_a": "x",
                "choice_b": "y",
                "choice_c": "z",
                "choice_d": "w",
                "answer": "B",
                "question_id": "1",
                "data_type": kind,
            }
            for kind in ("image", "video")
        ]
    },
    "pope": {
        subset: [{"image": "a.png", "question": "Is there a dog?", "answer": "yes"}] for subset in ("random", "popular", "adversarial")
    },
    "llava-bench-wild": {
        "test": [
            {
                "image": "a.png",
                "question": "Describe.",
                "caption": ["a", "b"],
                "gpt_answer": "A dog.",
                "category": "conv",
                "question_id": "0",
            }
        ]
    },
    "mm-vet": {"test": [{"image": "a.png", "question": "What?", "answer": "a<AND>b", "capability": ["ocr", "math"], "question_id": "v1"}]},
    "realworldqa": {"test": [{"image": "a.png", "question": "Left or right? A. left B. right", "answer": "A"}]},
    "wtq": {"test": [{"image": "a.png", "question": "Who?", "answer": ["a|b", "c"]}]},
    "tabfact": {"test": [{"image": "a.png", "question": "All are red.", "answer": 1}]},
    "ocrbench": {
        "test": [{"image": "a.png", "question": "Read.", "answer": ["hello"], "dataset": "IIIT5K", "question_type": "Regular Text"}]
    },
    "chartqa": {
        "test": [{"image": "a.png", "question": "How many?", "answer": "4", "type": f"{half}_test"} for half in ("human", "augmented")]
    },
    "textvqa": {"val": [{"image": "a.png", "question": "Brand?", "answers": ["nokia"] * 10, "question_id": 1}]},
    "docvqa": {"val": [{"image": "a.png", "question": "Date?", "answers": ["may 1"], "questionId": "7"}]},
    "infovqa": {"val": [{"image": "a.png", "question": "Share?", "answers": ["5 %"], "questionId": "7"}]},
    "ai2d": {"test": [{"image": "a.png", "question": "Which?", "options": ["x", "y"], "answer": "1"}]},
    "scienceqa-img": {
        "test": [{"image": image, "question": "Which?", "choices": ["x", "y"], "hint": "", "answer": 0} for image in ("a.png", None)]
    },
    "mathvista": {"testmini": [{"decoded_image": "a.png", "pid": "1", **MATHVISTA}]},
    "mmmu": {
        "val": [
            {
                "id": "validation_Art_1",
                "question": "Which is <image 1>?",
                "options": "['x', '<image 2>']",
                "question_type": "multiple-choice",
                "answer": "B",
                "image_1": "a.png",
                "image_2": "b.png",
            },
            {
                "id": "validation_Math_1",
                "question": "How many? <image 1>",
                "options": "[]",
                "question_type": "open",
                "answer": "4",
                "image_1": "a.png",
                "image_2": None,
            },
        ]
    },
    "flickr30k": {
        "test": [
            {
                "image": "a.png",
                "sentence": "A dog and a cat.",
                "phrases": [{"phrase": "A dog", "boxes": [[0, 0, 4, 4]]}, {"phrase": "a cat", "boxes": [[4, 0, 8, 6]]}],
            }
        ]
    },
    "lvis-ferret": {
        "test": [{"image": "a.png", "question": "What is in [0, 0, 9, 9]?", "name": "cup", "synonyms": ["mug"], "prompt": "box"}]
    },
    "refcoco": {split: [{"image": "a.png", "bbox": [0, 0, 4, 6], "answer": ["left", "dog"]}] for split in ("val", "testA", "testB")},
    "refcoco-plus": {split: [{"image": "a.png", "bbox": [0, 0, 4, 6], "answer": ["dog"]}] for split in ("val", "testA", "testB")},
    "refcocog": {split: [{"image": "a.png", "bbox": [0, 0, 4, 6], "answer": ["dog"]}] for split in ("val", "test")},
    "ferret-bench": {
        "test": [
            {
                "image": "a.png",
                "question": "Describe [1, 2, 3, 4].",
                "context": "c",
                "gpt_answer": "A dog.",
                "category": name,
                "question_id": name,
            }
            for name in ("refer_desc", "refer_reason", "ground_conv")
        ]
    },
    "qbench2": {
        "dev": [
            {
                "image1": "a.png",
                "image2": "b.png",
                "question": "Which?",
                "option0": "x",
                "option1": "y",
                "option2": "N/A",
                "option3": "N/A",
                "correct_choice": "B",
                "id": 1,
            }
        ]
    },
    "mantis": {
        "test": [
            {"images": ["a.png", "b.png"], "question": "Which?", "options": options, "question_type": kind, "answer": answer, "id": kind}
            for options, kind, answer in ((["(A) x", "(B) y"], "multi-choice", "B"), ([], "short-answer", "dog"))
        ]
    },
    "nlvr2": {
        "test": [{"left_image": "a.png", "right_image": "b.png", "sentence": "Both are red.", "label": "True", "identifier": "t-1-0-0"}]
    },
    "blink": {
        "val": [
            {
                "image_1": "a.png",
                "image_2": "b.png",
                "prompt": "Which? (A) x (B) y",
                "choices": ["x", "y"],
                "answer": "(A)",
                "idx": f"val_{task}_1",
                "sub_task": task,
            }
            for task in BLINK_TASKS
        ]
    },
    "mvbench": {
        task: [{"frames": ["a.png", "b.png"], "question": "What?", "candidates": ["x", "y"], "answer": "y"}] for task in MVBENCH_TASKS
    },
    "muirbench": {
        "test": [{"image_list": ["a.png", "b.png"], "question": "<image> or <image>?", "options": ["x", "y"], "answer": "A", "idx": 1}]
    },
    "held-out-text": {"test": [{"text": "Nobody has read this."}, {"text": "Nor this, with é."}]},
}
SUPPORT = [{"image": ["a.png"], "question": "Name it.", "answer": answer} for answer in ("dax", "wug") * 4]


def write(folder: Path, name: str, *, suffix: str = "jsonl") -> Path:
    """Write a copy and return its folder.

    Args:
        folder: to write into.
        name: of the benchmark.
        suffix: `jsonl`, `json` or `parquet`; pictures lie beside the first two, and inside the last.
    """
    target = folder / name
    target.mkdir(parents=True)
    for place, each in enumerate(("a.png", "b.png")):
        Image.new("RGB", (8 + place, 6), (200, 30 + 90 * place, 30)).save(target / each)
    for stem, rows in _rows(name).items():
        _write_rows(target, f"{stem}.{suffix}", rows)
    (target / "judge").mkdir()
    (target / "judge" / "rule.json").write_text(json.dumps(RULES))
    (target / "judge" / "prompt.txt").write_text("Grade this.")
    return target


def _rows(name: str) -> dict[str, list[dict]]:
    if name in ROWS:
        return ROWS[name]
    return {"query": [{"image": ["b.png"], "question": "Name it.", "answer": "dax"}] * 3, "support": SUPPORT}


def _write_rows(folder: Path, name: str, rows: list[dict]) -> None:
    path = folder / name
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        pq.write_table(_table([{key: _inside(folder, key, cell) for key, cell in row.items()} for row in rows]), path, row_group_size=1)


def _table(rows: list[dict]) -> pa.Table:
    columns = {}
    for key in rows[0]:
        cells = [row[key] for row in rows]
        if key in PICTURES:
            columns[key] = pa.array(cells, type=pa.list_(PICTURE) if isinstance(cells[0], list) else PICTURE)
        else:
            columns[key] = pa.array(cells)
    return pa.table(columns)


def _inside(folder: Path, key: str, cell: object) -> object:
    if key not in PICTURES or cell is None:
        return cell
    return (
        [_inside(folder, key, each) for each in cell] if isinstance(cell, list) else {"bytes": _encoded(folder / str(cell)), "path": None}
    )


def _encoded(path: Path) -> bytes:
    buffer = io.BytesIO()
    Image.open(path).save(buffer, "PNG")
    return buffer.getvalue()
