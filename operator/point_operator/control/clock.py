"""The time: as conditions have it, as ages of objects are counted, and until one looks again."""

import datetime

UNSETTLED_SECONDS = 10.0
"""How often one that is not as wanted is looked at, while there is time for it."""
FREE_SHARE = 0.5
"""Of the workers' time: what looks that nothing has asked for leave to those that something has."""


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


def unsettled_pause(count: int, took: float, workers: int, longest: float) -> float:
    """Seconds until one that is not as wanted is looked at again though no event tells of it.

    Many of them at once would keep all workers busy, and whoever changes something would wait behind them. So the
    pause is as long as it takes to look at all `count`, each in the `took` seconds that this look needed, by that many
    workers and in no more than their share of time; never above `longest`, at which one in order is looked at.
    """
    each_once = count * took / (workers * (1 - FREE_SHARE))
    return max(UNSETTLED_SECONDS, min(each_once, longest))
