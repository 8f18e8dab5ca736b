"""Two pods on MySQL, and requests that meet: every race ends with books that add up."""

import asyncio
import itertools
import uuid

import httpx
import pytest
from point_local.alone import serve

pytestmark = [
    pytest.mark.integration,
    pytest.mark.parametrize("database_server", ["mysql"], indirect=True),
]


class Shop:
    """Sends requests to two pods, each until its answer is final."""

    def __init__(self, pods):
        self.pods = pods
        self._turns = itertools.cycle(pods)

    async def send(self, member, path, body, *, key=None, pod=None):
        """Return the final answer: one that says when to try again is tried again, under its key."""
        headers = {
            "X-Member-Id": member,
            "X-Member-Role": "service",
            "Idempotency-Key": key or str(uuid.uuid4()),
        }
        while True:
            answer = await (pod or next(self._turns)).post(path, json=body, headers=headers)
            if "retry-after" not in answer.headers:
                assert answer.status_code in (201, 404, 409), answer.text
                return answer

    async def earn(self, member, amount):
        answer = await self.send(member, "/v1/points/earn", {"amount": amount})
        return answer.json()["grant_id"]

    async def use(self, member, amount, order=None, **where):
        body = {"order_id": order or str(uuid.uuid4()), "amount": amount}
        return await self.send(member, "/v1/points/use", body, **where)

    async def cancel_use(self, member, amount, order):
        return await self.send(member, "/v1/points/use/cancel", {"order_id": order, "amount": amount})

    async def cancel_earn(self, member, grant):
        return await self.send(member, f"/v1/points/earn/{grant}/cancel", {})

    async def balance(self, member):
        answer = await self.pods[0].get("/v1/points", headers={"X-Member-Id": member})
        return answer.json()["balance"]


@pytest.fixture(scope="module")
def pods(database_server, redis_server, service):
    """Two pods that do their background work all the time. The whole ledger is sound after the last race."""
    variables = serve.environment(database_server, redis_server) | {"POINT_UPKEEP_INTERVAL_SECONDS": "0.2"}
    with service(variables) as one, service(variables) as two:
        yield one, two
        one.verify()


@pytest.fixture
async def shop(pods, master):
    """Clients of both pods. The books add up after the test."""
    del master
    one, two = (
        httpx.AsyncClient(base_url=pod.url, timeout=30, limits=httpx.Limits(max_connections=None))
        for pod in pods
    )
    async with one, two:
        yield Shop((one, two))


def member():
    return f"m-{uuid.uuid4()}"


def statuses(answers):
    return sorted(answer.status_code for answer in answers)


async def test_two_hundred_uses_at_once_spend_what_is_there_and_no_more(shop, master):
    hot = member()
    for _ in range(10):
        await shop.earn(hot, 100)
    uses = [(str(uuid.uuid4()), str(uuid.uuid4())) for _ in range(200)]
    # Every fourth is sent to both pods as well, under its key.
    twice = uses[::4]
    answers = await asyncio.gather(
        *(shop.use(hot, 7, order, key=key, pod=shop.pods[0]) for order, key in uses[:100] + twice),
        *(shop.use(hot, 7, order, key=key, pod=shop.pods[1]) for order, key in uses[100:] + twice),
    )
    by_key = {}
    for answer in answers:
        by_key.setdefault(answer.request.headers["idempotency-key"], set()).add(answer.content)
    assert {len(bodies) for bodies in by_key.values()} == {1}
    first = {answer.request.headers["idempotency-key"]: answer for answer in answers}.values()
    assert statuses(first) == [201] * 142 + [409] * 58
    assert {a.json()["type"].rpartition(":")[2] for a in first if a.status_code == 409} == {
        "insufficient-points"
    }
    assert await shop.balance(hot) == 6
    steps = master.rows("SELECT amount FROM ledger_entry WHERE member_id = %s ORDER BY entry_id", hot)
    assert min(itertools.accumulate(amount for (amount,) in steps)) >= 6


