"""Instructions for the judge of the workbench's open answers, in the format of the public benchmarks' files.

Torch-free.

A public copy has its authors' instructions in `judge/`; the workbench has none, so these are ours. A change here
changes scores: raise the `version` of the benchmarks that use it.
"""

from __future__ import annotations

import json

from model.evaluation.judge.grading import PROMPT, RULES

_RATE = (
    "Both assistants were asked the question above about an image that you cannot see; the context says what it shows. Rate each "
    "answer from 1 to 10 for being true of the image, complete, and to the point; neither length nor the order of the two matters. "
    "On the first line write two numbers alone, with one space between them: the mark of Assistant 1, then that of Assistant 2. "
    "Give your reasons from the second line on."
)
_BOXES = " A box is right if it covers the shape that is named beside it; a missing box makes an answer incomplete."
_ASKED = {"conv": _RATE, "detail": _RATE, "complex": _RATE, "refer_desc": _RATE, "refer_reason": _RATE, "ground_conv": _RATE + _BOXES}

_GRADE = """Compare a prediction with the ground truth, and say how much of it is right, as a number of 0.0 to 1.0 and nothing else.
<AND> in the ground truth joins parts that are all needed; <OR> joins parts of which one is enough.

Question | Ground truth | Prediction | Correctness
Which shape is furthest to the left, and which colour is it? | star <AND> red | a red star | 1.0
Which shape is furthest to the left, and which colour is it? | star <AND> red | It is the star, and it is blue. | 0.5
What does it say, and what is the result? | 2 + 3 <AND> 5 | 2 + 3 | 0.5
What is in this image? | red star <AND> blue ring <AND> pink heart | There is a pink heart. | 0.3
What is in this image? | red star <AND> blue ring | a green cross | 0.0"""

_EXTRACT = """Read the answer out of a response to a question. Write the answer alone: a number, or the text of the option that is meant.

What is the result?

It says 2 + 3, which makes 5.

Extracted answer: 5

Which kind is the angle? A. acute B. right C. obtuse Answer with the letter.

The angle is less than a right one, so (A).

Extracted answer: acute"""

TOLD: dict[str, dict[str, str]] = {
    "judge_pair": {
        RULES: json.dumps({kind: {"role": "Assistant", "prompt": prompt} for kind, prompt in _ASKED.items()})
    },
    "judge_grade": {PROMPT: _GRADE},
    "judge_extract": {PROMPT: _EXTRACT},
}
"""Metric -> file name -> text."""
