"""A system of the shop names the member in the path: the same is done as by a token of that member's own."""

import base64
import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import httpx
import pytest
from harness.subjects import SUBJECTS, UNCARRIED
from point_local.alone import serve
from point_service.telemetry import logs

pytestmark = pytest.mark.integration

SHOP = "shop|orders/1"
PASSING = {"grant_id", "source_grant_id", "entry_id", "next_cursor", "member_id"}
MOMENTS = {"expires_at", "granted_at", "used_at", "at"}
WAYS = {
    "percent-encoded": lambda member: ("/v1/members/" + quote(member, safe=""), ""),
    "in base64url": lambda member: (f"/v1/members/{base64url(member)}", "encoding=base64url"),
}


@pytest.fixture(scope="module")
def served(database_server, redis_server, service):
    with service(serve.environment(database_server, redis_server)) as served:
        yield served


@pytest.fixture(scope="module")
def by_client(database_server, redis_server, service):
    """Where a key is its client's."""
    variables = serve.environment(database_server, redis_server) | {"POINT_IDEMPOTENCY_SCOPE": "Client"}
    with service(variables) as served, httpx.Client(base_url=served.url, timeout=20) as client:
        yield client


@pytest.fixture
def client(served, master):
    """Its ledger must add up after each test."""
    del master
    with httpx.Client(base_url=served.url, timeout=20) as client:
        yield client


@pytest.fixture
def member():
    return f"m|{uuid.uuid4()}/1"


def base64url(text):
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def call(client, target, body=None, *, caller=SHOP, role="service", key=None, system=None):
    """Send a target as it is: httpx would decode some of it. A call with a body is a POST."""
    headers = {"X-Member-Id": caller, "X-Member-Role": role, "Idempotency-Key": key or str(uuid.uuid4())}
    headers |= {"X-Client-Id": system} if system else {}
    request = client.build_request("GET" if body is None else "POST", "/", json=body, headers=headers)
    request.url = request.url.copy_with(raw_path=target.encode())
    return client.send(request)


def earn(client, member, amount=100, way="percent-encoded", **more):
    base, query = WAYS[way](member)
    return call(client, f"{base}/earn?{query}", {"amount": amount}, **more)


def balance(client, member):
    return call(client, "/v1/points", caller=member).json()["balance"]


def without_what_passes(value):
    """Return an answer without ids and moments."""
    if isinstance(value, dict):
        left = PASSING | MOMENTS
        return {name: without_what_passes(one) for name, one in value.items() if name not in left}
    return [without_what_passes(one) for one in value] if isinstance(value, list) else value


def story(ask):
    """Make every call about one member by `ask`, which takes what follows the base; return what was answered."""
    earned = [ask("/earn", {"amount": amount}) for amount in (100, 300)]
    grant = earned[0].json()["grant_id"]
    return [
        *earned,
        ask(f"/earn/{grant}/cancel", {}),
        ask(f"/earn/{grant}/cancel", {}),
        ask("/use", {"order_id": "o-1", "amount": 120}),
        ask("/use", {"order_id": "o-1", "amount": 120}),
        ask("/use", {"order_id": "o-2", "amount": 1000}),
        ask("/use/cancel", {"order_id": "o-1", "amount": 20}),
        ask("/use/cancel", {"order_id": "o-1", "amount": 101}),
        ask(""),
        ask("/grants"),
        ask("/grants?live=true&limit=1"),
        ask("/history?limit=2"),
        ask("/orders/o-1"),
        ask("/orders/o-2"),
    ]


