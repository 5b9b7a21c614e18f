"""A stage says how many workers it is trained by.

Revision: 0003. The number is no part of a stage's identity: it says how many slots the stage needs, not what comes out.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; what is there was made by one worker."""
    op.add_column("stages", sa.Column("workers", sa.Integer(), nullable=False, server_default="1"))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("stages", "workers")
