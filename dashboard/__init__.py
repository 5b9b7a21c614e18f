"""The dashboard. It reads the ledger, and writes only to pause, resume or cancel (`orchestrator.ledger.actions`)."""
