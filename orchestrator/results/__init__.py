"""Combine ledger and analysis: results, report, progress and cost of a study, preview of a plan, campaigns, budgets."""
