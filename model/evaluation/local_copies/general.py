"""Rows of general and text-rich benchmarks. Columns are those of the copies on the hub (lmms-eval's task files name them)."""

from __future__ import annotations

from collections.abc import Sequence

from model.evaluation.benchmarks.benchmark import Benchmark
from model.evaluation.local_copies.draft import LETTERS, ItemDraft, Maker, draft, letter_of, list_of
from model.evaluation.local_copies.rows import Row

POPE_SUBSETS = {"adv": "adversarial", "adversarial": "adversarial", "pop": "popular", "popular": "popular", "random": "random"}


def mme(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Two questions an image: question_id names the image, category the sub-task."""
    answer = _yes_no(row, "answer")
    meta = {"task": row.text("category"), "image": row.text("question_id")}
    return draft(row, spec, row.text("question"), name=f"{meta['task']}/{meta['image']}/{row.number}", references=[answer], meta=meta)


def pope(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Three subsets over the same images, told apart by `category` or by the name of the file."""
    named = str(row.get("category", row.table.path.stem)).lower()
    subset = next((full for short, full in POPE_SUBSETS.items() if short in named), "")
    if not subset:
        raise ValueError(f"{row.where}: subset {named!r}; allowed: {', '.join(dict.fromkeys(POPE_SUBSETS.values()))}")
    return draft(row, spec, row.text("question"), name=f"{subset}/{row.number}", references=[_yes_no(row, "answer")],
                 meta={"subset": subset})


def seed(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Images alone: rows of videos are left out, as the deck's SEED-IMG does."""
    if str(row.get("data_type", "image")) != "image":
        return []
    options = [row.text(f"choice_{letter}") for letter in "abcd"]
    return draft(row, spec, row.text("question"), name=row.text("question_id"), options=options,
                 references=[letter_of(row["answer"], options, row)])


def realworldqa(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """The question holds its options, if it has any."""
    return draft(row, spec, row.text("question"), name=str(row.number), references=[row.text("answer")])


def judged(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """LLaVA-Bench and Ferret-Bench: a reference answer, and what the judge is told of the image."""
    told = row.get("caption", row.get("context"))
    meta = {"category": row.text("category"), "context": "\n".join(told) if isinstance(told, list) else str(told)}
    name = str(row.get("question_id", row.number))
    return draft(row, spec, row.text("question"), name=name, references=[row.text("gpt_answer")], meta=meta)


def mmvet(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """The gold answer joins its parts by <AND> and <OR>; capability says what is needed."""
    needs = row.get("capability")
    meta = {"capability": ",".join(needs) if isinstance(needs, list) else str(needs)}
    return draft(row, spec, row.text("question"), name=row.text("question_id"), references=[row.text("answer")], meta=meta)


def one_answer(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """ChartQA: one answer; `type` is human_test or augmented_test."""
    half = str(row.get("type", row.table.path.stem))
    meta = {"half": "human" if "human" in half else "augmented"}
    return draft(row, spec, row.text("question"), name=f"{meta['half']}/{row.number}", references=[row.text("answer")], meta=meta)


def answers(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """TextVQA, DocVQA, InfoVQA: several accepted answers."""
    given = list_of(row, "answers")
    name = str(row.get("question_id", row.get("questionId", row.number)))
    return draft(row, spec, row.text("question"), name=name, references=given)


def ocrbench(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """The data set tells handwritten formulas apart; question_type is one of the five groups."""
    cell = row["answer"]
    given = [str(each) for each in (cell if isinstance(cell, list) else [cell])]
    meta = {"dataset": row.text("dataset"), "type": str(row.get("question_type"))}
    return draft(row, spec, row.text("question"), name=str(row.number), references=given, meta=meta)


def wtq(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """A rendered table; the gold is a list of values, or their text between bars."""
    cell = row["answer"]
    gold = "|".join(_escaped(str(each)) for each in cell) if isinstance(cell, list) else str(cell)
    return draft(row, spec, row.text("question"), name=str(row.get("question_id", row.number)), references=[gold])


def tabfact(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """A rendered table and a statement, entailed (1) or refuted (0)."""
    label = row.text("answer").lower()
    if label not in ("0", "1", "true", "false"):
        raise ValueError(f"{row.where}: the answer is {label!r}; allowed: 0, 1, true, false")
    return draft(row, spec, row.text("question"), name=str(row.get("question_id", row.number)),
                 references=["1" if label in ("1", "true") else "0"])


def ai2d(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Options by letter; the answer is a letter or an index."""
    return _choices(row, spec, list_of(row, "options"), name=str(row.number))


def scienceqa(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Only rows with a picture; the hint stands before the question."""
    if row.get("image", None) is None:
        return []
    hint = str(row.get("hint"))
    return _choices(row, spec, list_of(row, "choices"), name=str(row.number), hint=f"Context: {hint}\n" if hint else "")


def mathvista(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """What form the answer has decides how it is compared; `query` is the question with its hint."""
    choices = list_of(row, "choices", may_lack=True)
    meta = {"question_type": row.text("question_type"), "answer_type": row.text("answer_type"),
            "precision": str(int(float(row.get("precision", 0)))), "query": str(row.get("query", row.text("question")))}
    return draft(row, spec, meta["query"], name=row.text("pid"), images=["decoded_image"], references=[row.text("answer")],
                 options=choices, meta=meta)


def text(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """A document to be weighed."""
    return [ItemDraft(item_id=f"{spec.name}/{row.table.path.stem}/{row.number}", question="", references=(row.text("text"),))]


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
