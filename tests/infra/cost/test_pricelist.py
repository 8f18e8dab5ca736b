"""The price list is read by boto3 over HTTP, from a server that answers in the shape that AWS's answers have.

No server of AWS's price list can be had here (moto has none): what AWS really asks for each usage type shows only
with credentials. What is shown is that the requests are ones that botocore's model takes, and that answers with
pages, steps, reservations and gaps become the right file.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from point_infra.cost import pricelist, prices
from point_infra.cost.pricelist import PriceListError, Query, parse, refresh

Answer = list[dict[str, Any]]


def product(
    sku: str, *steps: tuple[str, str], unit: str = "Hrs", usage: str = "APN2-BoxUsage:m5.large"
) -> dict[str, Any]:
    """A product as the list has it: the price in USD from each beginning on."""
    dimensions = {
        f"{sku}.JRTCKXETXF.{i}": {
            "rateCode": f"{sku}.JRTCKXETXF.{i}",
            "unit": unit,
            "beginRange": begin,
            "endRange": "Inf",
            "description": "",
            "appliesTo": [],
            "pricePerUnit": {"USD": usd},
        }
        for i, (begin, usd) in enumerate(steps)
    }
    term = {"offerTermCode": "JRTCKXETXF", "sku": sku, "termAttributes": {}, "priceDimensions": dimensions}
    return {
        "product": {"sku": sku, "productFamily": "", "attributes": {"usagetype": usage}},
        "serviceCode": "AmazonEC2",
        "version": "20261101000000",
        "publicationDate": "2026-11-01T00:00:00Z",
        "terms": {"OnDemand": {f"{sku}.JRTCKXETXF": term}},
    }


class _PriceList(BaseHTTPRequestHandler):
    answers: dict[str, Answer]
    asked: list[dict[str, Any]]

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["X-Amz-Target"] == "AWSPriceListService.GetProducts"
        assert self.headers["Authorization"].startswith("AWS4-HMAC-SHA256")
        self.asked.append(request)
        usage = next(f["Value"] for f in request["Filters"] if f["Field"] == "usagetype")
        found = [
            {**p, "product": {**p["product"], "attributes": {"usagetype": whole}}}
            for whole, products in self.answers.items()
            if usage in whole
            for p in products
        ]
        # One product a page: whoever asks has to turn them.
        page = int(request.get("NextToken", "0"))
        answer: dict[str, Any] = {
            "FormatVersion": "aws_v1",
            "PriceList": [json.dumps(p) for p in found[page : page + 1]],
        }
        if page + 1 < len(found):
            answer["NextToken"] = str(page + 1)
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(answers: dict[str, Answer]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Serve the answers, by usage type; gives the address and, as they come, the requests."""
    asked: list[dict[str, Any]] = []
    handler = type("Handler", (_PriceList,), {"answers": answers, "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A copy of Seoul's price file, among those of the others."""
    for each in prices.FOLDER.glob("*.json"):
        (tmp_path / each.name).write_text(each.read_text() + " ")
    return tmp_path / "ap-northeast-2.json"


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials but those that a test gives."""
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_ENDPOINT_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def somebody(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", address)


ANSWERS: dict[str, Answer] = {
    # Of other things, though it has the same words in it.
    "APN2-UnusedBoxUsage:m5.large": [product("SKU0", ("0", "9.0000000000"))],
    "APN2-BoxUsage:m5.large": [product("SKU1", ("0", "0.1180000000"))],
    "APN2-InstanceUsage:db.r5.large": [product("SKU2", ("0", "0.3500000000"))],
    # What a reservation covers costs nothing, and is a step of its own.
    "APN2-NodeUsage:cache.r5.large": [product("SKU3", ("0", "0.0000000000"), ("0", "0.2590000000"))],
    # The first 100 GB are free, and the more leaves the less it costs.
    "APN2-DataTransfer-Out-Bytes": [
        product("SKU4", ("0", "0.0000000000"), ("100", "0.1260000000"), ("10240", "0.1220000000"), unit="GB")
    ],
    # Listed twice at the same price, on two pages.
    "APN2-Aurora:StorageIOUsage": [
        product("SKU6", ("0", "0.0000002400"), unit="IOs"),
        product("SKU5", ("0", "0.0000002400"), unit="IOs"),
    ],
}


def test_the_list_s_prices_are_written_with_their_source_and_todays_date(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = json.loads(file.read_text())
    with serving(ANSWERS) as (address, asked):
        somebody(monkeypatch, address)
        kept = refresh("ap-northeast-2", file.parent)
    after = json.loads(file.read_text())
    assert after["node"]["m5.large"] == {"usd": 0.118, "source": "AWS price list, SKU SKU1"}
    assert after["database"]["db.r5.large"]["usd"] == 0.35
    assert after["cache"]["cache.r5.large"]["usd"] == 0.259
    assert after["rate"]["transfer_out_gb"]["usd"] == 0.126
    assert after["rate"]["aurora_io_million"] == {"usd": 0.24, "source": "AWS price list, SKU SKU5"}
    assert after["dated"] > "2026"
    # What the list does not name is said, and stays as it was.
    assert "node m6g.large" in kept
    assert after["node"]["m6g.large"] == before["node"]["m6g.large"]
    assert len(kept) + len(ANSWERS) - 1 == len(list(pricelist.queries(before)))
    # Every query says the region, and the second page was turned to.
    assert all(
        any(
            f["Field"].lower().endswith("regioncode") and f["Value"] == "ap-northeast-2" for f in a["Filters"]
        )
        for a in asked
    )
    assert sum("NextToken" in a for a in asked) == 2


def test_a_region_without_a_file_gets_one_with_every_size_that_the_list_names(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {"MXC1-BoxUsage:t4g.large": [product("SKU1", ("0", "0.0900000000"))]}
    with serving(answers) as (address, _):
        somebody(monkeypatch, address)
        kept = refresh("mx-central-1", file.parent)
    made = prices.load("mx-central-1", file.parent)
    assert made.node["t4g.large"].usd == 0.09
    assert made.node.keys() == {"t4g.large"}
    assert "database db.r5.large" in kept
    assert made.rate["kms_key_month"].usd == 1


def test_without_credentials_it_is_one_line_and_the_file_is_as_it_was(file: Path) -> None:
    before = file.read_text()
    with pytest.raises(PriceListError) as refused:
        refresh("ap-northeast-2", file.parent)
    assert "no AWS credentials" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert file.read_text() == before


def test_a_list_that_does_not_answer_is_one_line(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({}) as (address, _):
        pass
    somebody(monkeypatch, address)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(PriceListError, match="did not answer: Could not connect"):
        refresh("ap-northeast-2", file.parent)


def test_a_query_that_asks_for_too_much_is_refused() -> None:
    found = [product("A", ("0", "0.1")), product("B", ("0", "0.2"))]
    with pytest.raises(PriceListError, match=r"several prices for BoxUsage:m5\.large"):
        parse(found, Query("AmazonEC2", "BoxUsage:m5.large"))


def test_a_product_without_an_on_demand_price_has_none() -> None:
    assert parse([{**product("A"), "terms": {}}], Query("AmazonEC2", "BoxUsage:m5.large")) is None
