"""Two of the shop's systems may choose the same key for a member, and while pods learn that nothing is done twice.

Pods of three kinds meet in a rollout: those that know of no client, those that look for keys in both spaces and keep
them by caller, and those that look in both and keep them by client. The first and the last never meet (decision 39).
"""

import asyncio
import itertools
import json
import uuid
from contextlib import suppress

import httpx
import pytest
from point_local.alone import serve
from point_service.contract.errors import IdempotencyKeyReused, MemberBusy, Unavailable
from point_service.domain.grants import GrantKind
from point_service.domain.operations.earn import Earn, EarnRequest
from point_service.domain.policy import Policy

pytestmark = pytest.mark.integration

ORDERS, PROMOTIONS = "order-system", "promotions"
UNAWARE = {"client": None, "by_client": False}
READING = {"client": ORDERS, "by_client": False}
KEEPING = {"client": ORDERS, "by_client": True}
MEETINGS = {
    "an old pod, then one that reads both": (UNAWARE, READING),
    "one that reads both, then an old one": (READING, UNAWARE),
    "by caller, then by client": (READING, KEEPING),
    "by client, then by caller": (KEEPING, READING),
    "an old pod's answer, kept since": (UNAWARE, KEEPING),
}


@pytest.fixture(params=[True, False], ids=["with Redis", "without Redis"])
async def two(pod, request):
    """Two pods."""
    async with pod(cached=request.param) as one, pod(cached=request.param) as other:
        yield one, other


def grants(master, member):
    [(count,)] = master.rows(
        "SELECT COUNT(*) FROM ledger_entry WHERE member_id = %s AND kind = 'EARN'", member.member_id
    )
    return count


async def insisting(member, amount=100):
    """Earn until there is an answer, as a client does that is told to try again.

    On a busy machine a request may be done and its answer be late: the service then asks the database again, and the
    first answer that there is says that it was given before.
    """
    while True:
        with suppress(MemberBusy, Unavailable):
            return await member.earn(amount, key="k-1")


async def test_two_clients_with_one_key_get_a_grant_each_and_each_its_own_again(two, member_of, master):
    one, other = two
    orders = member_of(one, **KEEPING)
    promotions = member_of(other, orders.member_id, client=PROMOTIONS, by_client=True)
    first = [await insisting(each) for each in (orders, promotions)]
    again = [await insisting(each) for each in (orders, promotions)]
    assert [outcome.replayed for outcome in again] == [True, True]
    assert [outcome.body for outcome in again] == [outcome.body for outcome in first]
    assert first[0].body != first[1].body
    assert await orders.balance() == 200
    assert grants(master, orders) == 2


@pytest.mark.parametrize("meeting", MEETINGS)
async def test_a_request_that_is_repeated_at_a_pod_of_another_kind_is_done_once(
    two, member_of, master, meeting
):
    member_id = f"m-{uuid.uuid4()}"
    first, then = (
        member_of(pod, member_id, **kind) for pod, kind in zip(two, MEETINGS[meeting], strict=True)
    )
    done = await insisting(first)
    again = [await insisting(each) for each in (then, first, then)]
    assert [outcome.replayed for outcome in again] == [True] * 3
    assert {outcome.body for outcome in again} == {done.body}
    assert grants(master, first) == 1


@pytest.mark.parametrize("kinds", [*itertools.permutations((READING, KEEPING)), (UNAWARE, READING)])
async def test_twins_at_pods_of_two_kinds_are_done_once(two, member_of, master, kinds):
    first = member_of(two[0], **kinds[0])
    twin = member_of(two[1], first.member_id, **kinds[1])
    outcomes = await asyncio.gather(*(insisting(each) for each in [first, twin] * 2))
    assert [outcome.replayed for outcome in outcomes].count(False) <= 1
    assert len({outcome.body for outcome in outcomes}) == 1
    assert grants(master, first) == 1


async def test_an_answer_from_before_is_another_clients_only_for_the_very_same_request(
    two, member_of, master
):
    """Whose it is, nobody has written down: the same request may be this client's, any other is not."""
    before = member_of(two[0], client=PROMOTIONS)
    after = member_of(two[1], before.member_id, **KEEPING)
    old = await insisting(before)
    assert (await insisting(after)).body == old.body
    own = await insisting(after, 200)
    assert own.body != old.body
    at_both = [await insisting(member_of(pod, before.member_id, **READING), 200) for pod in two]
    assert [(outcome.replayed, outcome.body) for outcome in at_both] == [(True, own.body)] * 2
    assert (await insisting(before)).body == old.body
    assert grants(master, before) == 2


@pytest.mark.parametrize("kinds", [(KEEPING, KEEPING), (KEEPING, READING), (READING, READING)])
async def test_a_clients_own_key_with_another_request_is_refused(two, member_of, kinds):
    first = member_of(two[0], **kinds[0])
    await insisting(first)
    with pytest.raises(IdempotencyKeyReused):
        await insisting(member_of(two[1], first.member_id, **kinds[1]), 101)
    assert await first.balance() == 100


async def test_a_key_is_looked_for_without_reading_the_members_others(pod, member_of, master):
    async with pod(cached=False) as one:
        member = member_of(one, **KEEPING)
        key = member.key(Earn(EarnRequest(amount=1), GrantKind.NORMAL, Policy()))

        async def rows_read():
            before = master.rows_read()
            assert not (await member.earn(1)).replayed
            return master.rows_read() - before

        await member.earn(1)
        alone = await rows_read()
        others = [
            (member.member_id, space, f"k-{n}") for space in (key.caller, key.client) for n in range(500)
        ]
        with master.connect() as connection, connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO idempotency_closed"
                " (member_id, caller, idempotency_key, request_hash, status, body, created_at)"
                " VALUES (%s, %s, %s, REPEAT('h', 32), 201, '{}', UTC_TIMESTAMP(6))",
                others,
            )
            cursor.executemany(
                "INSERT INTO stored_answer (member_id, day, digest, request_hash, status, body)"
                " VALUES (%s, UTC_DATE(), UNHEX(%s), REPEAT('h', 32), 201, '{}')",
                [(member.member_id, uuid.uuid4().hex) for _ in range(1000)],
            )
        assert await rows_read() < alone + 100


def test_the_pods_of_a_rollout_say_it_over_http(database_server, redis_server, service, master):
    variables = serve.environment(database_server, redis_server)
    member, key = f"m-{uuid.uuid4()}", str(uuid.uuid4())

    def earn(pod, client):
        headers = {"X-Member-Id": member, "X-Member-Role": "service", "Idempotency-Key": key}
        headers |= {"X-Client-Id": client} if client else {}
        return httpx.post(f"{pod.url}/v1/points/earn", json={"amount": 5}, headers=headers, timeout=20)

    with service(variables) as reading, service(variables | {"POINT_IDEMPOTENCY_SCOPE": "Client"}) as keeping:
        answers = [
            earn(pod, client) for client in (ORDERS, PROMOTIONS) for pod in (keeping, reading, keeping)
        ]
        refused = earn(keeping, None)
    assert ["idempotency-replayed" in one.headers for one in answers] == [False, True, True] * 2
    assert len({one.json()["grant_id"] for one in answers}) == 2
    assert (refused.status_code, json.loads(refused.content)["field"]) == (401, "X-Client-Id")
    assert grants(master, type("Of", (), {"member_id": member})) == 2
