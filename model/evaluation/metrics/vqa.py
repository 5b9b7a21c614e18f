"""TextVQA's accuracy against ten annotators, in the three forms that are in use (arXiv:1904.08920). Torch-free.

- `open_flamingo`, which the deck names, normalises only if the ten answers are not all equal; otherwise case and
  punctuation count.
- `m4c` first splits off `'s` and drops commas. `vlmevalkit` keeps the dot of `3.`; the others drop it because of an
  error in their pattern.
- An answer scores a third for each annotator who gave it, at most one, averaged over leaving out each annotator.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from model.evaluation.metrics.text import without_punctuation

ENOUGH_ANNOTATORS = 3
ARTICLES = frozenset({"a", "an", "the"})
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBERS = {word: str(value) for value, word in enumerate(WORDS)} | {"none": "0"}

_CONTRACTED = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've he's how'd how'll how's
isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've
should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll someone's something'd
something'd've something'll that's there'd there'd've there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've
weren't what'll what're what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't
would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've
"""
CONTRACTIONS = {
    word[:at] + word[at + 1 :]: word for word in _CONTRACTED.split() for at, mark in enumerate(word) if mark == "'"
}
CONTRACTIONS["somebody'd"] = "somebodyd"  # an error of the VQA challenge that every implementation repeats
"""A contraction with one apostrophe missing -> the contraction."""


def cut_generation(generation: str) -> str:
    """Return the text before the first `Question` or `Answer`, where a model continues with the next example."""
    return re.split("Question|Answer", generation, maxsplit=1)[0]


@lru_cache(maxsize=8192)
def open_flamingo(text: str) -> str:
    """Normalise as OpenFlamingo: punctuation, then numbers, articles and contractions."""
    return _words(without_punctuation(text))


@lru_cache(maxsize=8192)
def m4c(text: str) -> str:
    """Normalise as M4C (MMF, LLaVA, lmms-eval).

    Like OpenFlamingo, after lower-casing, dropping commas and splitting off `'s`.
    """
    text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    return _words(without_punctuation(_one_line(text)))


@lru_cache(maxsize=8192)
def vlmevalkit(text: str) -> str:
    """Normalise as VLMEvalKit: like OpenFlamingo, but a dot after a digit stays."""
    return _words(without_punctuation(_one_line(text), dot=r"(?<!\d)\.(?!\d)"))


FORMS: dict[str, Callable[[str], str]] = {"open_flamingo": open_flamingo, "m4c": m4c, "vlmevalkit": vlmevalkit}


def accuracy(prediction: str, answers: Sequence[str], form: str = "open_flamingo") -> float:
    """Return the agreement with the annotators, 0 to 1.

    Args:
        prediction: the answer after `cut_generation`.
        answers: one for each annotator, ten in TextVQA.
        form: a key of `FORMS`.

    Raises:
        ValueError: there are fewer than two annotators, so none can be left out.
    """
    if len(answers) < 2:
        raise ValueError(f"{len(answers)} annotators; allowed: 2 or more (TextVQA has 10)")
    said, (given, is_normalised) = _one_line(prediction), _given(tuple(answers), form)
    if is_normalised:
        said = FORMS[form](said)
    equal = [answer == said for answer in given]
    total = sum(equal)
    if not total:
        return 0.0
    return sum(min(1.0, (total - is_equal) / ENOUGH_ANNOTATORS) for is_equal in equal) / len(equal)


@lru_cache(maxsize=8192)
def _given(answers: tuple[str, ...], form: str) -> tuple[tuple[str, ...], bool]:
    """Return the annotators' answers in the form in which they are compared, and whether it is the normalised one."""
    given = tuple(_one_line(answer) for answer in answers)
    is_normalised = form != "open_flamingo" or len(set(given)) > 1
    return tuple(FORMS[form](answer) for answer in given) if is_normalised else given, is_normalised


def _one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ").strip()


def _words(text: str) -> str:
    words = (NUMBERS.get(word, word) for word in text.lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)
