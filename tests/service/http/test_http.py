"""The HTTP boundary: who may call, what is taken, and what is said to what isn't."""

import base64
import json
import logging
import uuid

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from point_service.contract.errors import NoClient
from point_service.contract.identity import Caller, Role, identify
from point_service.domain.operations.earn import EarnRequest
from point_service.http.app import create_app
from point_service.http.routes import ROUTES, Write
from point_service.settings import load
from point_service.telemetry import logs

MEMBER = {"X-Member-Id": "m-1", "Content-Type": "application/json"}
SERVICE = MEMBER | {"X-Member-Role": "service"}


@pytest.fixture(scope="module")
def client():
    """The application without a database: everything here must be answered before one is asked."""
    app, _ = create_app(load({"POINT_DATABASE_HOST": "nowhere.invalid"}))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://points")


def problem(answer):
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status_code
    assert document["type"].startswith("urn:point-platform:problem:")
    assert document["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    return answer.status_code, document["type"].rpartition(":")[2], document.get("field")


async def use(client, content, **headers):
    sent = MEMBER | {"Idempotency-Key": str(uuid.uuid4())} | headers
    return await client.post("/v1/points/use", content=content, headers={k: v for k, v in sent.items() if v})


async def test_alive_needs_no_member_and_no_database(client):
    answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("member", [None, "", " ", "m\t1", "m\x7f", "ü", "m" * 256])
async def test_without_one_good_member_id_nobody_is_let_in(client, member):
    headers = {} if member is None else {"X-Member-Id": member.encode()}
    assert problem(await client.get("/v1/points", headers=headers)) == (401, "no-member", "X-Member-Id")


async def test_two_member_headers_are_nobody(client):
    headers = [("X-Member-Id", "m-1"), ("X-Member-Id", "m-2")]
    assert problem(await client.get("/v1/points", headers=headers)) == (401, "no-member", "X-Member-Id")


@pytest.mark.parametrize("role", [None, "member", "Service", "root", "service,admin"])
async def test_earning_needs_the_role_service_or_admin(client, role):
    headers = MEMBER | {"Idempotency-Key": "k"} | ({"X-Member-Role": role} if role else {})
    answer = await client.post("/v1/points/earn", content='{"amount": 1}', headers=headers)
    assert problem(answer) == (403, "role-missing", None)


NAMING = [route for route in ROUTES if route.path.startswith("/v1/members/")]


def naming(route, member):
    """Return the address of a call about a member."""
    return route.path.format(member_id=member, grant_id=1, order_id="o-1")


@pytest.mark.parametrize("member", ["m-1", "m-2"], ids=["itself", "another"])
@pytest.mark.parametrize("route", NAMING, ids=lambda route: route.name)
async def test_a_member_names_nobody_in_the_path(client, route, member):
    """Not even itself: its own token is enough for that."""
    method = "POST" if isinstance(route, Write) else "GET"
    headers = MEMBER | {"Idempotency-Key": "k", "X-Member-Role": "member"}
    answer = await client.request(method, naming(route, member), content="{}", headers=headers)
    assert problem(answer) == (403, "role-missing", None)


@pytest.mark.parametrize("role", ["service", "admin"])
@pytest.mark.parametrize("address", ["m-1", "%6D-1", "bS0x?encoding=base64url"])
async def test_nobody_names_itself_to_be_granted_points(client, role, address):
    member, _, query = address.partition("?")
    headers = MEMBER | {"Idempotency-Key": "k", "X-Member-Role": role}
    answer = await client.post(f"/v1/members/{member}/earn?{query}", content='{"amount": 1}', headers=headers)
    assert problem(answer) == (403, "own-grant", None)


@pytest.mark.parametrize("route", NAMING, ids=lambda route: route.name)
@pytest.mark.parametrize("address", ["%20m", "m%0A", "%ff", "m" * 256, "b?encoding=base64url"])
async def test_who_can_be_no_member_is_not_found(client, route, address):
    member, _, query = address.partition("?")
    method = "POST" if isinstance(route, Write) else "GET"
    address = f"{naming(route, member)}?{query}"
    answer = await client.request(method, address, content="{}", headers=SERVICE | {"Idempotency-Key": "k"})
    assert problem(answer) == (404, "not-found", None)


def listed(*roles):
    """A claim that is a list, as the gateway hands it on."""
    return base64.urlsafe_b64encode(json.dumps(roles).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("claim", "role"),
    [
        (listed("service"), Role.SERVICE),
        (listed("offline_access", "service"), Role.SERVICE),
        (listed("admin", "member", "service"), Role.ADMIN),
        (listed("Admin", "root"), Role.MEMBER),
        (listed(), Role.MEMBER),
        (listed("admin", 5), Role.MEMBER),
        (listed(["admin"]), Role.MEMBER),
        (listed("admin")[:-1] + "!", Role.MEMBER),
        ("W1tb" * 5000, Role.MEMBER),
    ],
)
def test_of_a_list_of_roles_the_one_that_may_do_most_counts(claim, role):
    assert identify(["m-1"], [claim]).role is role


def test_a_scope_of_keys_is_no_other_callers_and_fits_its_column():
    callers = [Caller("m" * length, role) for length in (1, 128, 129, 255) for role in Role]
    callers += [Caller(f"service:{'m' * 128}"[:128], Role.MEMBER), Caller("m" * 254 + "n", Role.ADMIN)]
    scopes = {one.scope for one in callers}
    assert len(scopes) == len(callers)
    assert max(map(len, scopes)) <= 160
    assert Caller("m-1", Role.SERVICE).scope == "service:m-1"


def test_a_clients_scope_is_no_other_ones_and_sorts_behind_its_callers():
    members, clients = ("m", "m\nc", "m" * 129, "m" * 255), ("c", "c" * 255, "azp c", "m:c")
    callers = [Caller(m, role, client) for m in members for role in Role for client in (None, *clients)]
    scopes = {one.client_scope or one.scope for one in callers}
    assert len(scopes) == len(callers)
    assert max(map(len, scopes)) <= 160
    assert all(one.scope < one.client_scope for one in callers if one.client_scope)


def test_a_clients_scope_is_the_first_versions_for_ever():
    assert Caller("m-1", Role.SERVICE, "order-system").client_scope == (
        "service@2b97afce6465ce6621092764d787942a017569b8ba795363939fe0a6e15624d5"
    )


@pytest.mark.parametrize(
    "clients", [[""], [" "], ["a "], ["ü"], ["c" * 256], ["a\tb"], ["a", "b"], ["a", "a"]]
)
def test_a_client_that_is_said_must_be_one_good_text(clients):
    assert identify(["m-1"], ["service"], ["c" * 255]).client == "c" * 255
    with pytest.raises(NoClient):
        identify(["m-1"], ["service"], clients)


@pytest.mark.parametrize(("role", "let_in"), [("service", False), ("admin", False), ("member", True)])
async def test_where_keys_are_by_client_the_shops_systems_must_have_one(role, let_in):
    """Or a request that is repeated without it would be another one. A member's order is used once in any case."""
    settings = load({"POINT_DATABASE_HOST": "nowhere.invalid", "POINT_IDEMPOTENCY_SCOPE": "Client"})
    app, _ = create_app(settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://points") as client:
        answer = await use(client, "{", **{"X-Member-Role": role})
        assert problem(answer) == (
            (400, "malformed-json", None) if let_in else (401, "no-client", "X-Client-Id")
        )
        answer = await use(client, "{", **{"X-Member-Role": role, "X-Client-Id": "order-system"})
        assert problem(answer) == (400, "malformed-json", None)


@pytest.mark.parametrize("key", [None, "", "a b", "k" * 256, "schlüssel".encode()])
async def test_a_post_needs_one_good_idempotency_key(client, key):
    answer = await use(client, '{"order_id": "o", "amount": 1}', **{"Idempotency-Key": key})
    assert problem(answer) == (400, "invalid-idempotency-key", "Idempotency-Key")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"{'a': 1}", b"\xff\xfe", b'{"order_id": "\xff"}', b"[" * 10_000]
)
async def test_what_is_no_json_object_is_refused(client, content):
    assert problem(await use(client, content))[0] in (400, 422)


