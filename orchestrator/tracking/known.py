"""Which mlflow_run or LoggedModel stands for a subject: what the ledger has noted, and what was made since.

What was made is noted once for many messages, together with their arrival. A process that dies between the two leaves
messages that wait, and the next one searches MLflow for what they may have made before it makes anything.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.ledger import outbox
from orchestrator.ledger.reach import Engine


class Known:
    """Ids by subject."""

    def __init__(self, engine: Engine) -> None:
        """Begin with what the ledger has."""
        self._engine = engine
        self._made: dict[str, str] = {}

    def get(self, subject: str) -> str | None:
        """Return the id that stands for a subject, None if there is none."""
        return self._made.get(subject) or outbox.external_id(self._engine, subject)

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
        return [(made[subject], theirs) for subject, theirs in first.items()]
