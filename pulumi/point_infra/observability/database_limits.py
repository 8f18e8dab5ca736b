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
}
"""Of the memory-optimised families (r and x start with 16 GiB for `large`)."""
_BURSTABLE = {
    "small": Limits(2, 45),
    "medium": Limits(4, 90),
    "large": Limits(8, 135),
}


def of(instance_class: str) -> Limits:
    """Limits of a class such as db.r6g.large. Raises KeyError for a size that is not in the tables."""
    _, family, size = instance_class.split(".")
    return (_BURSTABLE if family.startswith("t") else _SIZES)[size]
