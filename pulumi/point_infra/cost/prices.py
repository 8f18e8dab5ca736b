"""On-demand prices of a region, USD, without tax, from its dated file in `prices/`.

`point-infra cost --refresh` writes a region's file anew from AWS's own price list, which needs credentials. `estimate`
marks a price that no document of the region was found for: it is derived as `source` says.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOURS = 730
"""Hours of a month, as AWS's calculator counts them."""

FOLDER = Path(__file__).with_suffix("")
"""One file a region, and `everywhere.json` for what costs the same in all."""


@dataclass(frozen=True)
class Price:
    """USD per unit, where it is from, and whether it is an estimate; `usd` is None where nobody has said it."""

    usd: float | None
    source: str
    estimate: bool = False

    def times(self, factor: "Price", what: str) -> "Price":
        """The price at a discount."""
        if self.usd is None or factor.usd is None:
            return UNKNOWN
        return Price(self.usd * factor.usd, f"{self.source}, {what}", self.estimate or factor.estimate)


UNKNOWN = Price(None, "not known: point-infra cost --refresh asks AWS")


@dataclass(frozen=True)
class Prices:
    """A region's prices: an hour of a node, of a database instance, of a cache node, and per unit of the rest."""

    region: str
    dated: str
    node: dict[str, Price] = field(default_factory=dict[str, Price])
    database: dict[str, Price] = field(default_factory=dict[str, Price])
    cache: dict[str, Price] = field(default_factory=dict[str, Price])
    rate: dict[str, Price] = field(default_factory=dict[str, Price])
    """Units are what the names say; `valkey` and `spot` are shares of the price of Redis OSS and on demand."""


def load(region: str, folder: Path = FOLDER) -> Prices:
    """Prices of a region; one that has no file has those that are the same everywhere."""
    everywhere = json.loads((folder / "everywhere.json").read_text())
    file = folder / f"{region}.json"
    read: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    groups = {g: _group(read.get(g, {})) for g in ("node", "database", "cache")}
    rate = _group({**everywhere["rate"], **read.get("rate", {})})
    return Prices(region, read.get("dated", everywhere["dated"]), **groups, rate=rate)


def _group(read: dict[str, Any]) -> dict[str, Price]:
    return {key: Price(**price) for key, price in read.items()}
