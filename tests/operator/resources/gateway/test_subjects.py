"""Members as issuers call them, from a token through the real gateway and the real service into the database.

Two PointServices share the gateway: one whose issuer has the usual claims, one whose issuer is like Cognito with its
access tokens: no audience, the client in `client_id`, the member in `username`, the roles in a list.
"""

import base64
import json
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest
from harness import gateway, mesh
from harness.gateway import Answer, Client, bearer, tenant
from harness.service import Served
from harness.subjects import SUBJECTS, UNCARRIED
from point_local.alone import mysqld, serve, servers
from point_local.drill import attacks
from point_operator.model import api, names
from point_service.contract import errors
from point_service.mysql.migrate import migrate
from point_service.settings import load

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

HOST, POOL = "points.localhost", "pool.localhost"
CLIENT = "7abcdefghijklmnopqrstuvwxy"
ROLES = "cognito:groups"


@pytest.fixture(scope="module")
def pool(issuer: Any) -> Any:
    """The issuer that is like Cognito."""
    return type(issuer)("https://pool.localhost")


@pytest.fixture(scope="module")
def service() -> Iterator[int]:
    """The port of the service, on a database of its own."""
    if reason := mysqld.available("mysql"):
        pytest.skip(reason)
    with servers.database("mysql") as database:
        variables = serve.environment(database, None)
        migrate(load(variables).database)
        with Served(variables) as service:
            yield service.port


@contextmanager
def _client(service: int, tenants: Sequence[api.PointService], proxy: Mapping[str, Any]) -> Generator[Client]:
    if reason := gateway.missing():
        pytest.skip(reason)
    backends = {names.service_host(one): service for one in tenants}
    with gateway.opened(tenants, backends, proxy) as door:
        yield Client(door, HOST)


@pytest.fixture(scope="module")
def client(service: int, issuer: Any, pool: Any) -> Iterator[Client]:
    """A client of our gateway."""
    jwt = {"audiences": [CLIENT], "audienceClaim": "client_id", "memberClaim": "username", "roleClaim": ROLES}
    limit = {"requestsPerSecond": 1000, "perMember": {"requestsPerSecond": 100}}
    tenants = [tenant("points", HOST, issuer, rateLimit=limit), tenant("pool", POOL, pool, jwt=jwt)]
    with _client(service, tenants, mesh.our_proxy()) as client:
        yield client


@pytest.fixture(scope="module")
def decoded(service: int, issuer: Any) -> Iterator[Client]:
    """A client of a gateway that redirects %2F to /, as Istio has it for the edge of a network."""
    proxy = {**mesh.TRUSTING, "connectionSettings": {"profile": "EDGE"}}
    with _client(service, [tenant("points", HOST, issuer)], proxy) as client:
        yield client


def _call(client: Client, token: str, target: str, body: Any = None, host: str = HOST) -> Answer:
    key = "Idempotency-Key", str(uuid.uuid4())
    if body is None:
        return client.call(target, bearer(token), host=host)
    headers = bearer(token), key, ("Content-Type", "application/json")
    return client.call(target, *headers, method="POST", body=json.dumps(body).encode(), host=host)


