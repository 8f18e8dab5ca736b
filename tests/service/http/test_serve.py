"""The program as it runs in a pod: over HTTP, until it is told to stop, and when it is not even told."""

import asyncio
import itertools
import json
import re
import signal
import time
import uuid

import httpx
import pytest
from point_local.alone import serve, servers

pytestmark = [
    pytest.mark.integration,
    pytest.mark.parametrize(
        "database_server", ["mariadb"], indirect=True
    ),  # kills on MySQL: ledger/test_kills.py
]


@pytest.fixture
def served(database_server, redis, master, service):
    """A running `point-service serve`."""
    del master
    with service(serve.environment(database_server, redis)) as served:
        yield served


def headers(member, role="member", key=None):
    return {
        "X-Member-Id": member,
        "X-Member-Role": role,
        "Idempotency-Key": key or str(uuid.uuid4()),
        "X-Request-Id": "r-1",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    }


@pytest.fixture
async def client(served):
    async with httpx.AsyncClient(base_url=served.url, timeout=10) as client:
        yield client


@pytest.mark.parametrize("path", ["/healthz", "/v1/points", "/v1/points/history", "/v1/nothing"])
async def test_head_is_answered_as_get_without_the_body(client, path):
    got, head = [await client.request(method, path, headers=headers("m-head")) for method in ("GET", "HEAD")]
    assert (head.status_code, head.content) == (got.status_code, b"")
    for name in ("content-type", "content-length", "x-request-id"):
        assert head.headers[name] == got.headers[name]


async def test_head_is_counted_and_logged_under_the_route_it_asks(client, served):
    member = f"m-{uuid.uuid4()}"
    for path in ("/healthz", "/v1/points", "/v1/points/orders/o-1", "/v1/nothing"):
        await client.head(path, headers=headers(member))
    text = (await client.get("/metrics")).text
    for route, status in (
        ("/healthz", 200),
        ("/v1/points", 200),
        ("/v1/points/orders/{order_id}", 404),
        ("other", 404),
    ):
        line = f'point_requests_total{{method="HEAD",route="{route}",status="{status}"}} 1.0'
        assert line in text, [line for line in text.splitlines() if "HEAD" in line]
    _, logged = await asyncio.to_thread(served.end)
    lines = [json.loads(line) for line in logged.splitlines()]
    logged_routes = [line["route"] for line in lines if line["message"] == "request"]
    assert logged_routes == ["/v1/points", "/v1/points/orders/{order_id}", "other"]


async def test_head_of_what_only_takes_posts_is_refused(client):
    answer = await client.head("/v1/points/use", headers=headers("m-head"))
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]


async def test_points_are_earned_used_read_and_traced_over_http(client):
    member = f"m-{uuid.uuid4()}"
    earned = await client.post("/v1/points/earn", json={"amount": 1000}, headers=headers(member, "service"))
    assert (earned.status_code, earned.json()["balance"]) == (201, 1000)
    manual = await client.post("/v1/points/earn", json={"amount": 500}, headers=headers(member, "admin"))
    key = str(uuid.uuid4())
    order = {"order_id": "o-1", "amount": 1200}
    used = await client.post("/v1/points/use", json=order, headers=headers(member, key=key))
    assert used.json() == {
        "order_id": "o-1",
        "amount": 1200,
        "allocations": [
            {"grant_id": manual.json()["grant_id"], "amount": 500},
            {"grant_id": earned.json()["grant_id"], "amount": 700},
        ],
        "balance": 300,
    }
    again = await client.post("/v1/points/use", json=order, headers=headers(member, key=key))
    assert (again.status_code, again.content) == (201, used.content)
    assert (again.headers["idempotency-replayed"], "idempotency-replayed" in used.headers) == ("true", False)
    other = await client.post("/v1/points/use", json=order | {"amount": 1}, headers=headers(member, key=key))
    assert (other.status_code, other.json()["type"].rpartition(":")[2]) == (422, "idempotency-key-reused")
    balance = await client.get("/v1/points", headers=headers(member))
    assert (balance.json()["balance"], balance.headers["cache-control"]) == (300, "no-store")
    refused = await client.post("/v1/points/use", json=order, headers=headers(member, key="k-refused"))
    later = headers(member, key="k-refused") | {"X-Request-Id": "r-2"}
    replayed = await client.post("/v1/points/use", json=order, headers=later)
    assert (refused.status_code, refused.json()["request_id"]) == (409, "r-1")
    assert (replayed.content, replayed.headers["x-request-id"]) == (refused.content, "r-2")
    trace = await client.get("/v1/points/orders/o-1", headers=headers(member))
    assert (trace.json()["used"], trace.json()["cancellable"]) == (1200, 1200)
    too_much = await client.post(
        "/v1/points/earn", json={"amount": 100_001}, headers=headers(member, "service")
    )
    assert (too_much.status_code, too_much.json()["field"]) == (422, "amount")


