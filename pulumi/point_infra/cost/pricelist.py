"""AWS's own price list (GetProducts), asked for the prices that the cost table uses."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

FILE = Path(__file__).with_name("prices.json")
REGION = "ap-northeast-2"
_PREFIX = "APN2"
"""How Seoul's usage types begin."""
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

    def filters(self) -> list[dict[str, str]]:
        """As GetProducts takes them."""
        fields = {"regionCode": REGION, "usagetype": f"{_PREFIX}-{self.usage}", **self.attributes}
        return [{"Type": "TERM_MATCH", "Field": k, "Value": v} for k, v in fields.items()]


_LINUX = {
    "operatingSystem": "Linux",
    "preInstalledSw": "NA",
    "tenancy": "Shared",
    "capacitystatus": "Used",
    "operation": "RunInstances",
}
_ALB = {"operation": "LoadBalancing:Application"}
RATES = {
    "control_plane_hour": Query("AmazonEKS", "AmazonEKS-Hours:perCluster"),
    "nat_hour": Query("AmazonEC2", "NatGateway-Hours", {"operation": "NatGateway"}),
    "nat_gb": Query("AmazonEC2", "NatGateway-Bytes", {"operation": "NatGateway"}),
    "alb_hour": Query("AWSELB", "LoadBalancerUsage", _ALB),
    "alb_lcu_hour": Query("AWSELB", "LCUUsage", _ALB),
    "public_ipv4_hour": Query("AmazonVPC", "PublicIPv4:InUseAddress"),
    "gp3_gb_month": Query("AmazonEC2", "EBS:VolumeUsage.gp3"),
    "aurora_storage_gb_month": Query("AmazonRDS", "Aurora:StorageUsage", {"databaseEngine": "Aurora MySQL"}),
    "aurora_io_million": Query(
        "AmazonRDS", "Aurora:StorageIOUsage", {"databaseEngine": "Aurora MySQL"}, per=1_000_000
    ),
    "logs_gb": Query("AmazonCloudWatch", "DataProcessing-Bytes"),
    "alarm_month": Query("AmazonCloudWatch", "CW:AlarmMonitorUsage"),
    "transfer_out_gb": Query("AWSDataTransfer", "DataTransfer-Out-Bytes"),
    "cross_zone_gb": Query("AWSDataTransfer", "DataTransfer-Regional-Bytes"),
}
"""The rest of `rate` is the same in every region, or a sum of ours: it stays as it is."""


def queries(prices: dict[str, Any]) -> Iterator[tuple[str, str, Query]]:
    """Group, key and query of every price that the list can be asked for."""
    for instance in prices["node"]:
        yield "node", instance, Query("AmazonEC2", f"BoxUsage:{instance}", _LINUX)
    for instance in prices["database"]:
        engine = {"databaseEngine": "Aurora MySQL"}
        yield "database", instance, Query("AmazonRDS", f"InstanceUsage:{instance}", engine)
    for node in prices["cache"]:
        yield "cache", node, Query("AmazonElastiCache", f"NodeUsage:{node}", {"cacheEngine": "Redis"})
    for name, query in RATES.items():
        yield "rate", name, query


def refresh(file: Path) -> list[str]:
    """Write `file` anew, dated today; returns the prices that the list does not name, which stay as they were.

    Raises PriceListError when the list can't be read; the file is then untouched.
    """
    prices = json.loads(file.read_text())
    client = boto3.Session().client("pricing", region_name=_ENDPOINT)  # pyright: ignore
    kept: list[str] = []
    for group, key, query in queries(prices):
        found = _ask(client, query)
        if found is None:
            kept.append(f"{group} {key}")
        else:
            prices[group][key] = found
    prices["dated"] = datetime.now(UTC).date().isoformat()
    file.write_text(json.dumps(prices, indent=1) + "\n")
    return kept


def _ask(client: Any, query: Query) -> dict[str, Any] | None:
    try:
        pages = client.get_paginator("get_products").paginate(
            ServiceCode=query.service, Filters=query.filters(), FormatVersion="aws_v1"
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
        if (usd := _first_paid(product["terms"].get("OnDemand", {}))) is not None
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
