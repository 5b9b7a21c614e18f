"""The run database and all SQL: tables, connections, writes, reads, the outbox for tracking, and migrations."""
