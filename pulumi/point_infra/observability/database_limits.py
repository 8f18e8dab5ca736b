"""What an Aurora MySQL class takes: memory, and connections by the default of max_connections.

AWS, Aurora user guide, "Maximum connections to an Aurora MySQL DB instance" and "Maximum connections for Aurora
Serverless v2" (docs/infrastructure.md has where and when). Their tables are a rule: 45 more connections for each time
that a burstable class doubles its memory from 2 GiB on, 1,000 more from 16 GiB on for any other, rounded.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Memory in GiB, and connections at once."""

    memory_gib: int
    connections: int


_LARGE_GIB = 16
"""Of the memory-optimised families (r); the x families have twice as much."""
_BURSTABLE_GIB = {"small": 2, "medium": 4, "large": 8}
_TWICE = ("x2g", "x2iedn", "x8g")
_GIB_PER_UNIT = 2


def of(instance_class: str, most_capacity: float) -> Limits:
    """Limits of a class such as db.r6g.large; of db.serverless by the most capacity units that it may grow to.

    Raises ValueError for a size that no family has.
    """
    if instance_class == "db.serverless":
        return _serverless(most_capacity)
    _, family, size = instance_class.split(".")
    if family.startswith("t"):
        if size not in _BURSTABLE_GIB:
            raise ValueError(f"{instance_class}: Aurora's burstable sizes are {', '.join(_BURSTABLE_GIB)}")
        memory = _BURSTABLE_GIB[size]
        return Limits(memory, 45 * round(math.log2(memory)))
    memory = _memory(instance_class, size) * (2 if family in _TWICE else 1)
    return Limits(memory, _thousands(memory))


def _memory(instance_class: str, size: str) -> int:
    if size == "large":
        return _LARGE_GIB
    times, mark, rest = size.partition("xlarge")
    if not mark or rest or not (times or "1").isdecimal():
        raise ValueError(f"{instance_class}: no size of an Aurora class")
    return int(times or "1") * 2 * _LARGE_GIB


def _thousands(memory_gib: float) -> int:
    return 1000 * round(math.log2(memory_gib / 8))


def _serverless(most_capacity: float) -> Limits:
    """By the lower of the two rows of AWS's table that it lies between; below 8 units as a burstable class."""
    memory = most_capacity * _GIB_PER_UNIT
    if most_capacity >= 8:
        return Limits(int(memory), 1000 * math.floor(math.log2(memory / 8)))
    return Limits(int(memory), 135 if most_capacity >= 4 else 90 if most_capacity >= 1 else 45)
