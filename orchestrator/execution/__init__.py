"""One attempt: who executes it, what it records, and where it stands."""
