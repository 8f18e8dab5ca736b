"""AWS's own price list (GetProducts), asked for the prices that the cost table uses."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from point_infra.cost.prices import FOLDER

_ENDPOINT = "us-east-1"
"""The price list is served from few regions; it names all of them."""


class PriceListError(Exception):
    """The price list can't be read; its text is the whole message, on one line."""


@dataclass(frozen=True)
class Query:
    """One price: the service it is of, and the attributes that single it out; `per` units are one of ours."""

    service: str
    usage: str
    attributes: dict[str, str] = field(default_factory=dict[str, str])
    per: int = 1
    region_field: str = "regionCode"

    def filters(self, region: str) -> list[dict[str, str]]:
        """As GetProducts takes them: usage types have a prefix in most regions; `of` drops those of other meaning."""
        fields = {self.region_field: region, **self.attributes}
        usage = {"Type": "CONTAINS", "Field": "usagetype", "Value": self.usage}
        return [usage, *({"Type": "TERM_MATCH", "Field": k, "Value": v} for k, v in fields.items())]

    def of(self, product: dict[str, Any]) -> bool:
        """Whether a product's usage type is the one that is meant, behind its region's prefix or without."""
        usage = product["product"]["attributes"].get("usagetype", "")
        return usage == self.usage or usage.endswith(f"-{self.usage}")


_LINUX = {
    "operatingSystem": "Linux",
    "preInstalledSw": "NA",
    "tenancy": "Shared",
    "capacitystatus": "Used",
    "operation": "RunInstances",
}
_ALB = {"operation": "LoadBalancing:Application"}
RATES = {
    "nat_hour": Query("AmazonEC2", "NatGateway-Hours", {"operation": "NatGateway"}),
    "nat_gb": Query("AmazonEC2", "NatGateway-Bytes", {"operation": "NatGateway"}),
    "alb_hour": Query("AWSELB", "LoadBalancerUsage", _ALB),
    "alb_lcu_hour": Query("AWSELB", "LCUUsage", _ALB),
    "gp3_gb_month": Query("AmazonEC2", "EBS:VolumeUsage.gp3"),
    "aurora_storage_gb_month": Query("AmazonRDS", "Aurora:StorageUsage", {"databaseEngine": "Aurora MySQL"}),
    "aurora_io_million": Query(
        "AmazonRDS", "Aurora:StorageIOUsage", {"databaseEngine": "Aurora MySQL"}, per=1_000_000
    ),
    "aurora_backup_gb_month": Query("AmazonRDS", "Aurora:BackupUsage", {"databaseEngine": "Aurora MySQL"}),
    "logs_gb": Query("AmazonCloudWatch", "DataProcessing-Bytes"),
    "transfer_out_gb": Query("AWSDataTransfer", "DataTransfer-Out-Bytes", region_field="fromRegionCode"),
    "codebuild_medium_minute": Query("CodeBuild", "Build-Min:Linux:g1.medium"),
    "acu_hour": Query("AmazonRDS", "Aurora:ServerlessV2Usage", {"databaseEngine": "Aurora MySQL"}),
}
"""The rest of `rate` is the same in every region, or a sum of ours: it stays as it is."""


def queries(prices: dict[str, Any]) -> Iterator[tuple[str, str, Query]]:
    """Group, key and query of every price of a region's file that the list can be asked for."""
    for instance in prices["node"]:
        yield "node", instance, Query("AmazonEC2", f"BoxUsage:{instance}", _LINUX)
    for instance in prices["database"]:
        engine = {"databaseEngine": "Aurora MySQL"}
        yield "database", instance, Query("AmazonRDS", f"InstanceUsage:{instance}", engine)
    for node in prices["cache"]:
        yield "cache", node, Query("AmazonElastiCache", f"NodeUsage:{node}", {"cacheEngine": "Redis"})
    for name, query in RATES.items():
        yield "rate", name, query


def refresh(region: str, folder: Path = FOLDER) -> list[str]:
    """Write the region's file anew, dated today; returns the prices that the list does not name.

    They stay as they were. A region without a file gets one with the sizes that any other file has. Raises
    PriceListError when the list can't be read; the file is then untouched.
    """
    file = folder / f"{region}.json"
    prices = json.loads(file.read_text()) if file.is_file() else _empty(folder)
    client = boto3.Session().client("pricing", region_name=_ENDPOINT)  # pyright: ignore
    kept: list[str] = []
    for group, key, query in list(queries(prices)):
        found = _ask(client, query, region)
        if found is None:
            kept.append(f"{group} {key}")
        else:
            prices[group][key] = found
    for group in ("node", "database", "cache", "rate"):
        prices[group] = {k: v for k, v in prices[group].items() if v}
    prices["dated"] = datetime.now(UTC).date().isoformat()
    file.write_text(json.dumps(prices, indent=1) + "\n")
    return kept


def _empty(folder: Path) -> dict[str, Any]:
    """A file without prices for every size that another region's has."""
    read = [json.loads(f.read_text()) for f in sorted(folder.glob("*-*.json"))]
    groups = ("node", "database", "cache")
    return {**{g: {key: None for one in read for key in one[g]} for g in groups}, "rate": {}}


def _ask(client: Any, query: Query, region: str) -> dict[str, Any] | None:
    try:
        pages = client.get_paginator("get_products").paginate(
            ServiceCode=query.service, Filters=query.filters(region), FormatVersion="aws_v1"
        )
        products = [json.loads(product) for page in pages for product in page["PriceList"]]
    except NoCredentialsError:
        raise PriceListError(
            "no AWS credentials: the price list wants some that may pricing:GetProducts"
        ) from None
    except (BotoCoreError, ClientError) as error:
        raise PriceListError(f"the AWS price list did not answer: {error}") from None
    return parse(products, query)


def parse(products: list[dict[str, Any]], query: Query) -> dict[str, Any] | None:
    """The one price of a query's products; None when there is none.

    Of a price in steps it is the first that is not free, and what reservations make of it (0) is left out. Raises
    PriceListError when products disagree: the query then asks for too much.
    """
    found = {
        (usd, product["product"]["sku"])
        for product in products
        if query.of(product) and (usd := _first_paid(product["terms"].get("OnDemand", {}))) is not None
    }
    if not found:
        return None
    if len({usd for usd, _ in found}) > 1:
        raise PriceListError(f"the AWS price list has several prices for {query.usage}: {sorted(found)}")
    usd, sku = min(found)
    return {"usd": round(usd * query.per, 6), "source": f"AWS price list, SKU {sku}"}


def _first_paid(terms: dict[str, Any]) -> float | None:
    steps = [
        (float(d["beginRange"]), float(d["pricePerUnit"]["USD"]))
        for term in terms.values()
        for d in term["priceDimensions"].values()
        if "USD" in d["pricePerUnit"]
    ]
    return next((usd for _, usd in sorted(steps) if usd), None)
