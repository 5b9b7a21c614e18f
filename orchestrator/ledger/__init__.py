"""All SQL: tables, engine, the write side, the read side, the outbox, migrations."""
