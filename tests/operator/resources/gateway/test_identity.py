"""Who the member is, only a good token says: nothing that a client writes gets past the gateway."""

from typing import Any

import httpx
import pytest
from point_local.drill import attacks

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("headers", attacks.SPOOFS.values(), ids=attacks.SPOOFS)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_without_token_no_identity_header_survives(gateway: str, method: str, headers: Any) -> None:
    preflight = [("origin", "https://shop.example.com"), ("access-control-request-method", "POST")]
    more = preflight if method == "OPTIONS" else []
    assert _identity(gateway, method, [*headers, *more]) == []


@pytest.mark.parametrize("headers", attacks.SPOOFS.values(), ids=attacks.SPOOFS)
def test_a_token_says_who_the_member_is_whatever_else_is_sent(
    gateway: str, issuer: Any, headers: Any
) -> None:
    token = ("authorization", f"Bearer {issuer.token(role='member')}")
    expected = [("x-member-id", "m-1"), ("x-member-role", "member")]
    assert _identity(gateway, "GET", [*headers, token]) == expected


@pytest.mark.parametrize("headers", attacks.SPOOFS.values(), ids=attacks.SPOOFS)
def test_a_token_without_role_leaves_no_role(gateway: str, issuer: Any, headers: Any) -> None:
    token = ("authorization", f"Bearer {issuer.token()}")
    assert _identity(gateway, "GET", [*headers, token]) == [("x-member-id", "m-1")]


@pytest.mark.parametrize("headers", attacks.SPOOFS.values(), ids=attacks.SPOOFS)
def test_a_token_says_whose_client_it_is_for(gateway: str, issuer: Any, headers: Any) -> None:
    token = ("authorization", f"Bearer {issuer.token(azp='order-system')}")
    expected = [("x-client-id", "order-system"), ("x-member-id", "m-1")]
    assert _identity(gateway, "GET", [*headers, token]) == expected


@pytest.mark.parametrize("wrong", attacks.FORGERIES)
def test_a_bad_token_is_refused(gateway: str, issuer: Any, wrong: str) -> None:
    headers = {"host": "other.localhost", "authorization": f"Bearer {attacks.FORGERIES[wrong](issuer)}"}
    assert httpx.get(gateway, headers=headers).status_code == (403 if "audience" in wrong else 401)


@pytest.mark.parametrize("query", attacks.UNASKED_PLACES)
def test_a_token_in_the_query_is_no_token(gateway: str, issuer: Any, query: str) -> None:
    assert _identity(f"{gateway}/?{query}={issuer.token()}", "GET", []) == []


@pytest.mark.parametrize("header", attacks.OTHER_HEADERS)
def test_a_token_in_another_header_is_no_token(gateway: str, issuer: Any, header: str) -> None:
    assert _identity(gateway, "GET", [(header, f"Bearer {issuer.token()}")]) == []


def test_the_token_itself_stays_at_the_gateway(gateway: str, issuer: Any) -> None:
    answer = httpx.get(
        gateway, headers={"host": "other.localhost", "authorization": f"Bearer {issuer.token()}"}
    )
    assert "authorization" not in dict(answer.json())


def _identity(gateway: str, method: str, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What the server behind the gateway sees of who is calling, and with whose token."""
    answer = httpx.request(method, gateway, headers=[("host", "other.localhost"), *headers])
    assert answer.status_code == 200, answer.text
    seen = [(name, value) for name, value in answer.json() if "member" in name or "client" in name]
    return sorted(seen)
