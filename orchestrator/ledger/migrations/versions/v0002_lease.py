"""The driver's lease says which transaction was its last, and for how long it is meant.

Revision: 0002. The token settles whether a COMMIT whose reply was lost took effect; the time-to-live tells a lease
that reaches too far ahead, because the database's clock was set back. Attempts get events of their own from here on:
those that are there enter history with the state that they have.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add both columns, and what the events do not say yet."""
    op.add_column("driver_lease", sa.Column("token", sa.String(64), nullable=False, server_default=""))
    op.add_column("driver_lease", sa.Column("ttl_s", sa.Double(), nullable=False, server_default="60"))
    op.execute("INSERT INTO events (at, study_id, entity, entity_id, from_state, to_state, actor, detail) "
               "SELECT started_at, NULL, 'attempt', attempt_id, '', state, 'migration 0002', '{}' FROM attempts")


def downgrade() -> None:
    """Drop both columns, and events that the older release does not know."""
    op.execute("DELETE FROM events WHERE entity IN ('attempt', 'driver')")
    op.drop_column("driver_lease", "ttl_s")
    op.drop_column("driver_lease", "token")
