"""Members as issuers call them are members like any other, from the header to the row and back in an address."""

import base64
import uuid
from urllib.parse import quote

import httpx
import pytest
from harness.subjects import SUBJECTS, UNCARRIED
from point_local.alone import serve

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def served(database_server, redis_server, service):
    with service(serve.environment(database_server, redis_server)) as served:
        yield served


@pytest.fixture
def client(served, master):
    """Its ledger must add up after each test."""
    del master
    with httpx.Client(base_url=served.url, timeout=20) as client:
        yield client


def call(client, method, target, member, body=None, role="member", key=None):
    """Send a target as it is: httpx would decode some of it."""
    headers = {"X-Member-Id": member, "X-Member-Role": role, "Idempotency-Key": key or str(uuid.uuid4())}
    request = client.build_request(method, "/", json=body, headers=headers)
    request.url = request.url.copy_with(raw_path=target.encode())
    return client.send(request)


def base64url(text):
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize("name", [*SUBJECTS, *UNCARRIED])
def test_whoever_an_issuer_names_is_a_member(client, name):
    member = (SUBJECTS | UNCARRIED)[name]
    order, key = str(uuid.uuid4()), str(uuid.uuid4())
    before = call(client, "GET", "/v1/points", member).json()["balance"]
    earned = call(client, "POST", "/v1/points/earn", member, {"amount": 100}, role="service")
    assert earned.status_code == 201, earned.text
    used = [
        call(client, "POST", "/v1/points/use", member, {"order_id": order, "amount": 40}, key=key)
        for _ in range(2)
    ]
    assert [one.status_code for one in used] == [201, 201]
    assert used[0].json() == used[1].json()
    assert used[1].headers["idempotency-replayed"] == "true"
    seen = call(client, "GET", "/v1/points", member).json()
    assert (seen["member_id"], seen["balance"]) == (member, before + 60)
    assert call(client, "GET", f"/v1/points/orders/{order}", member).json()["used"] == 40
    metrics = client.get("/metrics").text
    assert 'point_redis_unavailable_total{purpose="lock"} 0.0' in metrics
    assert 'point_redis_unavailable_total{purpose="answer"} 0.0' in metrics


@pytest.mark.parametrize("name", SUBJECTS)
def test_an_admin_names_a_member_percent_encoded(client, name):
    member = SUBJECTS[name]
    address = f"/v1/admin/members/{quote(member, safe='')}"
    granted = call(client, "POST", f"{address}/earn", "a-1", {"amount": 10}, role="admin")
    assert granted.status_code == 201, granted.text
    assert call(client, "GET", address, "a-1", role="admin").json()["member_id"] == member
    assert call(client, "GET", f"{address}/history", "a-1", role="admin").json()["entries"]
    grants = call(client, "GET", f"{address}/grants?limit=1", "a-1", role="admin").json()["grants"]
    assert [one["grant_id"] for one in grants] == [granted.json()["grant_id"]]
    metrics = client.get("/metrics").text
    assert 'route="/v1/admin/members/{member_id}/history"' in metrics


@pytest.mark.parametrize("name", [*SUBJECTS, *UNCARRIED])
def test_an_admin_names_a_member_in_base64url(client, name):
    member = (SUBJECTS | UNCARRIED)[name]
    address = f"/v1/admin/members/{base64url(member)}"
    granted = call(client, "POST", f"{address}/earn?encoding=base64url", "a-1", {"amount": 10}, role="admin")
    assert granted.status_code == 201, granted.text
    seen = call(client, "GET", f"{address}?encoding=base64url", "a-1", role="admin")
    assert seen.json()["member_id"] == member


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/v1/admin/members/bS0x?encoding=hex", 422),
        ("/v1/admin/members/bS0x?encoding=", 422),
        ("/v1/admin/members/b?encoding=base64url", 404),
        ("/v1/admin/members/_w?encoding=base64url", 404),
        ("/v1/admin/members/IA?encoding=base64url", 404),
        ("/v1/admin/members/%20m", 404),
        ("/v1/admin/members/m%0A", 404),
        ("/v1/admin/members/m%00", 404),
        ("/v1/admin/members/%ff", 404),
        (f"/v1/admin/members/{'m' * 256}", 404),
        ("/v1/admin/members/m%2Fhistory/nothing", 404),
        ("/v1/points%2Fhistory", 404),
    ],
)
def test_what_names_nobody_is_told_so(client, target, status):
    assert call(client, "GET", target, "a-1", role="admin").status_code == status


def test_a_slash_that_is_encoded_leads_to_no_other_address(client):
    """Decoded too early, it would be the history of somebody else."""
    answer = call(client, "GET", "/v1/admin/members/m-1%2Fhistory", "a-1", role="admin").json()
    assert answer["member_id"] == "m-1/history"


def test_callers_with_long_ids_have_keys_of_their_own(client):
    callers = ["c" * 254 + last for last in "ab"]
    address, key = f"/v1/admin/members/{uuid.uuid4()}/earn", str(uuid.uuid4())
    answers = [
        call(client, "POST", address, caller, {"amount": 1}, role="admin", key=key)
        for caller in (*callers, *callers)
    ]
    assert ["idempotency-replayed" in one.headers for one in answers] == [False, False, True, True]
    assert answers[0].json() == answers[2].json() != answers[1].json()
