"""The tables, defined once for SQLite and PostgreSQL.

- Times are seconds since the epoch by the database's clock (`now_s`), never by the clock of a process.
- Studies, trials, stages and attempts have a `state`. It is a projection: `events` is the history, and both are written
  in the same transaction.
- Nested values are JSON in text columns: canonical, readable by both databases, and never queried inside.
- Two partial unique indexes guarantee that a stage has at most one live and at most one accepted attempt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s", "fk": "fk_%(table_name)s_%(column_0_name)s",
                                       "uq": "uq_%(table_name)s_%(column_0_name)s", "ix": "ix_%(column_0_label)s"})

CHUNK = 500
"""Most ids in one statement: databases limit the number of bound values."""
CLOCK_SLACK_S = 5.0
"""Tolerance in seconds: a lease that expires later than its time-to-live plus this comes from a clock that was set
back.
"""

_LIVE_SQL = text("state IN ('LEASED', 'RUNNING')")
_SUCCESS_SQL = text("state = 'SUCCEEDED'")


def chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the ids in groups that fit into one statement."""
    for start in range(0, len(ids), CHUNK):
        yield ids[start:start + CHUNK]


class now_s(FunctionElement[float]):  # noqa: N801 (reads as the SQL function that it is)
    """Seconds since the epoch by the database's clock; in PostgreSQL the time at which the transaction started."""

    type = Double()
    inherit_cache = True


@compiles(now_s, "sqlite")
def _now_sqlite(_element: now_s, _compiler: Any, **_: Any) -> str:
    # Not unixepoch('subsec'): it returns NULL on SQLite 3.40, and a NULL lease would never expire.
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now_s, "postgresql")
def _now_postgresql(_element: now_s, _compiler: Any, **_: Any) -> str:
    return "CAST(extract(epoch FROM now()) AS double precision)"


driver_lease = Table(
    "driver_lease", metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1: one driver for each ledger
    Column("epoch", BigInteger, nullable=False),
    Column("driver_id", String(64), nullable=False),
    Column("lease_expires_at", Double, nullable=False),
    Column("holder", Text, nullable=False),  # JSON: host, process id, start of the process
    Column("bell", BigInteger, nullable=False),  # counts people's actions; the driver reads the ledger again when it moves
    Column("token", String(64), nullable=False, server_default=""),  # of the last fenced transaction that was committed
    Column("ttl_s", Double, nullable=False, server_default="60"),  # a lease that expires later comes from a clock set back
)

