"""How much an attempt published: what a budget of checkpoint GB is held against.

Revision: 0006.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column; of attempts that are there it is not known, and counts as nothing."""
    op.add_column("attempts", sa.Column("bytes", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("attempts", "bytes")
