"""Short answers judged a second, over all metrics that need no judge."""

import time

import pytest

from model.evaluation.metrics import METRICS, score_item
from model.samples import Item

pytestmark = pytest.mark.perf

OPTIONS = ("a red apple", "the blue bird", "12", "none of the above")
BOX = {"width": "640", "height": "480", "boxes": "[[0, 0, 64, 48]]", "phrase": "a dog"}
FIELDS = {"iou": ("[0, 0, 10, 20]",), "vqa": ("nokia",) * 10, "likelihood": ("text",),
          "tabfact": ("1",), "yes_no": ("yes",), "mme": ("no",)}
WEIGHED = {"likelihood": ("4.5",), "loss": ("4.5 nats over 3 tokens",)}
ANSWERS = ("B", "The answer is B.", "yes", "12.5", "nokia phone", "[0, 0, 100, 100]", "a dog and a cat")


def items():
    made = {}
    for metric in METRICS:
        options = OPTIONS if metric.startswith("choice") or metric in ("mantis", "realworldqa") else ()
        references = FIELDS.get(metric, ("B",) if options else ("nokia",))
        made[metric] = Item(item_id=metric, benchmark="b", question="?", images=(), references=references, options=options, meta=BOX)
    return made


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_short_answers_a_second(metric, measured):
    item, count = items()[metric], 20_000
    answers = WEIGHED.get(metric, ANSWERS)
    start = time.process_time()
    for index in range(count):
        score_item(metric, answers[index % len(answers)], item)
    measured(f"short answers by {metric}", count / (time.process_time() - start), "answers/s", ">= 50,000")