studies = Table(
    "studies", metadata,
    Column("study_id", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("scale", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("spec_hash", String(64), nullable=False),
    Column("spec", Text, nullable=False),
    Column("state", String(32), nullable=False),
    Column("reason", Text, nullable=False),  # why it is paused or ended early, or ""
    Column("requested_stages", Integer, nullable=False),
    Column("grows", Boolean, nullable=False, server_default=false()),  # whether trials may still be added
    Column("parallel", Integer, nullable=False),  # how many arms a search may have open at once
    Column("priority", Integer, nullable=False, server_default=text("0")),  # a higher number is served first
    Column("max_slots", Integer, nullable=False, server_default=text("0")),  # most slots it may hold; 0: no limit
    Column("estimate", Text),  # JSON: what it was expected to cost when it was submitted
    Column("created_at", Double, nullable=False),
    Column("ended_at", Double),
    UniqueConstraint("name", "scale", "spec_hash"),
    UniqueConstraint("name", "scale", "version", name="uq_studies_version"),
)

arms = Table(
    "arms", metadata,
    Column("study_id", String(64), ForeignKey("studies.study_id"), primary_key=True),
    Column("arm_key", String(200), primary_key=True),
    Column("number", Integer, nullable=False),  # order of the plan, or of the proposals
    Column("name", Text, nullable=False),
    Column("levels", Text, nullable=False),
    Column("stopped", Text),  # JSON: why a search gave the arm up early
)

trials = Table(
    "trials", metadata,
    Column("study_id", String(64), primary_key=True),
    Column("trial_key", String(200), primary_key=True),
    Column("arm_key", String(200), nullable=False),
    Column("seed", Integer, nullable=False),
    Column("rung", Integer, nullable=False, server_default=text("0")),  # 1 and higher: a shorter training of a search; 0: full
    Column("number", Integer, nullable=False),
    Column("config", Text, nullable=False),
    Column("state", String(32), nullable=False),
    Column("ended_at", Double),
    ForeignKeyConstraint(["study_id", "arm_key"], ["arms.study_id", "arms.arm_key"]),
)

stages = Table(
    "stages", metadata,
    Column("stage_id", String(64), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("label", Text, nullable=False),
    Column("spec", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("flops", Double, nullable=False),
    Column("samples", BigInteger, nullable=False),
    Column("workers", Integer, nullable=False, server_default=text("1")),  # slots that an attempt takes
    Column("state", String(32), nullable=False),
    Column("not_before", Double, nullable=False),
    Column("attempts_made", Integer, nullable=False),
    Column("charged_from", Integer, nullable=False),  # attempts up to this number were forgiven by `resume`
    Column("seconds", Double),
    Column("artifact", Text),
    Column("result", Text),
    Column("created_at", Double, nullable=False),
    Index("ix_stages_state", "state"),
)

stage_parents = Table(
    "stage_parents", metadata,
    Column("stage_id", String(64), ForeignKey("stages.stage_id"), primary_key=True),
    Column("parent_id", String(64), ForeignKey("stages.stage_id"), primary_key=True),
    Index("ix_stage_parents_parent_id", "parent_id"),
)

trial_stages = Table(
    "trial_stages", metadata,
    Column("study_id", String(64), primary_key=True),
    Column("trial_key", String(200), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("stage_id", String(64), ForeignKey("stages.stage_id"), nullable=False),
    ForeignKeyConstraint(["study_id", "trial_key"], ["trials.study_id", "trials.trial_key"]),
    Index("ix_trial_stages_stage_id", "stage_id"),
)

attempts = Table(
    "attempts", metadata,
    Column("attempt_id", String(64), primary_key=True),
    Column("stage_id", String(64), ForeignKey("stages.stage_id"), nullable=False),
    Column("attempt_no", Integer, nullable=False),  # counts up within a stage: the fencing token
    Column("study_id", String(64), nullable=False),  # for which it was started; others may share its result
    Column("driver_id", String(64), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("state", String(32), nullable=False),
    Column("lease_expires_at", Double, nullable=False),  # never NULL: a comparison with NULL is never true
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("is_charged", Boolean, nullable=False),
    Column("checkpoint_step", BigInteger, nullable=False),  # newest step to resume from, when it ended
    Column("bytes", BigInteger, nullable=False, server_default=text("0")),  # bytes it published
    Column("progress", Text),
    Column("failure", Text),
    Column("failure_hash", String(64), nullable=False),  # equal errors have equal hashes; "" without one
    Column("result", Text),
    UniqueConstraint("stage_id", "attempt_no"),
    Index("one_success", "stage_id", unique=True, sqlite_where=_SUCCESS_SQL, postgresql_where=_SUCCESS_SQL),
    Index("one_live", "stage_id", unique=True, sqlite_where=_LIVE_SQL, postgresql_where=_LIVE_SQL),
)

scores = Table(
    "scores", metadata,
    Column("stage_id", String(64), ForeignKey("stages.stage_id"), primary_key=True),
    Column("benchmark", String(100), primary_key=True),
    Column("value", Double, nullable=False),
    Column("value_lenient", Double),
    Column("num_items", Integer, nullable=False),
    Column("num_unparseable", Integer, nullable=False),
    Column("is_complete", Boolean, nullable=False),
    Column("tokens_per_image", Double),
)

_SERIAL = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers only an INTEGER primary key by itself

events = Table(
    "events", metadata,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("study_id", String(64)),  # NULL: an event of the ledger, or of a stage that several studies share
    Column("entity", String(16), nullable=False),
    Column("entity_id", String(300), nullable=False),
    Column("from_state", String(32), nullable=False),
    Column("to_state", String(32), nullable=False),
    Column("actor", String(100), nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_events_entity", "entity", "entity_id"),
    Index("ix_events_study_id", "study_id"),
)

tracking_outbox = Table(
    "tracking_outbox", metadata,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("subject", String(300), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("payload", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("sent_at", Double),
    UniqueConstraint("subject", "seq"),
    Index("ix_tracking_outbox_unsent", "id", sqlite_where=text("sent_at IS NULL"),
          postgresql_where=text("sent_at IS NULL")),
)

tracking_subjects = Table(
    "tracking_subjects", metadata,
    Column("subject", String(300), primary_key=True),
    Column("external_id", String(100), nullable=False),  # id of the subject's mlflow_run
)
