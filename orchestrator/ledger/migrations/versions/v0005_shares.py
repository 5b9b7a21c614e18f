"""How a study shares the slots with others: its priority, and the most slots that it may hold.

Revision: 0005.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns; what is there has priority 0 and no cap."""
    op.add_column("studies", sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("studies", sa.Column("max_slots", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("studies", "max_slots")
    op.drop_column("studies", "priority")
