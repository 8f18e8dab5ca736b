"""The gateway's rules: who gets in, under which name, and how often."""

import asyncio
import collections
import json
import ssl
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import httpx
import pytest
from point_local import application, edge, issuer
from point_local.command import wait
from point_local.demo import Client
from point_local.observe import gateway_pods, proxy_admin

pytestmark = pytest.mark.e2e

Patch = Callable[[dict[str, Any]], None]


def test_no_token_is_forbidden(member: Client) -> None:
    assert member.call("GET", "/v1/points", token="").status_code == 403


@pytest.mark.parametrize(
    "make",  # a minute of clock skew is forgiven
    [
        lambda: "garbage",
        lambda: issuer.token("m-1", seconds=-120),
        lambda: issuer.token("m-1", nbf=int(time.time()) + 3600),
        lambda: issuer.token("m-1", iss="https://other.localhost"),
        lambda: issuer.token("m-1")[:-6] + "AAAAAA",
    ],
    ids=["garbage", "expired", "not yet valid", "another issuer", "another signature"],
)
def test_a_bad_token_is_unauthorized(member: Client, make: Callable[[], str]) -> None:
    assert member.call("GET", "/v1/points", token=make()).status_code == 401


def test_a_token_for_another_audience_is_refused(member: Client) -> None:
    token = issuer.token("m-1", aud=["other"])
    assert member.call("GET", "/v1/points", token=token).status_code in (401, 403)


def test_a_token_in_the_query_is_no_token(member: Client) -> None:
    path = f"/v1/points?access_token={issuer.token(member.member)}"
    assert member.call("GET", path, token="").status_code == 403


@pytest.mark.parametrize("name", ["X-Member-Id", "x-member-id", "X_Member_Id", "X-MEMBER-ID"])
def test_a_member_id_sent_by_a_client_never_reaches_the_service(member: Client, name: str) -> None:
    answer = member.call("GET", "/v1/points", headers={name: "somebody-else"})
    assert answer.status_code == 400 or answer.json()["member_id"] == member.member


def test_a_member_id_sent_twice_never_reaches_the_service(member: Client) -> None:
    headers = [
        ("Authorization", f"Bearer {issuer.token(member.member)}"),
        ("X-Member-Id", "first"),
        ("X-Member-Id", "second"),
    ]
    with httpx.Client(verify=_context()) as client:
        answer = client.get(f"{_url()}/v1/points", headers=headers)
    assert answer.json()["member_id"] == member.member


def test_a_role_sent_by_a_client_never_reaches_the_service(member: Client) -> None:
    answer = member.call("POST", "/v1/points/earn", {"amount": 1}, headers={"X-Member-Role": "admin"})
    assert answer.status_code == 403


def test_only_the_health_check_needs_no_token(member: Client) -> None:
    assert member.call("GET", "/healthz", token="").status_code == 200
    for path in ("/metrics", "/readyz", "/openapi.json", "/healthz/../v1/points", "//healthz/x"):
        assert member.call("GET", path, token="").status_code in (403, 404), path


def test_a_preflight_from_the_shop_is_answered(member: Client) -> None:
    answer = member.call(
        "OPTIONS", "/v1/points/use", token="", headers=_preflight("https://shop.example.com")
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://shop.example.com"


def test_a_preflight_from_elsewhere_is_not(member: Client) -> None:
    answer = member.call(
        "OPTIONS", "/v1/points/use", token="", headers=_preflight("https://evil.example.com")
    )
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_the_limit_of_1000_a_second_is_live_and_shared_by_the_gateway_pods() -> None:
    pods = gateway_pods()
    fills = [_tokens_per_second(pod) for pod in pods]
    assert sum(fills) == 1000
    assert len(set(fills)) == 1


def test_twice_the_limit_lets_the_limit_through(member: Client, pointservice: Patch) -> None:
    limit, seconds = 100, 10
    pointservice({"gateway": {"rateLimit": {"requestsPerSecond": limit}}})
    pods = gateway_pods()
    wait("the limit is live", lambda: sum(map(_tokens_per_second, pods)) == limit, seconds=30)
    counts, took = asyncio.run(_offer(member, 2 * limit, seconds))
    assert set(counts) == {200, 429}
    assert sum(counts.values()) == 2 * limit * seconds
    # Each proxy's bucket may start full: a tenth of a second's worth in all.
    assert 0.95 * limit <= counts[200] / took <= 1.07 * limit, (counts, took)


async def _offer(member: Client, rate: int, seconds: int) -> tuple[collections.Counter[int], float]:
    """`rate` requests a second, evenly, for `seconds`; the statuses and how long it took."""
    headers = {"Authorization": f"Bearer {issuer.token(member.member)}"}
    counts: collections.Counter[int] = collections.Counter()
    connector = aiohttp.TCPConnector(limit=64, ssl=_context())
    async with aiohttp.ClientSession(connector=connector, headers=headers) as client:

        async def one(due: float) -> None:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            async with client.get(f"{_url()}/v1/points") as answer:
                counts[answer.status] += 1

        start = time.monotonic() + 0.5
        await asyncio.gather(*(one(start + i / rate) for i in range(rate * seconds)))
        return counts, max(time.monotonic() - start, seconds)


def _tokens_per_second(pod: str) -> int:
    """The service's limit in a gateway pod's live configuration."""
    found: list[int] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if any(
                e.get("value") == "points.points" for e in value.get("entries") or [] if isinstance(e, dict)
            ):
                bucket = value.get("token_bucket")
                if bucket:
                    found.append(int(bucket["tokens_per_fill"]))
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(json.loads(proxy_admin(pod, "config_dump?resource=dynamic_route_configs")))
    return max(found, default=0)


def _preflight(origin: str) -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,idempotency-key",
    }


def _url() -> str:
    return edge.url(application.hosts()[0])


def _context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(edge.ca()))
