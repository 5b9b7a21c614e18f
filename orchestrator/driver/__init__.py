"""The driver: the one process that holds the ledger's lease, asks the scheduler what to do, and does it."""