async def test_a_use_and_a_cancelled_earn_never_both_take_a_point(shop):
    members = [member() for _ in range(25)]
    grants = await asyncio.gather(*(shop.earn(who, 100) for who in members))

    async def race(who, grant):
        return await asyncio.gather(shop.use(who, 1), shop.cancel_earn(who, grant))

    races = await asyncio.gather(*map(race, members, grants))
    assert all(statuses(answers) == [201, 409] for answers in races)
    left = await asyncio.gather(*map(shop.balance, members))
    assert left == [99 if used.status_code == 201 else 0 for used, _ in races]


async def test_cancels_of_one_order_give_back_no_more_than_it_used(shop):
    members = [member() for _ in range(10)]

    async def race(who):
        for _ in range(4):
            await shop.earn(who, 25)
        await shop.use(who, 100, "o-1")
        return await asyncio.gather(*(shop.cancel_use(who, 30, "o-1") for _ in range(8)))

    races = await asyncio.gather(*map(race, members))
    assert all(statuses(answers) == [201] * 3 + [409] * 5 for answers in races)
    assert await asyncio.gather(*map(shop.balance, members)) == [90] * 10


async def test_uses_of_one_order_are_one_use(shop):
    members = [member() for _ in range(10)]

    async def race(who):
        await shop.earn(who, 1000)
        return await asyncio.gather(*(shop.use(who, 10, "o-1") for _ in range(8)))

    races = await asyncio.gather(*map(race, members))
    assert all(statuses(answers) == [201] + [409] * 7 for answers in races)
    assert await asyncio.gather(*map(shop.balance, members)) == [990] * 10


async def test_a_point_is_used_before_its_expiry_or_expires_and_never_both(shop, master, eventually):
    members = [member() for _ in range(20)]
    for who in members:
        dying = await shop.earn(who, 60)
        await shop.earn(who, 60)
        # While the uses run, and at another moment of them for each member.
        master.rows(
            "UPDATE point_ledger SET expires_at = UTC_TIMESTAMP(6) + INTERVAL %s MICROSECOND WHERE grant_id = %s",
            (len(members) - members.index(who)) * 40_000 + members.index(who) * 30_000,
            dying,
        )
    answers = await asyncio.gather(*(shop.use(who, 10) for who in members for _ in range(12)))
    assert set(statuses(answers)) <= {201, 409}
    mine = ", ".join(f"'{who}'" for who in members)
    of_these = f"FROM ledger_entry e JOIN point_ledger g USING (grant_id) WHERE g.member_id IN ({mine})"
    due = f"SELECT 1 FROM point_ledger WHERE expires_at <= UTC_TIMESTAMP(6) AND live = 1 AND member_id IN ({mine})"
    later = f"SELECT 1 FROM point_ledger WHERE member_id IN ({mine}) AND expires_at BETWEEN UTC_TIMESTAMP(6)"
    await eventually(lambda: not master.rows(f"{later} AND UTC_TIMESTAMP(6) + INTERVAL 1 DAY"))
    await eventually(lambda: not master.rows(due))  # the pods' own background work
    assert master.rows(f"SELECT COUNT(*) {of_these} AND e.kind = 'USE' AND e.created_at >= g.expires_at") == [
        (0,)
    ]
    assert master.rows(
        f"SELECT COUNT(*) {of_these} AND e.kind = 'EXPIRE' AND e.created_at < g.expires_at"
    ) == [(0,)]
    used = dict.fromkeys(members, 0)
    for answer in answers:
        used[answer.request.headers["x-member-id"]] += 10 * (answer.status_code == 201)
    expired = dict(
        master.rows(f"SELECT e.member_id, -SUM(e.amount) {of_these} AND e.kind = 'EXPIRE' GROUP BY 1")
    )
    left = await asyncio.gather(*map(shop.balance, members))
    assert [used[who] + int(expired.get(who, 0)) + rest for who, rest in zip(members, left, strict=True)] == (
        [120] * len(members)
    )
