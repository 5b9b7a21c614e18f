"""Pages that read the ledger; the only acts are pause, resume and cancel, through `orchestrator.ledger.actions`."""
