"""Where desired state is kept: SQLite on one host, memory for tests; one small protocol."""
