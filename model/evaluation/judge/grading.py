"""Benchmarks in which a judge grades or reads answers: its prompts, and the scores from its replies. Torch-free.

- The instructions for the judge are the benchmark authors': they come with the local copy (`judge/`), and their hash is
  in the result.
- If a reply cannot be read, the judge is asked again with a higher temperature. If no reply can be read, the item is
  dropped and counted; it never scores 0.
- Prompt, reply and temperature of every item are recorded with its answer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from model.config.benchmark import Benchmark
from model.config.scoring import ScoringConfig
from model.evaluation.judge.endpoint import Judge
from model.evaluation.metrics import ItemScore, judged, mathvista
from model.samples import Item

RULES, PROMPT, SYSTEM = "rule.json", "prompt.txt", "system.txt"
MOST_TEMPERATURE, WARMER = 2.0, 0.5


@dataclass(frozen=True, slots=True)
class JudgeSession:
    """A judge with the instructions of one benchmark."""

    judge: Judge
    scoring: ScoringConfig
    materials: Mapping[str, str]

    def ask_until_readable(self, prompt: str, read: Callable[[str], Any]) -> tuple[Any, dict[str, Any]]:
        """Ask until a reply can be read.

        Returns:
            What was read, None if no reply could be read; and the record of the last reply.
        """
        system, temperature = self.materials.get(SYSTEM, "").strip(), self.scoring.judge_temperature
        while True:
            reply = self.judge.ask(prompt, system=system, temperature=temperature)
            found = read(reply.text)
            if found is not None or temperature + WARMER > MOST_TEMPERATURE:
                return found, {
                    "judge": self.judge.model,
                    "temperature": temperature,
                    "prompt": prompt,
                    "reply": reply.text,
                }
            temperature += WARMER


def judge_item(spec: Benchmark, item: Item, prediction: str, session: JudgeSession) -> ItemScore:
    """Score one answer with the judge.

    Raises:
        JudgeFailed: the endpoint does not answer; nothing is scored then.
        ValueError: the copy lacks the judge's instructions.
    """
    return JUDGED[spec.metric](item, prediction, session)


def require(spec: Benchmark, materials: Mapping[str, str]) -> str:
    """Check that a copy contains the judge's instructions, and return their hash.

    Raises:
        ValueError: a file is missing or has other contents than expected.
    """
    name = RULES if spec.metric == "judge_pair" else PROMPT
    if not materials.get(name, "").strip():
        raise ValueError(f"{spec.name}: no judge/{name} in the local copy; allowed: {spec.layout}")
    if name == RULES:
        _rules(materials)
    return hashlib.sha256(json.dumps(dict(materials), sort_keys=True).encode()).hexdigest()[:16]


def _pair(item: Item, prediction: str, session: JudgeSession) -> ItemScore:
    """Score LLaVA-Bench and Ferret-Bench: the judge rates the reference answer and ours from 1 to 10."""
    category = item.meta["category"]
    shown = judged.shown_to_judge(prediction, category)
    has_bad_box = shown is None  # Ferret's script fails here; we count it as unread
    shown = prediction if shown is None else shown
    rules = _rules(session.materials)
    rule = rules.get(category) or rules.get(f"llava_bench_{category}")
    if rule is None:
        raise ValueError(
            f"{item.item_id}: no rule for category {category!r} in judge/{RULES}; allowed: {', '.join(rules)}"
        )
    role = rule["role"]
    answers = "".join(f"[{role} {place}]\n{answer}\n\n[End of {role} {place}]\n\n"
                      for place, answer in ((1, item.references[0]), (2, shown)))
    question = item.question.replace("<image>", "").strip()
    prompt = f"[Context]\n{item.meta['context']}\n\n[Question]\n{question}\n\n{answers}[System]\n{rule['prompt']}\n\n"
    pair, record = session.ask_until_readable(prompt, judged.score_pair)
    share = max(0.0, min(1.0, pair[1] / 10)) if pair else 0.0
    parsed = f"{pair[0]:g} {pair[1]:g}" if pair and not has_bad_box else None
    return ItemScore(share, share, parsed, pair=pair, is_dropped=pair is None, record=record)


def _grade(item: Item, prediction: str, session: JudgeSession) -> ItemScore:
    """Score MM-Vet: the judge gives a grade from 0 to 1, given the gold answer."""
    gold = item.references[0].replace("<AND>", " <AND> ").replace("<OR>", " <OR> ")
    question = item.question.replace("<image>", "").strip()
    prompt = f"{session.materials[PROMPT].strip()}\n{question} | {gold} | {prediction} |"
    grade, record = session.ask_until_readable(prompt, judged.correctness)
    share = grade or 0.0
    return ItemScore(share, share, None if grade is None else f"{grade:g}", is_dropped=grade is None, record=record)


def _extract(item: Item, prediction: str, session: JudgeSession) -> ItemScore:
    """Score MathVista: the judge extracts the answer from the text, and we compare it.

    An empty answer is wrong; it is not matched to the nearest option.
    """
    kind = mathvista.AnswerKind(
        item.meta["question_type"], item.meta["answer_type"], int(item.meta["precision"]), item.options
    )
    record: dict[str, Any] = {}
    said = prediction.strip()
    if not said:
        return ItemScore(0.0, 0.0, None)
    extraction = mathvista.plain(said, kind)
    if extraction is None:
        prompt = f"{session.materials[PROMPT].strip()}\n\n{item.meta['query']}\n\n{said}\n\nExtracted answer: "
        extraction, record = session.ask_until_readable(prompt, lambda reply: reply.strip() or None)
    if extraction is None:
        return ItemScore(0.0, 0.0, None, is_dropped=True, record=record)
    found = mathvista.normalise(extraction, kind)
    right = float(mathvista.is_equal(found, item.references[0]))
    return ItemScore(right, right, found, record=record)


def _rules(materials: Mapping[str, str]) -> dict[str, dict[str, str]]:
    try:
        rules = json.loads(materials[RULES])
        return {str(name): {"role": str(rule["role"]), "prompt": str(rule["prompt"])} for name, rule in rules.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"judge/{RULES}: {error}; allowed: a mapping of category to role and prompt") from error


JUDGED: dict[str, Callable[[Item, str, JudgeSession], ItemScore]] = {
    "judge_pair": _pair,
    "judge_grade": _grade,
    "judge_extract": _extract,
}
