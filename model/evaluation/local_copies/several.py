"""Rows of benchmarks with several images, with boxes, or with worked examples, and of MMMU.

Boxes are stored in px in `meta["boxes"]`, because answers are compared in px of the opened image.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace

from model.config.benchmark import Benchmark
from model.evaluation.local_copies.draft import ItemDraft, Maker, ask, draft, letter_of, list_of
from model.evaluation.local_copies.rows import Row
from model.samples import IMAGE

MANTIS_TAILS = {True: "Answer with the option's letter from the given choices directly.",
                False: 'Give your final answer after "Final Answer:".'}
"""What follows a multiple-choice question (True), and any other question (False)."""
BLINK_IMAGES = tuple(f"image_{number}" for number in range(1, 5))


def mmmu(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert an MMMU row: `<image 1>` marks images in question and options.

    An open question may have several gold answers.
    """
    options, kind = list_of(row, "options"), row.text("question_type")
    meta = {"subject": re.sub(r"^(?:validation|dev|test)_|_\d+$", "", row.text("id")), "question_type": kind}
    template = (
        spec.prompt if kind == "multiple-choice" else "{question}\nAnswer the question using a single word or phrase."
    )
    text = ask(_with_prompt(spec, template), row.text("question"), options=options, images=0)
    wanted = re.findall(r"<image (\d)>", text)
    pictures = row.pictures(*(f"image_{number}" for number in wanted)) if wanted else ()
    golds = [letter_of(row["answer"], options, row)] if kind == "multiple-choice" else _golds(row)
    return [ItemDraft(item_id=f"{spec.name}/{row.text('id')}", question=re.sub(r"<image \d>", IMAGE, text), references=tuple(golds),
                  pictures=pictures, options=tuple(options) if kind == "multiple-choice" else (), meta=meta)]


def refcoco(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert a RefCOCO row to one item for each expression.

    The file's name gives the split; bbox is x, y, width, height in px.
    """
    split = next((name for name in spec.groups for part in _parts(row) if part.startswith(name)), "")
    if not split:
        raise ValueError(f"{row.where}: no split in the name of the file or its folder; "
                         f"allowed: names that start with {', '.join(spec.groups)}")
    x, y, width, height = _four(row, row["bbox"])
    meta = {"split": split, "boxes": json.dumps([[x, y, x + width, y + height]])}
    return [each for place, phrase in enumerate(list_of(row, "answer"))
            for each in draft(row, spec, phrase, name=f"{split}/{row.place}/{place}", references=[phrase], meta=meta)]


def flickr30k(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert a Flickr30k row to one item for each phrase of its sentence: {phrase, boxes}, corners in px."""
    found = []
    for place, each in enumerate(row["phrases"]):
        boxes = [_four(row, box) for box in each["boxes"]]
        meta = {"phrase": str(each["phrase"]), "boxes": json.dumps(boxes)}
        found += draft(row, spec, f"{each['phrase']}\nSentence: {row.text('sentence')}", name=f"{row.key}/{place}",
                       references=[str(each["phrase"])], meta=meta)
    return found


def lvis(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert an LVIS row: a region whose name or synonym is asked for; `prompt` is box or point."""
    names = [row.text("name"), *list_of(row, "synonyms", may_lack=True)]
    meta = {"prompt": row.text("prompt", "box")}
    return draft(row, spec, row.text("question"), name=row.text("id", row.key), references=dict.fromkeys(names), meta=meta)  # type: ignore[arg-type]


def qbench2(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert a Q-Bench2 row: two images; two to four options, the others are N/A."""
    options = [cell for cell in (row.text(f"option{place}", "N/A") for place in range(4)) if cell != "N/A"]
    return draft(row, spec, row.text("question"), name=row.text("id"), images=["image1", "image2"], options=options,
                 references=[letter_of(row["correct_choice"], options, row)])


def mantis(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert a Mantis row: multiple choice with the options in the question, or a short answer."""
    options = list_of(row, "options", may_lack=True)
    is_choice = row.text("question_type") == "multi-choice"
    tail = MANTIS_TAILS[is_choice]
    gold = letter_of(row["answer"], options, row) if is_choice else row.text("answer")
    question = "\n".join((row.text("question"), *options, tail))
    return draft(row, spec, question, name=row.text("id"), images=["images"], options=options if is_choice else (), references=[gold])


def nlvr2(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert an NLVR2 row: two images and a statement; the identifier contains sentence and pair."""
    label = row.text("label").lower()
    if label not in ("true", "false"):
        raise ValueError(f"{row.where}: the label is {label!r}; allowed: true, false")
    name = row.text("identifier")
    return draft(row, spec, row.text("sentence"), name=name, images=["left_image", "right_image"], options=["True", "False"],
                 references=["A" if label == "true" else "B"], meta={"identifier": name})


def blink(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert a BLINK row: one to four images; the prompt contains the options; the answer is `(A)`."""
    options = list_of(row, "choices")
    return draft(row, spec, row.text("prompt"), name=row.text("idx"), images=BLINK_IMAGES, options=options,
                 references=[letter_of(row["answer"], options, row)], meta={"task": row.text("sub_task")})


def mvbench(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert an MVBench row: frames that were cut from a video; the answer is a candidate's text.

    The sub-task is a column, or the file's name.
    """
    options, answer, part = list_of(row, "candidates"), row.text("answer"), row.series.rpartition("/")[2]
    if answer not in options:
        raise ValueError(f"{row.where}: the answer {answer!r} is none of the candidates {options}")
    return draft(row, spec, row.text("question"), name=f"{row.series}/{row.place}", images=["frames"], options=options,
                 references=[letter_of(options.index(answer), options, row)], meta={"task": row.text("task", part)})


def muirbench(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert a MuirBench row: `<image>` marks images in question and options."""
    options = list_of(row, "options")
    return draft(row, spec, row.text("question"), name=row.text("idx"), images=["image_list"], options=options,
                 references=[letter_of(row["answer"], options, row)])


def _with_prompt(spec: Benchmark, prompt: str) -> Benchmark:
    return replace(spec, prompt=prompt)


def _golds(row: Row) -> list[str]:
    cell = row["answer"]
    is_list = isinstance(cell, list) or (isinstance(cell, str) and cell.strip().startswith("["))
    return list_of(row, "answer") if is_list else [row.text("answer")]


def _four(row: Row, box: Sequence[float]) -> tuple[float, float, float, float]:
    if len(box) != 4:
        raise ValueError(f"{row.where}: box {box}; allowed: four numbers")
    a, b, c, d = map(float, box)
    if not all(map(math.isfinite, (a, b, c, d))):
        raise ValueError(f"{row.where}: box {box}; allowed: finite numbers")
    return a, b, c, d


def _parts(row: Row) -> tuple[str, ...]:
    """Return the names of a row's file and of its folders below the copy, the file first."""
    return tuple(reversed(row.table.path.relative_to(row.table.root).parts))


SEVERAL: dict[str, Maker] = {
    "mmmu": mmmu, "refcoco": refcoco, "refcoco-plus": refcoco, "refcocog": refcoco, "flickr30k": flickr30k, "lvis-ferret": lvis,
    "qbench2": qbench2, "mantis": mantis, "nlvr2": nlvr2, "blink": blink, "mvbench": mvbench,
    "muirbench": muirbench,
}