@pytest.mark.parametrize(
    "amount", ["true", "1.5", "1e2", '"1"', "null", "0", "-1", "1" + "0" * 400, "[1]", "NaN"]
)
async def test_an_amount_must_be_a_whole_positive_number(client, amount):
    status, _, field = problem(await use(client, f'{{"order_id": "o", "amount": {amount}}}'))
    assert (status, field) in ((422, "amount"), (400, None))


@pytest.mark.parametrize(
    "order", ["", "o 1", "o/1", "o" * 65, "주문", "o\x00", "'; DROP TABLE ledger_entry; --", ".", ".."]
)
async def test_an_order_id_is_bounded(client, order):
    answer = await use(client, json.dumps({"order_id": order, "amount": 1}))
    assert problem(answer) == (422, "invalid-field", "order_id")


@pytest.mark.parametrize("order", [".", "..", "a/b"])
async def test_an_order_id_that_no_address_can_carry_is_told_why(client, order):
    answer = await use(client, json.dumps({"order_id": order, "amount": 1}))
    assert "it becomes part of an address: not . or .." in answer.json()["detail"]
    assert "regex" not in answer.text


async def test_an_unknown_field_is_named(client):
    answer = await use(client, '{"order_id": "o", "amount": 1, "discount": 2}')
    assert problem(answer) == (422, "invalid-field", "discount")


