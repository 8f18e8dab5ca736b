"""Alembic migrations: each keeps what the version before it needs, and may be run again after it failed."""
