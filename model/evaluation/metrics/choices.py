"""Multiple choice: which option an answer means. Torch-free.

- `STRICT` holds each benchmark's own rule, made deterministic: where its reference implementation guesses at random,
  nothing is read.
- `lenient_letter` is the project's one extractor for all benchmarks. The difference between strict and lenient scores
  is due to formatting.
- A rule returns the letter of an existing option, or None, which is wrong and counted.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from model.evaluation.metrics.text import normalised, without_punctuation

LONG_ANSWER_WORDS = 5
"""MMMU searches for option texts only in answers with more words than this."""

RANKED = (("({})", 6), ("{}.", 5), ("{}:", 4), ("{})", 3), ("{} ", 2))
START_RANK, END_RANK, PHRASE_RANK = 10, 9, 7
SAID = (r"(?i:\banswer(?:\s+is\b\s*:?|\s*:)(?:\s+option\b)?)", r"\\boxed\s*\{(?:\\text\s*\{)?", r"(?i:\boption\b)")
"""Patterns before a letter, for the lenient extractor."""
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_FINAL_ANSWER = re.compile(r"final answer:", re.IGNORECASE)
PHRASES = (
    *(f"{the}{said} is" for said in ("answer", "correct answer", "best answer", "correct option", "best option", "choice", "correct choice")
      for the in ("", "the ")),
    "my answer is", "my choice is", "i choose", "i select", "i pick", "옵션", "정답은", "답은", "답:", "答案是", "答案为", "选", "答えは")
"""Phrases before a letter, for `ranked`; letters after the first occurrence of each phrase count."""


def seed(prediction: str, options: Sequence[str]) -> str | None:
    """Read the first character, in either case (SEED-Bench, arXiv:2307.16125)."""
    return _valid(prediction.strip()[:1].upper(), options)


def ai2d(prediction: str, options: Sequence[str]) -> str | None:
    """Read a leading `X.`, else the whole answer without punctuation, in either case (lmms-eval's AI2D)."""
    leading = re.match(r"\s*([A-Z])\.", prediction)
    text = leading.group(1) if leading else prediction
    return _valid(text.translate(_NO_PUNCTUATION).upper(), options)


def scienceqa(prediction: str, options: Sequence[str]) -> str | None:
    """Read a letter alone, a leading `X. `, or `The answer is X` (LLaVA's ScienceQA, arXiv:2209.09513)."""
    text = prediction.replace("\n", ". ")
    found = re.fullmatch(r"\s*([A-E])\s*", text) or re.match(r"([A-E])\. ", text)
    found = found or re.search(r"The answer is ([A-E])\.", text) or re.search(r"The answer is ([A-E])", text)
    return _valid(found.group(1), options) if found else None


def leading_period(prediction: str, options: Sequence[str]) -> str | None:
    """Read a letter alone, in either case, or a leading `X.` (lmms-eval's ScienceQA and MuirBench)."""
    leading = re.match(r"\s*([A-Z])\.", prediction)
    return _valid(leading.group(1) if leading else prediction.strip().upper(), options)


def mmmu(prediction: str, options: Sequence[str]) -> str | None:
    """Read the last `(X)`, else the last ` X `, else in long answers the last option text (MMMU, arXiv:2311.16502)."""
    text = _padded(prediction)
    return _last(text, options, "({})") or _last(text, options, " {} ") or _last_option(text, options)


def qbench2(prediction: str, options: Sequence[str]) -> str | None:
    """Read the last `(X)`, else `X `, else `X.`, else in long answers the last option text (lmms-eval's Q-Bench2).

    lmms-eval's MMMU has the same rule. Of several letters before a space or a dot, the one whose stand-alone occurrence
    is last is taken.
    """
    text = _padded(prediction)
    if bracketed := _last(text, options, "({})"):
        return bracketed
    for form in ("{} ", "{}."):
        found = [letter for letter, written in _written(form, len(options)) if written in text]
        if found:
            return max(found, key=lambda letter: text.rfind(f" {letter} "))
    return _last_option(text, options)


def blink(prediction: str, options: Sequence[str]) -> str | None:
    """Read the first letter after brackets and spaces, in either case (lmms-eval's BLINK, arXiv:2404.12390)."""
    found = re.match(r"[(\s]*([A-Za-z])", prediction)
    return _valid(found.group(1).upper(), options) if found else None


def mvbench(prediction: str, options: Sequence[str]) -> str | None:
    """Read a leading `X. text`, else the first stand-alone letter A to E without punctuation (lmms-eval's MVBench)."""
    stripped = prediction.strip()
    leading = re.match(r"([A-Ea-e])\.\s*.+$", stripped)
    if leading:
        return _valid(leading.group(1).upper(), options)
    found = re.search(r"\b([A-Ea-e])\b", without_punctuation(re.sub(r"[\n\t]", " ", prediction).strip()))
    return _valid(found.group(1).upper(), options) if found else None


def names_option(prediction: str, letter: str) -> bool:
    """Return whether the first word without dots is part of `(x)` or contains it (VLMEvalKit's MVBench).

    Differs: an answer without a first word is wrong; the reference implementation counts it as right.
    """
    first, bracketed = prediction.lower().split(" ")[0], f"({letter.lower()})"
    bare = first.replace(".", "")
    return bool(bare) and (bare in bracketed or bracketed in first)


def ranked(prediction: str, options: Sequence[str]) -> str | None:
    """Read the letter in the form of highest rank, the later one of equals (lmms-eval's extractor for RealWorldQA).

    Forms by rank: at the start, at the end, after an answer phrase, `(X)`, `X.`, `X:`, `X)`, `X `, anywhere.
    """
    text = prediction.strip()
    for mark in ",.!?;:'\"":
        text = text.strip(mark)
    letters = [letter for letter in _letters(options) if letter in text]
    if not letters:
        return None
    padded, lowered = f" {text} ", f" {text.lower()} "
    announced = [place + len(phrase) for phrase in PHRASES if (place := lowered.find(phrase)) >= 0]
    found = [each for letter in letters for each in _forms(padded, letter, announced)]
    found = found or [(0, text.rfind(letter), letter) for letter in letters]
    return max(found, key=lambda each: each[:2])[2]


def _forms(text: str, letter: str, announced: Sequence[int]) -> list[tuple[int, int, str]]:
    """Return (rank, position, letter) of each form in which a letter occurs in the padded text.

    `announced` are the positions after answer phrases.
    """
    bare = text.strip()
    found = [(rank, text.rfind(form.format(letter)), letter) for form, rank in RANKED]
    found += [(PHRASE_RANK, text.find(letter, after), letter) for after in announced]
    if bare.startswith(letter) and not bare[1:2].isalpha():
        found.append((START_RANK, 0, letter))
    if bare.endswith(letter) and not bare[-2:-1].isalpha():
        found.append((END_RANK, len(text), letter))
    return [each for each in found if each[1] >= 0]


def mantis(prediction: str, options: Sequence[str]) -> str | None:
    """Read a letter after `final answer:`, else the option whose text equals the whole answer (Mantis-Eval)."""
    if letter := _mantis_letter(prediction, options):
        return letter
    said = prediction.strip()
    equal = [
        name for name, option in zip(_letters(options), options, strict=True) if _without_letter(option, name) == said
    ]
    return equal[0] if equal else None


def _mantis_letter(prediction: str, options: Sequence[str]) -> str | None:
    """Read `Answer: X` at the start, else the first alphabetic character, in either case."""
    said = after_final_answer(prediction)
    marked = re.match(r"Answer: ([A-Z])", said)
    return _valid(marked.group(1) if marked else next((mark.upper() for mark in said if mark.isalpha()), ""), options)


@lru_cache(maxsize=8192)
def _without_letter(option: str, letter: str) -> str:
    """Return an option's text without the `X.`, `X:` or `(X)` before it."""
    mark = next((mark for mark in (f"{letter}.", f"{letter}:", f"({letter})") if option.startswith(mark)), "")
    return option.removeprefix(mark).strip()


def after_final_answer(prediction: str) -> str:
    """Return the text after `final answer:` without outer white space, or all of the text unchanged."""
    before, *after = _FINAL_ANSWER.split(prediction, maxsplit=1)
    return after[0].strip() if after else before


def gold_letter(gold: str) -> str:
    """Return the letter of a gold answer such as `(B)`, `B.` or `(b) a cat`.

    Its first alphabetic character (Mantis-Eval).
    """
    return next((mark.upper() for mark in gold if mark.isalpha()), gold)


def nlvr2(prediction: str, options: Sequence[str]) -> str | None:
    """Read a letter as Mantis does, else the option with the only one of the words true and false in the answer."""
    words = [word for word in ("true", "false") if word in prediction.lower()]
    named = [
        name
        for name, option in zip(_letters(options), options, strict=True)
        if len(words) == 1 and words[0] in option.lower()
    ]
    return _mantis_letter(prediction, options) or (named[0] if named else None)


STRICT: dict[str, Callable[[str, Sequence[str]], str | None]] = {
    "seed": seed, "ai2d": ai2d, "scienceqa": scienceqa, "leading_period": leading_period, "mmmu": mmmu, "qbench2": qbench2,
    "blink": blink, "mvbench": mvbench, "ranked": ranked, "mantis": mantis, "nlvr2": nlvr2,
}


def lenient_letter(prediction: str, options: Sequence[str]) -> str | None:
    """Read the option's letter in any form that needs no guess, else None.

    In this order: after "answer is" or "answer:", in a box, after "option"; the last "(X)"; a leading letter; the only
    stand-alone capital; the text of exactly one option. Small letters count only where they cannot be a word.
    """
    text, patterns = prediction.strip(), _patterns(len(options))
    for said in patterns.said:
        named = said.findall(text)
        if named:
            return str(named[-1]).upper()
    bracketed = patterns.bracketed.findall(text)
    if bracketed:
        return str(bracketed[-1])
    leading = patterns.leading.match(text) or patterns.small.fullmatch(text)
    if leading:
        return leading.group(1).upper()
    alone = set(patterns.alone.findall(text))
    if len(alone) == 1:
        return str(alone.pop())
    bare = normalised(text)
    equal = [
        letter for letter, option in zip(_letters(options), options, strict=True) if _normalised_option(option) == bare
    ]
    return equal[0] if len(equal) == 1 else None


@dataclass(frozen=True, slots=True)
class _Patterns:
    """The patterns of the lenient extractor for a number of options."""

    said: tuple[re.Pattern[str], ...]
    bracketed: re.Pattern[str]
    leading: re.Pattern[str]
    small: re.Pattern[str]
    alone: re.Pattern[str]


@lru_cache(maxsize=32)
def _patterns(num_options: int) -> _Patterns:
    valid = string.ascii_uppercase[:num_options]
    letter = rf"[\s*\"'(\[]*([{valid}]\b|[{valid.lower()}](?=[.)\]}}*\"']|$))"
    return _Patterns(said=tuple(re.compile(said + letter) for said in SAID), bracketed=re.compile(rf"\(([{valid}])\)"),
                     leading=re.compile(rf"([{valid}])(?=$|[\s.):,])"), small=re.compile(rf"([{valid.lower()}])[.):]?"),
                     alone=re.compile(rf"\b([{valid}])\b"))


_normalised_option = lru_cache(maxsize=8192)(normalised)


def _letters(options: Sequence[str]) -> str:
    return string.ascii_uppercase[: len(options)]


def _valid(letter: str, options: Sequence[str]) -> str | None:
    return letter if len(letter) == 1 and letter in _letters(options) else None


def _padded(prediction: str) -> str:
    for mark in ",.!?;:'":
        prediction = prediction.strip(mark)
    return f" {prediction} "


def _last(text: str, options: Sequence[str], form: str) -> str | None:
    """Return the letter whose form occurs last in the text."""
    found, last = None, -1
    for letter, written in _written(form, len(options)):
        place = text.rfind(written)
        if place > last:
            found, last = letter, place
    return found


@lru_cache(maxsize=256)
def _written(form: str, num_options: int) -> tuple[tuple[str, str], ...]:
    """Return pairs of each letter and the letter in that form."""
    return tuple((letter, form.format(letter)) for letter in string.ascii_uppercase[:num_options])


def _last_option(text: str, options: Sequence[str]) -> str | None:
    if len(text.split()) <= LONG_ANSWER_WORDS:
        return None
    places = [text.lower().rfind(option.lower()) for option in options]
    return _letters(options)[places.index(max(places))] if max(places) >= 0 else None