@pytest.mark.parametrize("role", ["service", "admin"])
@pytest.mark.parametrize("way", WAYS)
def test_each_call_does_what_a_token_of_the_members_own_does(client, member, way, role):
    base, encoding = WAYS[way](member)

    def named(rest, body=None):
        rest, _, query = rest.partition("?")
        return call(client, f"{base}{rest}?{encoding}&{query}", body, role=role)

    told = story(named)
    other = str(uuid.uuid4())
    expected = story(lambda rest, body=None: call(client, f"/v1/points{rest}", body, caller=other, role=role))
    assert [one.status_code for one in told] == [one.status_code for one in expected]
    assert [one.status_code for one in told[:9]] == [201, 201, 201, 409, 201, 409, 409, 201, 409]
    for one, other in zip(told, expected, strict=True):
        if one.status_code < 400:
            assert without_what_passes(one.json()) == without_what_passes(other.json())
        else:
            assert one.json()["type"] == other.json()["type"]
    assert told[9].json()["member_id"] == member
    kinds = {grant["kind"] for grant in told[10].json()["grants"]}
    assert kinds == {"MANUAL" if role == "admin" else "NORMAL"}
    assert call(client, "/v1/points/history").json()["entries"] == [], "nothing is the shop's own"


@pytest.mark.parametrize("name", [*SUBJECTS, *UNCARRIED])
def test_whoever_an_issuer_names_can_be_named_in_the_path(client, name):
    subject = (SUBJECTS | UNCARRIED)[name]
    before = balance(client, subject)
    ways = ["in base64url", *(["percent-encoded"] if name in SUBJECTS else [])]
    for way in ways:
        answer = earn(client, subject, 5, way)
        assert answer.status_code == 201, answer.text
    assert balance(client, subject) == before + 5 * len(ways)


@pytest.mark.parametrize("way", WAYS)
def test_a_members_token_names_nobody_and_changes_nothing(client, member, master, way):
    base, query = WAYS[way](member)
    for caller in (member, "m-another"):
        for rest, body in (("/earn", {"amount": 1}), ("/use", {"order_id": "o", "amount": 1}), ("", None)):
            answer = call(client, f"{base}{rest}?{query}", body, caller=caller, role="member")
            assert answer.json()["type"].endswith(":role-missing")
    assert balance(client, member) == 0
    assert master.answers(member) == []


def test_one_key_for_two_members_is_two_requests_and_each_is_done_once(client):
    members, key = [str(uuid.uuid4()) for _ in range(2)], str(uuid.uuid4())
    answers = [earn(client, one, key=key) for one in (*members, *members)]
    assert ["idempotency-replayed" in one.headers for one in answers] == [False, False, True, True]
    assert answers[0].text == answers[2].text
    assert answers[1].text == answers[3].text
    assert answers[0].json()["grant_id"] != answers[1].json()["grant_id"]
    assert [balance(client, one) for one in members] == [100, 100]


def test_however_the_path_names_the_member_the_key_is_the_same_ones(client, member):
    key = str(uuid.uuid4())
    answers = [earn(client, member, key=key, way=way) for way in WAYS]
    assert ["idempotency-replayed" in one.headers for one in answers] == [False, True]
    assert earn(client, member, 101, key=key).json()["type"].endswith(":idempotency-key-reused")
    assert balance(client, member) == 100


def test_a_key_is_told_apart_from_that_of_a_token_for_the_member(client, member):
    """Both callers have the same role and key: neither gets the other's answer, nor is one's request the other's."""
    key = str(uuid.uuid4())

    def own():
        return call(client, "/v1/points/earn", {"amount": 100}, caller=member, key=key)

    answers = [own(), earn(client, member, key=key), own(), earn(client, member, key=key)]
    assert ["idempotency-replayed" in one.headers for one in answers] == [False, False, True, True]
    assert answers[0].text == answers[2].text != answers[1].text == answers[3].text
    assert balance(client, member) == 200


def test_a_token_for_the_member_does_the_same_request_at_both_addresses(client, member):
    """One caller, one member, one key: it is one request, wherever it is sent."""
    earn(client, member)
    key, body = str(uuid.uuid4()), {"order_id": "o-1", "amount": 40}
    base, _ = WAYS["percent-encoded"](member)
    answers = [
        call(client, f"{at}/use", body, caller=member, key=key) for at in ("/v1/points", base, "/v1/points")
    ]
    assert ["idempotency-replayed" in one.headers for one in answers] == [False, True, True]
    assert balance(client, member) == 60


