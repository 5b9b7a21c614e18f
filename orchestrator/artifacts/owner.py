"""Whose an artifact store is: the ledger that used it first, by its id. A further ledger gets a part of its own.

- `owner.json` at the root of the store names the ledger whose artifacts lie there; it is written at the first use.
- A further ledger keeps its artifacts under `ledgers/<its id>`, laid out as the root is. So two ledgers may share a
  store: neither reads, writes or removes what belongs to the other, though both name a stage by the same hash.
- The root of a store that an older release filled has no owner yet. A ledger that knows all stages in it becomes its
  owner; to any other it is a foreign store.
- Reading never claims anything.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from orchestrator.artifacts.store import Artifacts
from orchestrator.errors import OrchestratorError

OWNER = "owner.json"
PARTS = "ledgers"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What `owner.json` says."""

    ledger_id: str
    ledger: str
    """Where that ledger was when it claimed the store, without password."""
    since: str
    """When it did, in UTC."""


def owner_of(artifacts: Artifacts) -> Owner | None:
    """Return the owner of a store, or of a part of one; None if nobody claimed it.

    Raises:
        OrchestratorError: the record of the owner cannot be read.
    """
    text = artifacts.read_text(OWNER)
    if text is None:
        return None
    try:
        return Owner(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise OrchestratorError(
            f"{artifacts.where}/{OWNER}: cannot be read: {error}\n"
            "hint: it says which ledger the artifacts belong to; restore it, or remove it if you are sure of that ledger"
        ) from error


def part_of(whole: Artifacts, ledger_id: str) -> Artifacts:
    """Return the part of a store that belongs to a ledger, as far as anything was claimed: its own part, or the root."""
    part = whole.part(f"{PARTS}/{ledger_id}")
    return part if ledger_id and part.read_text(OWNER) is not None else whole


def claim(whole: Artifacts, ledger_id: str, *, ledger: str, known: Collection[str]) -> Artifacts:
    """Return the part of a store in which a ledger may write, and write down that it is the owner.

    Args:
        whole: the store that the settings name.
        ledger_id: of the ledger.
        ledger: where the ledger is, without password.
        known: the ids of its stages; asked only of a store that has no owner.

    Raises:
        OrchestratorError: the store does not answer, or its owner cannot be read.
    """
    mine = part_of(whole, ledger_id)
    owner = owner_of(mine)
    if owner is None and set(mine.stage_ids()) <= set(known):
        mine.write_new(OWNER, _record(ledger_id, ledger))
        owner = owner_of(mine)  # of two ledgers that claim it at once, one finds the other here
    if owner is not None and owner.ledger_id == ledger_id:
        return mine
    part = whole.part(f"{PARTS}/{ledger_id}")
    part.write_new(OWNER, _record(ledger_id, ledger))
    log.warning("%s belongs to %s; this ledger keeps its artifacts in %s", whole.where,
                f"the ledger {owner.ledger}" if owner else "another ledger", part.where)
    return part


def refuse_foreign(mine: Artifacts, ledger_id: str, known: Collection[str]) -> None:
    """Refuse to remove anything from a store that is not surely this ledger's.

    Raises:
        OrchestratorError: it belongs to another ledger, or holds stages that this one does not know and has no owner.
    """
    owner = owner_of(mine)
    if owner is not None and owner.ledger_id != ledger_id:
        raise OrchestratorError(
            f"{mine.where}: these artifacts belong to the ledger {owner.ledger} (since {owner.since}), not to this one\n"
            "hint: ABLATE_HOME, ABLATE_LEDGER_URL and ABLATE_ARTIFACTS must name a ledger and its own store"
        )
    strange = set() if owner else set(mine.stage_ids()) - set(known)
    if strange:
        raise OrchestratorError(
            f"{mine.where}: nobody has claimed this store, and {len(strange)} of the stages in it are unknown to this "
            "ledger: they may be another's\n"
            "hint: if no other ledger uses this store, `ablate gc --adopt` writes down that it belongs to this one"
        )


def adopt(mine: Artifacts, ledger_id: str, *, ledger: str) -> None:
    """Make a ledger the owner of a store that has none."""
    mine.write_new(OWNER, _record(ledger_id, ledger))


def _record(ledger_id: str, ledger: str) -> str:
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps(asdict(Owner(ledger_id=ledger_id, ledger=ledger, since=since)), indent=1) + "\n"
