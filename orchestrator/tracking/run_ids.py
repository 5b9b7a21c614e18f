"""Which mlflow_run or LoggedModel stands for a subject: what the ledger has noted, and what was made since.

What was made is noted once for many messages, together with their arrival. A process that dies between the two leaves
messages that wait, and the next one searches MLflow for what they may have made before it makes anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.ledger import outbox
from orchestrator.ledger.engine import Engine

_MOST_REMEMBERED = 10_000
"""Ids kept in memory; beyond, all are asked for again."""


class RunIds:
    """Ids by subject."""

    def __init__(self, engine: Engine) -> None:
        """Begin with what the ledger has."""
        self._engine = engine
        self._made: dict[str, str] = {}
        self._remembered: dict[str, str] = {}

    def get(self, subject: str) -> str | None:
        """Return the id that stands for a subject, None if there is none."""
        near = self._made.get(subject) or self._remembered.get(subject)
        found = near or outbox.external_id(self._engine, subject)
        if found and not near:
            self._remember({subject: found})
        return found

    def note(self, subject: str, made: str) -> str:
        """Remember what was made, or found, for a subject; return it."""
        self._made[subject] = made
        return made

    def settle(self, message_ids: Iterable[int]) -> list[tuple[str, str]]:
        """Write what was made and what arrived to the ledger.

        Returns:
            ours and theirs, where another process had noted something for a subject before: theirs counts.
        """
        first = outbox.settle(self._engine, message_ids, self._made)
        made, self._made = self._made, {}
        self._remember(made | first)
        return [(made[subject], theirs) for subject, theirs in first.items()]

    def _remember(self, ids: Mapping[str, str]) -> None:
        if len(self._remembered) + len(ids) > _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered |= ids