def _member(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    return json.loads(answer.body)["member_id"]


def _base64url(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize("name", [*SUBJECTS, *UNCARRIED])
def test_whoever_a_token_names_is_a_member(client: Client, issuer: Any, name: str) -> None:
    subject = (SUBJECTS | UNCARRIED)[name]
    earned = _call(client, issuer.token(sub=subject, role="service"), "/v1/points/earn", {"amount": 5})
    assert earned.status == 201, earned.body
    assert _member(_call(client, issuer.token(sub=subject), "/v1/points")) == subject


@pytest.mark.parametrize("name", SUBJECTS)
def test_an_address_carries_a_member_percent_encoded(client: Client, issuer: Any, name: str) -> None:
    admin, address = issuer.token(role="admin"), f"/v1/admin/members/{quote(SUBJECTS[name], safe='')}"
    assert _member(_call(client, admin, address)) == SUBJECTS[name]
    assert _call(client, admin, f"{address}/earn", {"amount": 5}).status == 201
    assert _call(client, admin, f"{address}/history").status == 200


@pytest.mark.parametrize("name", [*SUBJECTS, *UNCARRIED])
def test_an_address_carries_any_member_in_base64url_through_any_gateway(
    decoded: Client, issuer: Any, name: str
) -> None:
    subject = (SUBJECTS | UNCARRIED)[name]
    address = f"/v1/admin/members/{_base64url(subject)}?encoding=base64url"
    assert _member(_call(decoded, issuer.token(role="admin"), address)) == subject


def test_a_gateway_that_decodes_slashes_needs_it(decoded: Client, issuer: Any) -> None:
    answer = _call(decoded, issuer.token(role="admin"), "/v1/admin/members/m-1%2Fhistory")
    assert (answer.status, answer.headers["location"]) == (307, "/v1/admin/members/m-1/history")


@pytest.mark.parametrize("name", SUBJECTS)
def test_the_shops_token_names_a_member_percent_encoded(client: Client, issuer: Any, name: str) -> None:
    shop, subject, order = issuer.token(sub="shop", role="service"), SUBJECTS[name], str(uuid.uuid4())
    address = f"/v1/members/{quote(subject, safe='')}"
    earned = _call(client, shop, f"{address}/earn", {"amount": 5})
    assert earned.status == 201, earned.body
    used = {"order_id": order, "amount": 3}
    assert _call(client, shop, f"{address}/use", used).status == 201
    assert _call(client, shop, f"{address}/use/cancel", used).status == 201
    grant = json.loads(earned.body)["grant_id"]
    assert _call(client, shop, f"{address}/earn/{grant}/cancel", {}).status in (201, 409)
    assert _member(_call(client, shop, address)) == subject
    for rest in ("/grants", "/history", f"/orders/{order}"):
        assert _call(client, shop, address + rest).status == 200
    assert _call(client, issuer.token(sub=subject), f"/v1/points/orders/{order}").status == 200


@pytest.mark.parametrize("name", [*SUBJECTS, *UNCARRIED])
def test_the_shops_token_names_any_member_in_base64url_through_any_gateway(
    decoded: Client, issuer: Any, name: str
) -> None:
    shop, subject = issuer.token(sub="shop", role="service"), (SUBJECTS | UNCARRIED)[name]
    address, query = f"/v1/members/{_base64url(subject)}", "encoding=base64url"
    assert _call(decoded, shop, f"{address}/earn?{query}", {"amount": 5}).status == 201
    assert _member(_call(decoded, shop, f"{address}?{query}")) == subject
    assert _call(decoded, shop, f"{address}/history?limit=1&{query}").status == 200


@pytest.mark.parametrize(("target", "body"), attacks.NAMINGS)
def test_a_members_token_names_nobody(client: Client, issuer: Any, target: str, body: Any) -> None:
    for member in (attacks.VICTIM, "m-mallory"):
        refused = _call(client, issuer.token(sub=member), target, body)
        assert (refused.status, refused.problem()["type"]) == (403, errors.TYPE_PREFIX + "role-missing")
    method = "GET" if body is None else "POST"
    untold = client.call(target, method=method)
    assert (untold.status, untold.problem()["type"]) == (403, errors.TYPE_PREFIX + "no-token")
    forged = client.call(target, bearer(attacks.FORGERIES["another payload"](issuer)), method=method)
    assert (forged.status, forged.problem()["type"]) == (401, errors.TYPE_PREFIX + "invalid-token")


@pytest.mark.parametrize("headers", attacks.SPOOFS.values(), ids=attacks.SPOOFS)
def test_a_header_makes_no_member_one_of_the_shops_systems(
    client: Client, issuer: Any, headers: list[attacks.Header]
) -> None:
    target = f"/v1/members/{attacks.VICTIM}"
    answer = client.call(target, bearer(issuer.token(sub="m-mallory")), *headers)
    assert answer.status in (400, 403)
    assert attacks.VICTIM.encode() not in answer.body


def test_a_header_makes_the_shops_own_name_no_other_ones(client: Client, issuer: Any) -> None:
    """Who grants to itself is known by its token."""
    shop = bearer(issuer.token(sub="shop", role="service"))
    sent = ("Idempotency-Key", "k"), ("Content-Type", "application/json"), ("X-Member-Id", "other")
    answer = client.call("/v1/members/shop/earn", shop, *sent, method="POST", body=b'{"amount": 5}')
    assert (answer.status, answer.problem()["type"]) == (403, errors.TYPE_PREFIX + "own-grant")


@pytest.mark.parametrize("dots", UNCARRIED.values())
def test_an_address_loses_dots_so_no_order_is_called_that(client: Client, issuer: Any, dots: str) -> None:
    encoded = dots.replace(".", "%2E")
    assert b'"order_id"' not in _call(client, issuer.token(), f"/v1/points/orders/{encoded}").body
    refused = _call(client, issuer.token(), "/v1/points/use", {"order_id": dots, "amount": 1})
    assert refused.problem()["type"] == errors.TYPE_PREFIX + "invalid-field"
    assert "becomes part of an address" in refused.problem()["detail"]


@pytest.mark.parametrize(
    ("subject", "code", "said"),
    [
        (12345, "invalid-token", "[sub] field is not a string"),
        (2**53 + 1, "invalid-token", "[sub] field is not a string"),
        (["m-1"], "invalid-token", "[sub] field is not a string"),
        (None, "no-member", "missing, empty or no text"),
        ("", "no-member", "missing, empty or no text"),
        (" m-1", "no-member", "begins or ends with a space"),
        ("m-1 ", "no-member", "begins or ends with a space"),
        ("m" * 256, "no-member", "1 to 255 printable ASCII characters"),
        ("김민지", "no-member", "1 to 255 printable ASCII characters"),
    ],
)
def test_a_token_that_names_no_member_is_told_so(
    client: Client, issuer: Any, subject: Any, code: str, said: str
) -> None:
    answer = _call(client, issuer.token(sub=subject), "/v1/points")
    assert (answer.status, answer.problem()["type"]) == (401, errors.TYPE_PREFIX + code)
    assert said in answer.problem()["detail"]


@pytest.mark.parametrize(
    "subject", ["m-1\r\nX-Member-Role: admin", "m-1\nx-member-role: admin", "m-1\0", "m-1\t", "m\x7f"]
)
def test_a_subject_that_would_break_a_header_opens_nothing(client: Client, issuer: Any, subject: str) -> None:
    for target in ("/v1/points", "/v1/admin/members/m-1"):
        # 503 where the service's parser won't read on: it is the gateway that wrote it.
        assert _call(client, issuer.token(sub=subject), target).status in (400, 401, 403, 503)


@pytest.mark.parametrize(
    ("roles", "status"),
    [
        ("service", 201),
        (["service"], 201),
        (["eu-west-1_x_Google", "service", "admin"], 201),
        (["customers"], 403),
        (["service", 5], 403),
        ([], 403),
        ({"service": True}, 403),
    ],
)
def test_of_a_list_of_roles_one_that_may_is_enough(
    client: Client, issuer: Any, roles: Any, status: int
) -> None:
    assert _call(client, issuer.token(role=roles), "/v1/points/earn", {"amount": 5}).status == status


class Pool:
    """Who calls with access tokens of the issuer that is like Cognito."""

    def __init__(self, client: Client, issuer: Any) -> None:
        self._client, self._issuer = client, issuer

    def call(self, target: str, body: Any = None, **changes: Any) -> Answer:
        """Send a request with a good token, with changes; None leaves a claim out."""
        usual = {
            "aud": None,
            "sub": str(uuid.uuid4()),
            "client_id": CLIENT,
            "username": "kim",
            "token_use": "access",
        }
        return _call(self._client, self._issuer.token(**(usual | changes)), target, body, POOL)


@pytest.fixture
def access(client: Client, pool: Any) -> Pool:
    """With access tokens."""
    return Pool(client, pool)


def test_an_access_token_that_has_no_audience_is_known_by_its_client(access: Pool) -> None:
    assert _member(access.call("/v1/points")) == "kim"
    assert access.call("/v1/points/earn", {"amount": 5}, **{ROLES: ["shop", "service"]}).status == 201


@pytest.mark.parametrize(
    "wrong", [{"client_id": "another"}, {"client_id": None}, {"client_id": None, "aud": CLIENT}]
)
def test_another_clients_token_opens_nothing(access: Pool, wrong: dict[str, Any]) -> None:
    answer = access.call("/v1/points", **wrong)
    assert answer.problem()["type"] == errors.TYPE_PREFIX + "forbidden"
    assert "not for this service" in answer.problem()["detail"]


@pytest.mark.parametrize("number", [7, -1.5, 2**53 + 1])
def test_a_number_that_should_name_a_member_is_told_so(access: Pool, number: float) -> None:
    answer = access.call("/v1/points", username=number)
    assert (answer.status, answer.problem()["type"]) == (401, errors.TYPE_PREFIX + "no-member")
    assert answer.problem()["status"] == 401
    assert "its claim username, which names the member, is a number" in answer.problem()["detail"]


def test_a_member_whose_name_is_digits_is_one(access: Pool) -> None:
    assert _member(access.call("/v1/points", username="12345")) == "12345"
    assert access.call("/metrics", username="12345").problem()["type"] == errors.TYPE_PREFIX + "forbidden"


def test_a_token_of_one_issuer_opens_nothing_of_the_other(client: Client, issuer: Any, pool: Any) -> None:
    named = {"username": "kim", "client_id": CLIENT}
    for token, host in ((issuer.token(**named), POOL), (pool.token(**named), HOST)):
        assert _call(client, token, "/v1/points", host=host).status == 403
