"""The database schema this version needs."""

# The newest revision in migrations/versions (a test holds them together). Revisions sort as text, and each
# keeps what the version before it needs, so a service runs on its own schema or on any later one.
HEAD = "0007"


def serves(revision: str | None) -> bool:
    """Tell whether this version can run on a database at `revision` (None: never migrated)."""
    return revision is not None and revision >= HEAD
