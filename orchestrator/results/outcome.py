"""How the trials of a study ended, and its verdict in words that stay true for failed, cancelled and running studies."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.results.results import Results
from orchestrator.states import TERMINAL_STUDIES, TrialState

_WORDS = {TrialState.SUCCEEDED: "succeeded", TrialState.DIVERGED: "diverged", TrialState.FAILED: "failed",
          TrialState.SKIPPED: "skipped", TrialState.CANCELLED: "cancelled", TrialState.RUNNING: "under way",
          TrialState.PLANNED: "to come"}
"""Trial state -> its word, in the order in which they are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A reason for which stages did not succeed."""

    message: str
    kind: str
    """The kind of failure, such as `user error` or `diverged`."""
    labels: tuple[str, ...]
    """The stages that it ended."""


def states_of(results: Results) -> dict[str, Counter[str]]:
    """Return arm key -> trial state -> number of trials."""
    states: dict[str, Counter[str]] = {arm.key: Counter() for arm in results.arms}
    for trial in results.trials:
        states[trial.arm_key][trial.state] += 1
    return states


def in_words(states: Mapping[str, int], *, with_succeeded: bool = False) -> str:
    """Return counted states in words, such as `1 diverged, 2 to come`; "" if there is nothing to tell."""
    return ", ".join(f"{states[state]} {word}" for state, word in _WORDS.items()
                     if states.get(state) and (with_succeeded or state != TrialState.SUCCEEDED))


def total(states: Iterable[Mapping[str, int]]) -> Counter[str]:
    """Return the sum of counted states."""
    counted: Counter[str] = Counter()
    for each in states:
        counted.update(each)
    return counted


def verdict_sentence(results: Results) -> str:
    """Return the sentence of the verdict; of a study that has ended without one, the reason for good."""
    verdict = results.verdict
    if verdict.kind != "incomplete" or results.study.state not in TERMINAL_STUDIES or not results.trials:
        return verdict.sentence
    counted = total(states_of(results).values())
    if counted[TrialState.DIVERGED] == len(results.trials):
        return verdict.sentence
    return (f"No verdict: of {len(results.trials)} trials {in_words(counted, with_succeeded=True)}, and the rule needs "
            "all that did not diverge.")


def failures(results: Results) -> list[Failure]:
    """Return the reasons for which stages failed or diverged, those that ended the most stages first."""
    labels: dict[tuple[str, str], list[str]] = defaultdict(list)
    for stage in results.stages:
        if stage.failure and stage.state in ("FAILED", "DIVERGED"):
            kind = str(stage.failure.get("kind") or stage.state).replace("_", " ").lower()
            labels[str(stage.failure.get("message") or "no message"), kind].append(stage.label)
    ranked = sorted(labels.items(), key=lambda each: -len(each[1]))
    return [Failure(message=message, kind=kind, labels=tuple(own)) for (message, kind), own in ranked]
