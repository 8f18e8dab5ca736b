"""Who the member is, only a good token says: nothing that a client writes gets past the gateway."""

import base64
import hmac
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

pytestmark = pytest.mark.integration

SPOOFS = [
    [("X-Member-Id", "victim")],
    [("x-member-id", "victim"), ("X-MEMBER-ID", "other")],
    [("X-Member-Role", "admin")],
    [("x_member_id", "victim"), ("X_Member_Role", "admin")],
    [("x-member_id", "victim"), ("x_member-role", "admin")],
    [("X-Member-Id", ""), ("X-Member-Role", "")],
]


@pytest.mark.parametrize("headers", SPOOFS, ids=str)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_without_token_no_identity_header_survives(gateway: str, method: str, headers: Any) -> None:
    preflight = [("origin", "https://shop.example.com"), ("access-control-request-method", "POST")]
    more = preflight if method == "OPTIONS" else []
    assert _identity(gateway, method, [*headers, *more]) == []


@pytest.mark.parametrize("headers", SPOOFS, ids=str)
def test_a_token_says_who_the_member_is_whatever_else_is_sent(
    gateway: str, issuer: Any, headers: Any
) -> None:
    token = ("authorization", f"Bearer {issuer.token(role='member')}")
    expected = [("x-member-id", "m-1"), ("x-member-role", "member")]
    assert _identity(gateway, "GET", [*headers, token]) == expected


@pytest.mark.parametrize("headers", SPOOFS, ids=str)
def test_a_token_without_role_leaves_no_role(gateway: str, issuer: Any, headers: Any) -> None:
    token = ("authorization", f"Bearer {issuer.token()}")
    assert _identity(gateway, "GET", [*headers, token]) == [("x-member-id", "m-1")]


BAD: dict[str, Callable[[Any], str]] = {
    "another issuer": lambda by: by.token(iss="https://evil"),
    "no issuer": lambda by: by.token(iss=None),
    "an issuer that starts like ours": lambda by: by.token(iss="https://issuer.localhost/evil"),
    "another audience": lambda by: by.token(aud="other"),
    "no audience": lambda by: by.token(aud=None),
    "expired": lambda by: by.token(exp=time.time() - 3600),
    "not valid yet": lambda by: by.token(nbf=time.time() + 3600),
    "another key of the same name": lambda by: _by_a_stranger(by, "k"),
    "an unknown key": lambda by: _by_a_stranger(by, "z"),
    "no signature": lambda by: by.token().rpartition(".")[0] + ".",
    "a cut signature": lambda by: by.token()[:-8],
    "another payload": lambda by: _with(by, payload=by.claims(sub="victim")),
    "algorithm none": lambda by: _with(by, header={"alg": "none"}, signature=""),
    "algorithm None with our key's name": lambda by: _with(
        by, header={"alg": "None", "kid": "k"}, signature=""
    ),
    "HS256 with the public key as secret": lambda by: _confused(by),
    "garbage": lambda _: "garbage",
    "two dots": lambda _: "..",
    "not JSON": lambda by: _with(by, header="x", payload="y"),
}


@pytest.mark.parametrize("wrong", BAD)
def test_a_bad_token_is_refused(gateway: str, issuer: Any, wrong: str) -> None:
    headers = {"host": "other.localhost", "authorization": f"Bearer {BAD[wrong](issuer)}"}
    assert httpx.get(gateway, headers=headers).status_code == (403 if "audience" in wrong else 401)


@pytest.mark.parametrize("query", ["access_token", "Authorization", "token"])
def test_a_token_in_the_query_is_no_token(gateway: str, issuer: Any, query: str) -> None:
    assert _identity(f"{gateway}/?{query}={issuer.token()}", "GET", []) == []


@pytest.mark.parametrize("header", ["x-forwarded-authorization", "cookie", "proxy-authorization"])
def test_a_token_in_another_header_is_no_token(gateway: str, issuer: Any, header: str) -> None:
    assert _identity(gateway, "GET", [(header, f"Bearer {issuer.token()}")]) == []


def test_the_token_itself_stays_at_the_gateway(gateway: str, issuer: Any) -> None:
    answer = httpx.get(
        gateway, headers={"host": "other.localhost", "authorization": f"Bearer {issuer.token()}"}
    )
    assert "authorization" not in dict(answer.json())


def _identity(gateway: str, method: str, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What the server behind the gateway sees of who is calling."""
    answer = httpx.request(method, gateway, headers=[("host", "other.localhost"), *headers])
    assert answer.status_code == 200, answer.text
    seen = [(name, value) for name, value in answer.json() if "member" in name]
    return sorted(seen)


def _by_a_stranger(issuer: Any, key_name: str) -> str:
    stranger = RSAKey.generate_key(2048, parameters={"kid": key_name})
    return jwt.encode({"alg": "RS256", "kid": key_name}, issuer.claims(), stranger)


def _with(issuer: Any, **parts: Any) -> str:
    """A good token of which some parts were exchanged without signing it anew."""
    good = dict(zip(("header", "payload", "signature"), issuer.token().split("."), strict=True))
    changed = {name: issuer.base64(part) if part != "" else "" for name, part in parts.items()}
    return ".".join((good | changed).values())


def _confused(issuer: Any) -> str:
    """A token whose HMAC secret is the public key, for a checker that lets the token choose the algorithm."""
    signed = f"{issuer.base64({'alg': 'HS256', 'kid': 'k'})}.{issuer.base64(issuer.claims())}"
    mac = hmac.digest(issuer.key.as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
