"""Studies that grow: searches, seeds added where they matter, arms stopped early; and what a study was expected to cost.

Revision: 0004. `grows` takes the place of `arms_wanted`: whether more is wanted is decided from the study, not counted.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns; a search that was not over goes on."""
    op.add_column("studies", sa.Column("grows", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("studies", sa.Column("estimate", sa.Text(), nullable=True))
    op.add_column("arms", sa.Column("stopped", sa.Text(), nullable=True))
    op.add_column("trials", sa.Column("rung", sa.Integer(), nullable=False, server_default="0"))
    studies = sa.table("studies", sa.column("grows", sa.Boolean()), sa.column("arms_wanted", sa.Integer()))
    op.execute(studies.update().where(studies.c.arms_wanted > 0).values(grows=sa.true()))
    op.drop_column("studies", "arms_wanted")


def downgrade() -> None:
    """Drop them; a search that is not over is asked for as many arms as may ever be."""
    op.add_column("studies", sa.Column("arms_wanted", sa.Integer(), nullable=False, server_default="0"))
    op.drop_column("trials", "rung")
    op.drop_column("arms", "stopped")
    op.drop_column("studies", "estimate")
    op.drop_column("studies", "grows")
