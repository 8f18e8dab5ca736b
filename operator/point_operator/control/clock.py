"""The time, as conditions have it and as ages of objects are counted."""

import datetime


def clock() -> datetime.datetime:
    """The time, aware."""
    return datetime.datetime.now(datetime.UTC)


def now() -> str:
    """The time as conditions have it (RFC 3339, UTC)."""
    return clock().strftime("%Y-%m-%dT%H:%M:%SZ")


def age(moment: str) -> float:
    """Seconds since an RFC 3339 time."""
    then = datetime.datetime.fromisoformat(moment.replace("Z", "+00:00"))
    return (clock() - then).total_seconds()
