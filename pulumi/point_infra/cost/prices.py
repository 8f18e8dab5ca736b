"""On-demand prices in ap-northeast-2 (Seoul), USD, without tax, from the dated file `prices.json`.

`point-infra cost --refresh` writes that file anew from AWS's own price list, which needs credentials. `estimate`
marks a price that no Seoul document was found for: it is derived as `source` says.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOURS = 730
"""Hours of a month, as AWS's calculator counts them."""


@dataclass(frozen=True)
class Price:
    """USD per unit, where it is from, and whether it is an estimate."""

    usd: float
    source: str
    estimate: bool = False


_READ: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text())


def _group(name: str) -> dict[str, Price]:
    return {key: Price(**price) for key, price in _READ[name].items()}


DATED: str = _READ["dated"]
NODE = _group("node")
"""USD an hour of an EC2 node."""
DATABASE_INSTANCE = _group("database")
"""USD an hour of an Aurora instance."""
CACHE_NODE = _group("cache")
"""USD an hour of an ElastiCache node with Redis OSS; Valkey's is that times RATE["valkey"]."""
RATE = _group("rate")
"""What else is paid for, per unit that its name says."""
