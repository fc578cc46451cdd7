"""The database of a service: SQLite or PostgreSQL."""
