"""Rows of general and text-rich benchmarks. Columns are those of the hub's copies."""

from __future__ import annotations

from collections.abc import Sequence

from model.config.benchmark import Benchmark
from model.evaluation.local_copies.draft import LETTERS, ItemDraft, Maker, draft, letter_of, list_of
from model.evaluation.local_copies.rows import Row, plain_text

POPE_SUBSETS = {
    "adv": "adversarial",
    "adversarial": "adversarial",
    "pop": "popular",
    "popular": "popular",
    "random": "random",
}


def mme(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert an MME row: two questions an image; `question_id` is the image, `category` the sub-task."""
    answer = _yes_no(row, "answer")
    meta = {"task": row.text("category"), "image": row.text("question_id")}
    return draft(row, spec, row.text("question"), name=f"{meta['task']}/{meta['image']}/{row.place}", references=[answer], meta=meta)


def pope(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert a POPE row: three subsets over the same images, given by `category` or by the file's name."""
    named = row.text("category", row.series).lower()
    subset = next((full for short, full in POPE_SUBSETS.items() if short in named), "")
    if not subset:
        raise ValueError(f"{row.where}: subset {named!r}; allowed: {', '.join(dict.fromkeys(POPE_SUBSETS.values()))}")
    return draft(row, spec, row.text("question"), name=f"{subset}/{row.place}", references=[_yes_no(row, "answer")],
                 meta={"subset": subset})


def seed(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert a SEED row. Rows of videos are left out, as in the deck's SEED-IMG."""
    if row.text("data_type", "image") != "image":
        return []
    options = [row.text(f"choice_{letter}") for letter in "abcd"]
    return draft(row, spec, row.text("question"), name=row.text("question_id"), options=options,
                 references=[letter_of(row["answer"], options, row)])


def realworldqa(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert a RealWorldQA row: the question contains its options, if it has any."""
    return draft(row, spec, row.text("question"), name=row.key, references=[row.text("answer")])


def judged(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert a row of LLaVA-Bench or Ferret-Bench: a reference answer, and the image's description for the judge."""
    told = row.get("caption", row.get("context"))
    lines = told if isinstance(told, list) else [told]
    context = "\n".join(plain_text(line, f"{row.where}: caption") for line in lines)
    meta = {"category": row.text("category"), "context": context}
    name = row.text("question_id", row.key)
    return draft(row, spec, row.text("question"), name=name, references=[row.text("gpt_answer")], meta=meta)


def mmvet(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert an MM-Vet row: <AND> and <OR> join the parts of the gold answer; `capability` lists what is needed."""
    needs = row.get("capability")
    meta = {
        "capability": ",".join(list_of(row, "capability")) if isinstance(needs, list) else row.text("capability", "")
    }
    return draft(
        row, spec, row.text("question"), name=row.text("question_id"), references=[row.text("answer")], meta=meta
    )


def one_answer(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert a ChartQA row: one answer; `type` is human_test or augmented_test."""
    half = row.text("type", row.series)
    meta = {"half": "human" if "human" in half else "augmented"}
    return draft(
        row, spec, row.text("question"), name=f"{meta['half']}/{row.place}", references=[row.text("answer")], meta=meta
    )


def answers(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert a row of TextVQA, DocVQA or InfoVQA: several accepted answers."""
    given = list_of(row, "answers")
    name = row.text("question_id", row.get("questionId", row.key))
    return draft(row, spec, row.text("question"), name=name, references=given)


def ocrbench(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert an OCRBench row: `dataset` identifies handwritten formulas; `question_type` is one of five groups."""
    cell = row["answer"]
    given = list_of(row, "answer") if isinstance(cell, list) else [row.text("answer")]
    meta = {"dataset": row.text("dataset"), "type": row.text("question_type", "")}
    return draft(row, spec, row.text("question"), name=row.key, references=given, meta=meta)


def wtq(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert a WTQ row: a rendered table; the gold answer is a list of values, or their text between bars."""
    cell = row["answer"]
    gold = "|".join(map(_escaped, list_of(row, "answer"))) if isinstance(cell, list) else row.text("answer")
    return draft(row, spec, row.text("question"), name=row.text("question_id", row.key), references=[gold])


def tabfact(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert a TabFact row: a rendered table and a statement, entailed (1) or refuted (0)."""
    label = row.text("answer").lower()
    if label not in ("0", "1", "true", "false"):
        raise ValueError(f"{row.where}: the answer is {label!r}; allowed: 0, 1, true, false")
    return draft(row, spec, row.text("question"), name=row.text("question_id", row.key),
                 references=["1" if label in ("1", "true") else "0"])


def ai2d(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert an AI2D row: the answer is an option's letter or index."""
    return _choices(row, spec, list_of(row, "options"), name=row.key)


def scienceqa(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert a ScienceQA row. Rows without an image are left out; the hint comes before the question."""
    if row.get("image", None) is None:
        return []
    hint = row.text("hint", "")
    return _choices(row, spec, list_of(row, "choices"), name=row.key, hint=f"Context: {hint}\n" if hint else "")


def mathvista(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert a MathVista row: its types decide how answers are compared; `query` is the question with its hint."""
    choices = list_of(row, "choices", may_lack=True)
    meta = {"question_type": row.text("question_type"), "answer_type": row.text("answer_type"),
            "precision": str(int(float(row.text("precision", 0)))), "query": row.text("query", row.text("question"))}
    return draft(row, spec, meta["query"], name=row.text("pid"), images=["decoded_image"], references=[row.text("answer")],
                 options=choices, meta=meta)


def text(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Convert a document whose likelihood is measured."""
    return [ItemDraft(item_id=f"{spec.name}/{row.series}/{row.place}", question="", references=(row.text("text"),))]


def _choices(row: Row, spec: Benchmark, options: Sequence[str], *, name: str, hint: str = "") -> list[ItemDraft]:
    cell = row["answer"]
    answer = int(cell) if isinstance(cell, str) and cell.isdigit() and cell not in LETTERS else cell
    return draft(row, spec, row.text("question"), name=name, options=options, hint=hint, references=[letter_of(answer, options, row)])


def _yes_no(row: Row, column: str) -> str:
    word = row.text(column).lower().rstrip(".")
    if word not in ("yes", "no"):
        raise ValueError(f"{row.where}: the answer is {word!r}; allowed: yes, no")
    return word


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("|", "\\p").replace("\n", "\\n")


GENERAL: dict[str, Maker] = {
    "mme": mme, "seed-img": seed, "pope": pope, "llava-bench-wild": judged, "ferret-bench": judged, "mm-vet": mmvet,
    "realworldqa": realworldqa, "wtq": wtq, "tabfact": tabfact, "ocrbench": ocrbench,
    "held-out-text": text, "chartqa": one_answer, "textvqa": answers, "docvqa": answers, "infovqa": answers,
    "ai2d": ai2d, "scienceqa-img": scienceqa, "mathvista": mathvista,
}
