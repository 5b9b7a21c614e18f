"""Run migrations on the connection that `open_ledger` hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from orchestrator.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata,
                  transaction_per_migration=False)
context.run_migrations()
