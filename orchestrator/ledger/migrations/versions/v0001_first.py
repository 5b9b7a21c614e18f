"""The first schema.

Revision: 0001. Spelt out rather than taken from `tables.py`, which goes on changing.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_LIVE = sa.text("state IN ('LEASED', 'RUNNING')")
_SUCCESS = sa.text("state = 'SUCCEEDED'")
_UNSENT = sa.text("sent_at IS NULL")
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create all tables."""
    _logical()
    _physical()
    _records()


def downgrade() -> None:
    """Drop all tables, children first."""
    for name in ("tracking_subjects", "tracking_outbox", "events", "scores", "attempts",
                 "trial_stages", "stage_parents", "stages", "trials", "arms", "studies", "driver_lease"):
        op.drop_table(name)



def _logical() -> None:
    op.create_table(
        "studies",
        sa.Column("study_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("scale", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("spec_hash", sa.String(64), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requested_stages", sa.Integer(), nullable=False),
        sa.Column("arms_wanted", sa.Integer(), nullable=False),
        sa.Column("parallel", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("study_id", name="pk_studies"),
        sa.UniqueConstraint("name", "scale", "spec_hash", name="uq_studies_name"),
        sa.UniqueConstraint("name", "scale", "version", name="uq_studies_version"),
    )
    op.create_table(
        "arms",
        sa.Column("study_id", sa.String(64), nullable=False),
        sa.Column("arm_key", sa.String(200), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("levels", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("study_id", "arm_key", name="pk_arms"),
        sa.ForeignKeyConstraint(["study_id"], ["studies.study_id"], name="fk_arms_study_id"),
    )
    op.create_table(
        "trials",
        sa.Column("study_id", sa.String(64), nullable=False),
        sa.Column("trial_key", sa.String(200), nullable=False),
        sa.Column("arm_key", sa.String(200), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("study_id", "trial_key", name="pk_trials"),
        sa.ForeignKeyConstraint(["study_id", "arm_key"], ["arms.study_id", "arms.arm_key"], name="fk_trials_study_id"),
    )
    op.create_table(
        "stages",
        sa.Column("stage_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("flops", sa.Double(), nullable=False),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("not_before", sa.Double(), nullable=False),
        sa.Column("attempts_made", sa.Integer(), nullable=False),
        sa.Column("charged_from", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("artifact", sa.Text(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("stage_id", name="pk_stages"),
    )
    op.create_index("ix_stages_state", "stages", ["state"])
    op.create_table(
        "stage_parents",
        sa.Column("stage_id", sa.String(64), nullable=False),
        sa.Column("parent_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("stage_id", "parent_id", name="pk_stage_parents"),
        sa.ForeignKeyConstraint(["parent_id"], ["stages.stage_id"], name="fk_stage_parents_parent_id"),
        sa.ForeignKeyConstraint(["stage_id"], ["stages.stage_id"], name="fk_stage_parents_stage_id"),
    )
    op.create_index("ix_stage_parents_parent_id", "stage_parents", ["parent_id"])
    op.create_table(
        "trial_stages",
        sa.Column("study_id", sa.String(64), nullable=False),
        sa.Column("trial_key", sa.String(200), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("stage_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("study_id", "trial_key", "position", name="pk_trial_stages"),
        sa.ForeignKeyConstraint(["stage_id"], ["stages.stage_id"], name="fk_trial_stages_stage_id"),
        sa.ForeignKeyConstraint(["study_id", "trial_key"], ["trials.study_id", "trials.trial_key"],
                                name="fk_trial_stages_study_id"),
    )
    op.create_index("ix_trial_stages_stage_id", "trial_stages", ["stage_id"])


def _physical() -> None:
    op.create_table(
        "driver_lease",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("driver_id", sa.String(64), nullable=False),
        sa.Column("lease_expires_at", sa.Double(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("bell", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_driver_lease"),
    )
    op.create_table(
        "attempts",
        sa.Column("attempt_id", sa.String(64), nullable=False),
        sa.Column("stage_id", sa.String(64), nullable=False),
        sa.Column("attempt_no", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.String(64), nullable=False),
        sa.Column("driver_id", sa.String(64), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("lease_expires_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("is_charged", sa.Boolean(), nullable=False),
        sa.Column("checkpoint_step", sa.BigInteger(), nullable=False),
        sa.Column("progress", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("failure_hash", sa.String(64), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("attempt_id", name="pk_attempts"),
        sa.ForeignKeyConstraint(["stage_id"], ["stages.stage_id"], name="fk_attempts_stage_id"),
        sa.UniqueConstraint("stage_id", "attempt_no", name="uq_attempts_stage_id"),
    )
    op.create_index("one_live", "attempts", ["stage_id"], unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE)
    op.create_index("one_success", "attempts", ["stage_id"], unique=True,
                    sqlite_where=_SUCCESS, postgresql_where=_SUCCESS)
    op.create_table(
        "scores",
        sa.Column("stage_id", sa.String(64), nullable=False),
        sa.Column("benchmark", sa.String(100), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("value_lenient", sa.Double(), nullable=True),
        sa.Column("num_items", sa.Integer(), nullable=False),
        sa.Column("num_unparseable", sa.Integer(), nullable=False),
        sa.Column("is_complete", sa.Boolean(), nullable=False),
        sa.Column("tokens_per_image", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("stage_id", "benchmark", name="pk_scores"),
        sa.ForeignKeyConstraint(["stage_id"], ["stages.stage_id"], name="fk_scores_stage_id"),
    )
    op.execute("INSERT INTO driver_lease (id, epoch, driver_id, lease_expires_at, holder, bell) "
               "VALUES (1, 0, '', 0, '{}', 0)")


def _records() -> None:
    op.create_table(
        "events",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("study_id", sa.String(64), nullable=True),
        sa.Column("entity", sa.String(16), nullable=False),
        sa.Column("entity_id", sa.String(300), nullable=False),
        sa.Column("from_state", sa.String(32), nullable=False),
        sa.Column("to_state", sa.String(32), nullable=False),
        sa.Column("actor", sa.String(100), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_index("ix_events_entity", "events", ["entity", "entity_id"])
    op.create_index("ix_events_study_id", "events", ["study_id"])
    op.create_table(
        "tracking_outbox",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("subject", sa.String(300), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("sent_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_tracking_outbox"),
        sa.UniqueConstraint("subject", "seq", name="uq_tracking_outbox_subject"),
    )
    op.create_index("ix_tracking_outbox_unsent", "tracking_outbox", ["id"],
                    sqlite_where=_UNSENT, postgresql_where=_UNSENT)
    op.create_table(
        "tracking_subjects",
        sa.Column("subject", sa.String(300), nullable=False),
        sa.Column("external_id", sa.String(100), nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_tracking_subjects"),
    )