async def test_a_missing_field_is_named(client):
    assert problem(await use(client, '{"amount": 1}')) == (422, "invalid-field", "order_id")


async def test_a_body_over_the_limit_is_refused(client):
    answer = await use(client, b'{"order_id": "' + b"x" * 1_000_000 + b'"}')
    assert problem(answer) == (413, "body-too-large", None)


async def test_only_json_is_taken(client):
    answer = await use(client, '{"order_id": "o", "amount": 1}', **{"Content-Type": "text/plain"})
    assert problem(answer) == (415, "unsupported-media-type", "Content-Type")


async def test_other_addresses_and_methods_are_problems_too(client):
    assert problem(await client.get("/v1/nothing", headers=MEMBER))[:2] == (404, "not-found")
    answer = await client.delete("/v1/points", headers=MEMBER)
    assert problem(answer)[:2] == (405, "method-not-allowed")
    assert "GET" in answer.headers["allow"]


async def test_a_request_keeps_the_id_it_came_with(client):
    answer = await client.get("/healthz", headers={"X-Request-Id": "r-1"})
    assert answer.headers["x-request-id"] == "r-1"
    forged = await client.get("/healthz", headers={"X-Request-Id": b'r"\n1'})
    assert uuid.UUID(forged.headers["x-request-id"])


@limits(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["amount", "order_id", "x"]), inner),
    ).map(lambda value: json.dumps(value).encode())
)
async def test_no_body_makes_it_fail(client, content):
    try:
        msgspec.json.decode(content, type=EarnRequest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        headers = SERVICE | {"Idempotency-Key": "k"}
        answer = await client.post("/v1/points/earn", content=content, headers=headers)
        assert problem(answer)[0] in (400, 422)


def test_a_log_line_is_json_with_the_ids_of_request_and_trace():
    logs.REQUEST_ID.set("r-1")
    logs.TRACE_ID.set("t-1")
    record = logging.makeLogRecord(
        {"msg": "said %s", "args": ("so",), "levelname": "INFO", "name": "x", "points": 5}
    )
    line = json.loads(logs.JsonFormatter(zone="az-a", pod=None).format(record))
    assert line["message"] == "said so"
    assert (line["request_id"], line["trace_id"], line["zone"], line["points"]) == ("r-1", "t-1", "az-a", 5)
    assert "pod" not in line


def test_a_member_is_told_apart_in_the_log_without_being_named():
    assert logs.hashed("m-1") != logs.hashed("m-2")
    assert "m-1" not in logs.hashed("m-1")
