"""Submit a study to the ledger. Idempotent: the same file is the same study, however often it is submitted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from orchestrator.errors import StudyError
from orchestrator.failpoints import failpoint
from orchestrator.ledger.engine import Engine, retrying, transaction
from orchestrator.ledger.insert import enter_study, enter_workers, known_versions, make_newest, renew_prose
from orchestrator.plan.plan import Plan

_SHOWN = 12
"""How many differences a message lists."""


def submit(engine: Engine, plan: Plan, *, update: bool = False, actor: str = "submit", slots: int | None = None) -> str:
    """Insert a study with its arms, trials and stages.

    Args:
        engine: the ledger.
        plan: the plan of the study at a scale.
        update: allow a changed file under a known name. It becomes a new version, which shares all finished stages.
        actor: who submits; written into the event.
        slots: how many slots the driver will have. None skips the check that every stage fits.

    Returns:
        The study's id. If this study was submitted before, that one's id.

    Raises:
        StudyError: a checkpoint or a data set is missing, a stage needs more slots than there are, or the file changed
            and `update` was not given; the message then lists the changes.
    """
    refuse_incomplete(plan, slots=slots)
    study_id = study_identity(plan)

    def attempt() -> bool:
        with transaction(engine) as connection:
            known = known_versions(connection, plan.study.name, plan.scale)
            if known and known[0]["spec_hash"] == plan.spec_hash:
                enter_workers(connection, plan)
                renew_prose(connection, plan, study_id)
                return True
            if known and not update:
                raise _changed(plan, known[0])
            version = known[0]["version"] + 1 if known else 1
            if any(each["spec_hash"] == plan.spec_hash for each in known):
                make_newest(connection, study_id, version)
                return True
            is_entered = enter_study(connection, plan, study_id, version, actor=actor)
            failpoint("enter.before_commit")
            return is_entered

    while not retrying(attempt):  # another process inserted this version first: read again what it holds
        pass
    failpoint("enter.after_commit")
    return study_id


def refuse_incomplete(plan: Plan, *, slots: int | None) -> None:
    """Refuse a plan that lacks something it needs to run.

    Args:
        plan: the plan of the study at a scale.
        slots: how many slots the driver will have. None skips the check that every stage fits.

    Raises:
        StudyError: a checkpoint or a data set is missing, or a stage needs more slots than there are.
    """
    if plan.missing_checkpoints:
        raise StudyError(
            plan.study.name,
            0,
            f"start checkpoint missing: {', '.join(plan.missing_checkpoints)}",
            "`ablate plan` shows the plan, and where to put the checkpoint before the study can run",
        )
    if slots is not None and plan.workers > slots:
        raise StudyError(
            plan.study.name,
            0,
            f"each training stage takes {plan.workers} slots at scale {plan.scale}, one for each "
            f"worker; there are {slots} slots",
            "ABLATE_SLOTS sets the number of slots, and `resources.workers` of the "
            "scale how many workers train a stage; results do not depend on either",
        )
    if plan.missing_data:
        raise StudyError(plan.study.name, 0, f"no data set is configured for {', '.join(plan.missing_data)}",
                         "name their files in the catalogue (ABLATE_CATALOGUE); `ablate data list` shows what is there, "
                         "`ablate data fetch` gets public copies")


def refuse_changed(engine: Engine, plan: Plan) -> None:
    """Refuse a changed file under a name that the ledger knows, as `submit` does without `update`.

    Raises:
        StudyError: the file changed; the message lists the changes.
    """
    with engine.connect() as connection:
        known = known_versions(connection, plan.study.name, plan.scale)
    if known and known[0]["spec_hash"] != plan.spec_hash:
        raise _changed(plan, known[0])


def study_identity(plan: Plan) -> str:
    """Return the study's id: a hash of its name, scale and resolved file, so that two processes agree on it."""
    return hashlib.sha256(f"{plan.study.name}\n{plan.scale}\n{plan.spec_hash}".encode()).hexdigest()[:16]


def _changed(plan: Plan, newest: dict[str, Any]) -> StudyError:
    changes = list(differences(json.loads(newest["spec"]), plan.spec))
    shown = "\n".join(f"  {change}" for change in changes[:_SHOWN])
    more = f"\n  and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
    return StudyError(plan.study.path, 0, f"the ledger holds {plan.study.name!r} at scale {plan.scale} with other "
                      f"contents (version {newest['version']}):\n{shown}{more}",
                      "`--update` submits it as a new version, which shares all finished stages; or give the study another name")


def differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Return `path: old -> new` for every value that differs between two nested plain values."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            below = f"{path}.{name}" if path else str(name)
            if name not in old:
                yield f"{below}: added, {_shown(new[name])}"
            elif name not in new:
                yield f"{below}: removed, was {_shown(old[name])}"
            else:
                yield from differences(old[name], new[name], below)
    elif old != new:
        yield f"{path}: {_shown(old)} -> {_shown(new)}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
