"""Statistics, selection, claims and the report: pure functions of scores."""
