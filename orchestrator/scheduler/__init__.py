"""Decide from a snapshot of the ledger which actions come next. Pure functions."""
