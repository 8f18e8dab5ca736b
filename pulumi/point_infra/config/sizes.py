"""Which node types, database classes and cache node types there are. Pure, but for botocore's list of EC2 types."""

import re
from functools import cache

from botocore.loaders import Loader

_GENERAL = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge")
_TOO_SMALL = ("nano", "micro", "small")
"""Sizes of nodes whose network interfaces have no addresses left for pods beside the agents that every node runs."""

SERVERLESS = "db.serverless"
_DATABASE = {
    "t3": ("medium", "large"),
    "t4g": ("medium", "large"),
    "r5": _GENERAL,
    "r6g": _GENERAL[:7],
    "r6i": (*_GENERAL, "32xlarge"),
    "r7g": _GENERAL[:7],
    "r7i": (*_GENERAL, "48xlarge"),
    "r8g": (*_GENERAL, "48xlarge"),
    "x2g": _GENERAL[:7],
}
"""Sizes of Aurora MySQL 3 by family (user guide, "Supported DB engines for DB instance classes")."""
_CACHE = {
    "t3": ("micro", "small", "medium"),
    "t4g": ("micro", "small", "medium"),
    "m5": ("large", "xlarge", "2xlarge", "4xlarge", "12xlarge", "24xlarge"),
    "m6g": _GENERAL[:7],
    "m7g": _GENERAL[:7],
    "m8g": _GENERAL[:7],
    "r5": ("large", "xlarge", "2xlarge", "4xlarge", "12xlarge", "24xlarge"),
    "r6g": _GENERAL[:7],
    "r7g": _GENERAL[:7],
    "r8g": _GENERAL[:7],
    "c7gn": _GENERAL[:7],
}
"""Sizes of ElastiCache by family (user guide, "Supported node types"), without those that keep data on disks."""


def insights(database_class: str) -> bool:
    """Whether Database Insights looks at the class (user guide: not at db.t3)."""
    return not database_class.startswith("db.t3.")


@cache
def nodes() -> tuple[str, ...]:
    """Every EC2 type that can be a node: those that botocore's model of EC2 lists, macs and the smallest left out."""
    listed: list[str] = Loader().load_service_model("ec2", "service-2")["shapes"]["InstanceType"]["enum"]
    return tuple(t for t in listed if not t.startswith("mac") and t.split(".")[1] not in _TOO_SMALL)


def databases() -> tuple[str, ...]:
    """Every class of Aurora MySQL, the serverless one included."""
    return (SERVERLESS, *(f"db.{family}.{size}" for family, sizes in _DATABASE.items() for size in sizes))


def caches() -> tuple[str, ...]:
    """Every node type of ElastiCache."""
    return tuple(f"cache.{family}.{size}" for family, sizes in _CACHE.items() for size in sizes)


def arm(instance_type: str) -> bool:
    """Whether an EC2 type has an Arm processor: m6g, r7gd, c8gn, a1; not g5, which has a GPU."""
    family = instance_type.split(".")[0]
    return family == "a1" or "g" in re.sub("^[a-z]+", "", family)
