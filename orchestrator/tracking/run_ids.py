"""The mlflow_run or LoggedModel of each subject: those that the ledger has recorded, and those created since.

Ids of created runs are written to the ledger together with the messages that were sent, many at a time. If a process
dies before that, its messages are still in the outbox, and the next process searches MLflow for the runs before it
creates any.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.ledger import outbox
from orchestrator.ledger.engine import Engine

_MOST_REMEMBERED = 10_000
"""The most ids kept in memory; beyond this all are read from the ledger again."""


class RunIds:
    """MLflow's ids by subject."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._made: dict[str, str] = {}
        self._remembered: dict[str, str] = {}

    def get(self, subject: str) -> str | None:
        """Return the id of a subject, None if it has none."""
        near = self._made.get(subject) or self._remembered.get(subject)
        found = near or outbox.external_id(self._engine, subject)
        if found and not near:
            self._remember({subject: found})
        return found

    def note(self, subject: str, made: str) -> str:
        """Remember the id that was created or found for a subject, and return it."""
        self._made[subject] = made
        return made

    def settle(self, message_ids: Iterable[int]) -> list[tuple[str, str]]:
        """Write the created ids and the sent messages to the ledger.

        Returns:
            Pairs (our id, their id) where another process had recorded an id for the subject before; theirs counts.
        """
        first = outbox.settle(self._engine, message_ids, self._made)
        made, self._made = self._made, {}
        self._remember(made | first)
        return [(made[subject], theirs) for subject, theirs in first.items()]

    def _remember(self, ids: Mapping[str, str]) -> None:
        if len(self._remembered) + len(ids) > _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered |= ids