def test_two_systems_with_one_subject_have_keys_of_their_own_where_a_key_is_its_clients(by_client, member):
    key = str(uuid.uuid4())
    answers = [earn(by_client, member, key=key, system=one) for one in ("orders", "promotions") * 2]
    assert ["idempotency-replayed" in one.headers for one in answers] == [False, False, True, True]
    assert balance(by_client, member) == 200
    other = str(uuid.uuid4())
    assert "idempotency-replayed" not in earn(by_client, other, key=key, system="orders").headers
    assert earn(by_client, member).json()["type"].endswith(":no-client")


def test_twins_at_once_are_done_once(client, member):
    key = str(uuid.uuid4())
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: earn(client, member, key=key), range(8)))
    done = [one for one in answers if one.status_code == 201]
    assert done
    assert len({one.text for one in done}) == 1
    assert {one.status_code for one in answers} <= {201, 409, 503}
    assert balance(client, member) == 100


@pytest.mark.parametrize("role", ["service", "admin"])
@pytest.mark.parametrize("way", WAYS)
def test_nobody_grants_points_to_itself_by_its_name(client, member, master, role, way):
    key = str(uuid.uuid4())
    refused = earn(client, member, way=way, caller=member, role=role, key=key)
    assert refused.status_code == 403
    assert refused.json()["type"].endswith(":own-grant")
    assert master.answers(member) == []
    assert master.rows("SELECT 1 FROM member_point WHERE member_id = %s", member) == []
    # Whose token it is stays the issuer's word: there the subject is the member.
    assert (
        call(client, "/v1/points/earn", {"amount": 1}, caller=member, role=role, key=key).status_code == 201
    )
    base, query = WAYS[way](member)
    assert call(client, f"{base}?{query}", caller=member, role=role).json()["balance"] == 1


def test_no_operator_grants_points_to_itself(client, member):
    address = f"/v1/admin/members/{quote(member, safe='')}/earn"
    refused = call(client, address, {"amount": 1}, caller=member, role="admin")
    assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (403, "own-grant")
    assert call(client, address, {"amount": 1}, caller="an-operator", role="admin").status_code == 201


@pytest.mark.parametrize("rest", ["", "/grants", "/history", "/orders/o-1"])
@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("bS0x?encoding=hex", 422),
        ("bS0x?encoding=", 422),
        ("b?encoding=base64url", 404),
        ("_w?encoding=base64url", 404),
        ("IA?encoding=base64url", 404),
        ("%20m", 404),
        ("m%0A", 404),
        ("m%00", 404),
        ("%ff", 404),
        ("m" * 256, 404),
    ],
)
def test_what_names_nobody_is_told_so(client, address, status, rest):
    named, _, query = address.partition("?")
    assert call(client, f"/v1/members/{named}{rest}?{query}").status_code == status


def test_a_slash_that_is_encoded_leads_to_no_other_address(client):
    assert call(client, "/v1/members/m-1%2Fhistory").json()["member_id"] == "m-1/history"
    assert call(client, "/v1/members/m-1%2Fuse", {"order_id": "o", "amount": 1}).status_code == 405


def test_neither_a_label_nor_the_log_names_the_member(database_server, redis, service, member):
    key = "k" * 32
    variables = serve.environment(database_server, redis)
    with service(variables) as served, httpx.Client(base_url=served.url, timeout=20) as client:
        for way in WAYS:
            earn(client, member, way=way, key=key)
            base, query = WAYS[way](member)
            call(client, f"{base}/orders/o-1?{query}")
        metrics = client.get("/metrics").text
        _, logged = served.end()
    assert 'route="/v1/members/{member_id}/orders/{order_id}"' in metrics
    for text in (metrics, logged):
        for named in (member, quote(member, safe=""), base64url(member)):
            assert named not in text
    lines = [json.loads(line) for line in logged.splitlines() if '"request"' in line]
    about = {line["about"] for line in lines if line["route"].startswith("/v1/members/")}
    assert len(about) == 1
    assert about.isdisjoint({line["member"] for line in lines})
    assert len(logs.hashed(member)) == len(about.pop())
