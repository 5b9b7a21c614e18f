"""lmms-eval tasks on local files, made of workbench items: a parquet file, its YAML, and the functions that the YAML names."""

import io
import string
from pathlib import Path

from datasets import Dataset, Features, Image, List, Value

from model.samples import IMAGE, Item
from model.workbench import make_item

ANSWERS = """
task: workbench_answers
output_type: generate_until
doc_to_text: !function functions.text
doc_to_target: answer
generation_kwargs: {max_new_tokens: 8, until: ["\\n\\n"], do_sample: false, temperature: 0}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
"""
CHOICES = """
task: workbench_choices
output_type: multiple_choice
doc_to_text: !function functions.text
doc_to_choice: !function functions.letters
doc_to_target: answer
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
"""
FUNCTIONS = '''
def visuals(doc):
    return [doc["image"].convert("RGB")]


def text(doc):
    return doc["question"]


def letters(doc):
    return doc["letters"]
'''


def items(benchmark: str, count: int) -> list[Item]:
    return [make_item(benchmark, index, seed=0) for index in range(count)]


def write_task(folder: Path, text: str, made: list[Item]) -> None:
    """Write the task in `text` over these items, as files that `--include_path` finds."""
    name = text.split("task: ")[1].split()[0]
    rows = [{"question": item.question.removeprefix(IMAGE), "answer": item.references[0], "image": {"bytes": _png(item), "path": None},
             "letters": list(string.ascii_uppercase[: len(item.options)])} for item in made]
    assert all(IMAGE not in row["question"] for row in rows)
    features = Features({"question": Value("string"), "answer": Value("string"), "image": Image(), "letters": List(Value("string"))})
    Dataset.from_list(rows, features=features).to_parquet(folder / f"{name}.parquet")
    source = f"dataset_path: parquet\ndataset_kwargs: {{data_files: {{test: {folder / name}.parquet}}}}\ntest_split: test\n"
    (folder / f"{name}.yaml").write_text(f"{source}doc_to_visual: !function functions.visuals\n{text}", encoding="utf-8")
    (folder / "functions.py").write_text(FUNCTIONS, encoding="utf-8")


def _png(item: Item) -> bytes:
    file = io.BytesIO()
    item.images[0].save(file, "PNG")
    return file.getvalue()
