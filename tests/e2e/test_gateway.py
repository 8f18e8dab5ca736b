"""The gateway's rules: who gets in, under which name, and how often."""

import ssl
import time
from collections.abc import Callable

import httpx
import pytest
from point_local.commands.demo import Client
from point_local.stack import application, edge, issuer

pytestmark = pytest.mark.e2e


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
