"""More is asked of a running service than it can do: some are refused at once, the rest is done."""

import asyncio
import uuid

import httpx
import pytest
from point_local.alone import serve

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(240),
    pytest.mark.parametrize("database_server", ["mysql"], indirect=True),
]

CLIENTS = 160  # many more than are let in at first


@pytest.fixture
def served(database_server, redis, master, service):
    """A running `point-service serve`."""
    del master
    with service(serve.environment(database_server, redis) | {"POINT_LOG_LEVEL": "WARNING"}) as served:
        yield served


@pytest.fixture
async def client(served):
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=CLIENTS)
    async with httpx.AsyncClient(base_url=served.url, timeout=20, limits=limits) as client:
        yield client


def use(client, member, key, **headers):
    headers = {"X-Member-Id": member, "X-Member-Role": "service", "Idempotency-Key": key} | headers
    return client.post("/v1/points/use", json={"order_id": key, "amount": 1}, headers=headers)


async def earn(client, member):
    headers = {"X-Member-Id": member, "X-Member-Role": "service", "Idempotency-Key": "earned"}
    answer = await client.post("/v1/points/earn", json={"amount": 1000}, headers=headers)
    assert answer.status_code == 201, answer.text


def uses(master, member):
    [(count,)] = master.rows(
        "SELECT COUNT(*) FROM ledger_entry WHERE member_id = %s AND kind = 'USE'", member
    )
    return count


async def sample(client, name):
    text = (await client.get("/metrics")).text
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name} "))


async def test_some_are_refused_at_once_and_the_rest_is_done(client, master, database_server):
    members = [f"m-{uuid.uuid4()}" for _ in range(CLIENTS)]  # a wait for one's own member would not count
    for few in range(0, CLIENTS, 10):
        await asyncio.gather(*(earn(client, member) for member in members[few : few + 10]))
    done, refused = [], []
    database_server.freeze()  # nothing ends now, so that all of them are there at once

    async def ask(number):
        answer = await use(client, members[number], str(uuid.uuid4()))
        (done if answer.status_code == 201 else refused).append(answer)

    asking = [asyncio.create_task(ask(number)) for number in range(CLIENTS)]
    try:
        async with asyncio.timeout(30):
            while len(refused) < 20:  # noqa: ASYNC110 - it is a number
                await asyncio.sleep(0.01)
        probed = await client.get("/healthz")
    finally:
        database_server.thaw()
    await asyncio.gather(*asking)
    assert probed.status_code == 200
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert {answer.status_code for answer in refused} <= {503, 409}  # 409: a member's turn that did not come
    overloaded = [answer for answer in refused if answer.json()["type"].endswith(":overloaded")]
    assert len(overloaded) == await sample(client, 'point_admission_refused_total{kind="use"}')
    assert len(overloaded) >= 20
    assert done
    assert sum(uses(master, member) for member in members) == len(done)
    assert await sample(client, 'point_admission_under_way{kind="use"}') == 0


async def test_what_has_waited_past_the_gateways_patience_is_not_begun(client, master, database_server):
    first, second = (f"m-{uuid.uuid4()}" for _ in range(2))
    for member in (first, second):
        await earn(client, member)
    database_server.freeze()
    try:
        under_way = asyncio.create_task(use(client, first, "under-way"))
        await asyncio.sleep(0.2)
        late = await use(client, second, "late", **{"X-Envoy-Expected-Rq-Timeout-Ms": "100"})
    finally:
        database_server.thaw()
    assert (late.status_code, late.headers["retry-after"]) == (503, "1")
    assert (await under_way).status_code == 201
    assert (uses(master, first), uses(master, second)) == (1, 0)
    assert (await use(client, second, "late")).status_code == 201
    assert uses(master, second) == 1


async def test_what_waits_for_its_member_is_not_begun_when_its_client_is_gone(client, master):
    member = f"m-{uuid.uuid4()}"
    await earn(client, member)
    with master.connect() as connection, connection.cursor() as cursor:
        connection.begin()
        cursor.execute("SELECT 1 FROM member_point WHERE member_id = %s FOR UPDATE", (member,))
        first = asyncio.create_task(use(client, member, "first"))
        await asyncio.sleep(0.2)
        with pytest.raises(httpx.ReadTimeout):
            await client.post(
                "/v1/points/use",
                json={"order_id": "gone", "amount": 1},
                headers={"X-Member-Id": member, "Idempotency-Key": "gone"},
                timeout=0.2,
            )
        connection.rollback()
    assert (await first).status_code in (
        201,
        409,
    )  # on a busy machine its lock wait of a second may have ended
    assert (await use(client, member, "after")).status_code == 201  # who was before it has had its turn
    headers = {"X-Member-Id": member}
    assert (await client.get("/v1/points/orders/gone", headers=headers)).status_code == 404