async def test_what_happened_is_in_the_metrics(client):
    member = f"m-{uuid.uuid4()}"
    key = str(uuid.uuid4())
    for _ in range(2):
        await client.post("/v1/points/earn", json={"amount": 70}, headers=headers(member, "service", key))
    await client.post("/v1/points/use", json={"order_id": "o", "amount": 71}, headers=headers(member))
    await client.get("/no/such/place", headers=headers(member))
    text = (await client.get("/metrics")).text
    for line in (
        'point_requests_total{method="POST",route="/v1/points/earn",status="201"} 2.0',
        'point_moved_points_total{kind="EARN"} 70.0',
        'point_refused_total{reason="insufficient-points"} 1.0',
        'point_idempotent_replays_total{source="cache"} 1.0',
        "point_lock_wait_seconds_count 3.0",
        "point_database_pool_size ",
        'point_moved_points_total{kind="EXPIRE"} 0.0',
        'point_refused_total{reason="holding-cap-exceeded"} 0.0',
        'route="other"',
    ):
        assert line in text
    assert "/no/such/place" not in text
    assert member not in text


async def test_a_log_line_tells_a_request_but_not_who_it_was(served, client):
    member = f"m-{uuid.uuid4()}"
    await client.get("/v1/points", headers=headers(member))
    _, logged = await asyncio.to_thread(served.end)
    [line] = [entry for line in logged.splitlines() if (entry := json.loads(line))["message"] == "request"]
    assert (line["route"], line["status"], line["request_id"]) == ("/v1/points", 200, "r-1")
    assert line["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert member not in logged


async def test_ready_means_the_database_is_there_and_takes_writes(served, master, eventually):
    master.rows("SET GLOBAL read_only = 1")
    try:
        await eventually(lambda: served.readiness() == 503)
    finally:
        master.rows("SET GLOBAL read_only = 0")
    await eventually(lambda: served.readiness() == 200)


async def test_a_missing_redis_leaves_it_ready(served, client, redis):
    redis.stop(signal.SIGKILL)
    earned = await client.post("/v1/points/earn", json={"amount": 1}, headers=headers("m-noredis", "service"))
    assert (earned.status_code, served.readiness()) == (201, 200)


async def test_a_hanging_database_costs_no_request_more_than_its_deadline(client, database_server):
    member = f"m-{uuid.uuid4()}"
    await client.post("/v1/points/earn", json={"amount": 10}, headers=headers(member, "service"))
    database_server.freeze()
    try:
        started = time.perf_counter()
        key, order = str(uuid.uuid4()), {"order_id": "o", "amount": 10}
        late = await client.post("/v1/points/use", json=order, headers=headers(member, key=key))
        assert (late.status_code, late.headers.get("retry-after")) == (503, "1"), late.text
        assert late.headers["content-type"] == "application/problem+json"
        assert time.perf_counter() - started < 5.5
    finally:
        database_server.thaw()
    again = await client.post("/v1/points/use", json=order, headers=headers(member, key=key))
    assert (again.status_code, again.json()["balance"]) == (201, 0)


async def test_sigterm_lets_the_running_request_end_and_refuses_readiness(served, client, master, eventually):
    member = f"m-{uuid.uuid4()}"
    await client.post("/v1/points/earn", json={"amount": 10}, headers=headers(member, "service"))
    with master.connect() as holder, holder.cursor() as cursor:
        holder.begin()
        cursor.execute("SELECT 1 FROM member_point WHERE member_id = %s FOR UPDATE", (member,))
        using = asyncio.create_task(
            client.post("/v1/points/use", json={"order_id": "o", "amount": 10}, headers=headers(member))
        )
        await eventually(master.sees_a_lock_wait)
        ending = asyncio.create_task(asyncio.to_thread(served.end))
        await eventually(lambda: served.readiness() == 503)
        holder.rollback()
    used = await using
    assert (used.status_code, used.json()["balance"]) == (201, 0)
    assert used.headers["connection"] == "close"
    status, logged = await ending
    assert (status, "stopped" in logged) == (0, True)


async def test_sigterm_in_the_middle_of_a_flood_breaks_no_request(served, eventually):
    """Sixteen connections as a gateway keeps them: one request after another, until told to close."""
    answers: list[bytes] = []
    broken: list[str] = []

    async def flood(name):
        reader, writer = await asyncio.open_connection(servers.HOST, served.port)
        for number in itertools.count():
            key = "".join(f"{field}: {value}\r\n" for field, value in headers(name, "service").items())
            body = json.dumps({"amount": 1, "reason": str(number)})
            try:
                writer.write(
                    f"POST /v1/points/earn HTTP/1.1\r\nHost: points\r\nContent-Type: application/json\r\n{key}"
                    f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
                )
                head = await reader.readuntil(b"\r\n\r\n")
                [length] = re.findall(rb"(?i)^content-length: (\d+)", head, re.MULTILINE)
                await reader.readexactly(int(length))
            except (OSError, asyncio.IncompleteReadError) as error:
                broken.append(f"{name} {number}: {error!r}")
                break
            answers.append(head.split(b"\r\n", 1)[0])
            if b"connection: close" in head.lower():
                break
        writer.close()

    floods = [asyncio.create_task(flood(f"m-{uuid.uuid4()}")) for _ in range(16)]
    await eventually(lambda: len(answers) >= 200)
    status, logged = await asyncio.to_thread(served.end)
    await asyncio.gather(*floods)
    assert broken == []
    assert set(answers) == {b"HTTP/1.1 201 Created"}
    assert (status, "still running" in logged) == (0, False)


async def test_a_killed_service_under_load_loses_and_doubles_nothing(served, client, eventually, master):
    members = [f"m-{uuid.uuid4()}" for _ in range(8)]
    for member in members:
        earned = await client.post(
            "/v1/points/earn", json={"amount": 1000}, headers=headers(member, "service")
        )
        assert earned.status_code == 201
    requests = [(member, f"o-{number}", str(uuid.uuid4())) for number in range(25) for member in members]
    answered = {}

    async def send(member, order, key):
        body = {"order_id": order, "amount": 7}
        try:
            answer = await client.post("/v1/points/use", json=body, headers=headers(member, key=key))
        except httpx.TransportError:
            return
        if answer.status_code == 201:
            answered[key] = answer.json()

    for _ in range(5):
        load = asyncio.gather(*(send(*request) for request in requests if request[2] not in answered))
        before = len(answered)
        await eventually(lambda before=before, load=load: len(answered) > before + 10 or load.done())
        await asyncio.to_thread(served.end, signal.SIGKILL)
        acknowledged = dict(answered)
        await load
        await asyncio.to_thread(served.start)
        for member, order, key in requests:
            if key in acknowledged:
                body = {"order_id": order, "amount": 7}
                again = await client.post("/v1/points/use", json=body, headers=headers(member, key=key))
                assert again.json() == acknowledged[key]
                break
    for request in requests:
        while request[2] not in answered:
            await send(*request)
    for member in members:
        rows = master.rows(
            "SELECT COUNT(DISTINCT order_id), SUM(amount) FROM ledger_entry WHERE kind = 'USE'"
            " AND member_id = %s",
            member,
        )
        assert [(count, int(total)) for count, total in rows] == [(25, -175)]
