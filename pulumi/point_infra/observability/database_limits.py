"""What an Aurora MySQL class takes: memory, and connections by the default of max_connections.

AWS, "Managing performance and scaling for Aurora MySQL", table of maximum connections.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Memory in GiB, and connections at once."""

    memory_gib: int
    connections: int


_SIZES = {
    "large": Limits(16, 1000),
    "xlarge": Limits(32, 2000),
    "2xlarge": Limits(64, 3000),
    "4xlarge": Limits(128, 4000),
    "8xlarge": Limits(256, 5000),
    "12xlarge": Limits(384, 6000),
    "16xlarge": Limits(512, 6000),
    "24xlarge": Limits(768, 7000),
    "32xlarge": Limits(1024, 7000),
    "48xlarge": Limits(1536, 8000),
}
"""Of the memory-optimised families (r and x start with 16 GiB for `large`)."""
_BURSTABLE = {
    "small": Limits(2, 45),
    "medium": Limits(4, 90),
    "large": Limits(8, 135),
}


_SERVERLESS = {
    0.5: Limits(1, 45),
    1: Limits(2, 90),
    4: Limits(8, 135),
    8: Limits(16, 1000),
    16: Limits(32, 2000),
    32: Limits(64, 3000),
    64: Limits(128, 4000),
    128: Limits(256, 5000),
    192: Limits(384, 6000),
}
"""Of db.serverless, by the most capacity units that it may have; what lies between has at least that of the lower."""


def of(instance_class: str, most_capacity: float) -> Limits:
    """Limits of a class such as db.r6g.large, or of db.serverless by its most capacity units."""
    if instance_class == "db.serverless":
        return _SERVERLESS[max(units for units in _SERVERLESS if units <= most_capacity)]
    _, family, size = instance_class.split(".")
    return (_BURSTABLE if family.startswith("t") else _SIZES)[size]
