"""Redis helps, and nothing depends on it."""

import asyncio
import contextlib
import json
import time
import uuid

import msgspec
import pytest
from point_service.contract.idempotency import StoredAnswer
from point_service.domain.operations.use import Use, UseRequest
from point_service.telemetry import metrics
from point_service.turns.cache import Cache, CacheAwayError, Script
from point_service.turns.lock import MemberLock, _Lease

EXISTS = Script("return redis.call('EXISTS', KEYS[1])")

pytestmark = [
    pytest.mark.integration,
    pytest.mark.parametrize("database_server", ["mysql"], indirect=True),
]


@pytest.fixture
async def cache(settings):
    cache = Cache(msgspec.structs.replace(settings.cache, timeout=3.0))  # not what these tests are about
    yield cache
    await cache.close()


def unavailable():
    return sum(
        sample.value
        for metric in metrics.REDIS_UNAVAILABLE.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    )


async def test_redis_killed_in_the_middle_loses_nothing(redis, member):
    await member.earn(1000)
    before = unavailable()

    async def use_and_maybe_kill(number):
        if number == 20:
            await asyncio.to_thread(redis.stop, 9)
        return await member.use(30)

    outcomes = await asyncio.gather(*(use_and_maybe_kill(number) for number in range(50)))
    assert [outcome.status for outcome in outcomes].count(201) == 33
    assert unavailable() > before
    assert await member.balance() == 10


async def test_redis_that_comes_back_is_used_again(redis, pod, member_of):
    async with pod() as points:
        member = member_of(points)
        redis.stop(9)
        await member.earn(1000)
        redis.start()

        def remembered():
            return member.member_id in redis.call("KEYS", "*")

        deadline = time.monotonic() + 20
        while not await asyncio.to_thread(remembered):
            assert time.monotonic() < deadline
            assert (await member.earn(1)).status == 201


async def test_a_redis_that_hangs_costs_its_timeout_once_and_not_every_request(redis, member):
    await member.earn(1000)
    redis.freeze()
    started = time.perf_counter()
    for _ in range(20):
        assert (await member.use(1)).status == 201
    assert time.perf_counter() - started < 2.5
    redis.thaw()
    deadline = time.monotonic() + 20
    while member.member_id not in await asyncio.to_thread(redis.call, "KEYS", "*"):
        assert time.monotonic() < deadline
        assert (await member.earn(1)).status == 201


async def test_a_lost_lock_changes_nothing_but_speed(redis, pod, member_of):
    async with pod() as one, pod() as two:
        member = member_of(one)
        twin = member_of(two, member.member_id)
        await member.earn(1000)
        uses = asyncio.gather(*(m.use(30) for m in [member, twin] * 30))
        lock = f"point:{{{member.member_id}}}:lock"
        while not uses.done():
            await asyncio.to_thread(redis.call, "DEL", lock)
        assert [outcome.status for outcome in await uses].count(201) == 33
        assert await member.balance() == 10


async def test_an_evicted_answer_is_found_in_the_database(redis, member):
    first = await member.earn(10, key="k-1")
    redis.call("FLUSHALL")
    again = await member.earn(10, key="k-1")
    assert (again.replayed, again.body) == (True, first.body)


async def test_a_contender_waits_for_the_release_and_then_gets_the_turn(settings, points, member_of):
    caches = [Cache(settings.cache), Cache(settings.cache)]
    try:
        for _ in range(10):
            away = unavailable()
            order, waited = await _contend(caches, member_of(points))
            if unavailable() == away:  # on a busy machine Redis may be late, and then nobody waits for it
                break
        assert order == ["first", "second"]
        assert waited < 1  # woken by the release, not by the end of the lease
    finally:
        for cache in caches:
            await cache.close()


async def _contend(caches, member):
    """Who was done in which order, and how long the second took from the release of the first."""
    request = member.key(Use(UseRequest(order_id="o", amount=1)))
    first, second = (MemberLock(cache) for cache in caches)
    order = []

    async def contend():
        async with second.hold(request):
            order.append("second")

    async with first.hold(request):
        contending = asyncio.create_task(contend())
        wanted = [f"point:{{{member.member_id}}}:wanted"]
        with contextlib.suppress(CacheAwayError):
            async with asyncio.timeout(5):
                while not contending.done() and not await caches[0].run("lock", EXISTS, wanted, []):
                    pass
        order.append("first")
    started = time.perf_counter()
    await contending
    return order, time.perf_counter() - started


async def test_a_ledger_never_gives_the_answers_of_another_that_shares_its_redis(
    settings, cache, points, member_of
):
    request = member_of(points).key(Use(UseRequest(order_id="o", amount=1)))
    answer = StoredAnswer(request.request_hash, 201, "{}")
    ledgers = (settings.database, msgspec.structs.replace(settings.database, name="another"))
    one, other = (MemberLock(cache, f"point:{database.ledger}") for database in ledgers)
    async with one.hold(request) as turn:
        turn.answer = answer
        async with asyncio.timeout(1), other.hold(request) as meanwhile:  # nor waits for it
            assert meanwhile.answer is None
    async with one.hold(request) as turn:
        assert turn.answer == answer
    async with other.hold(request) as turn:
        assert turn.answer is None


async def test_a_lock_whose_holder_died_is_taken_over_when_its_lease_ends(redis, member):
    await member.earn(10)
    redis.call("SET", f"point:{{{member.member_id}}}:lock", "of the dead", "PX", "300")
    started = time.perf_counter()
    assert (await member.use(10)).status == 201
    assert time.perf_counter() - started < 1.5


async def test_only_its_own_token_releases_a_lock(redis, member):
    lock = f"point:{{{member.member_id}}}:lock"
    redis.call("SET", lock, "of another", "PX", "60000")
    outcome = await member.earn(10)  # waits its three seconds, then the database decides
    assert json.loads(outcome.body)["balance"] == 10
    assert "of another" in redis.call("GET", lock)


async def test_a_request_that_is_given_up_on_its_way_to_the_lock_leaves_none_behind(cache, points, member_of):
    key = member_of(points).key(Use(UseRequest(order_id="o", amount=1)))

    async def hold():
        async with MemberLock(cache).hold(key):
            raise AssertionError("nobody waits for this turn")

    holding = asyncio.create_task(hold())
    await asyncio.sleep(0)  # it asks,
    await asyncio.sleep(0)  # and its question is on the way
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    assert await cache.run("lock", EXISTS, [f"point:{{{key.member_id}}}:lock"], []) == 0


async def test_a_lock_whose_answer_came_too_late_is_released_all_the_same(redis, cache, points, member_of):
    key = member_of(points).key(Use(UseRequest(order_id="o", amount=1)))
    await cache.warm_up()
    redis.freeze()
    async with MemberLock(cache).hold(key) as turn:
        redis.thaw()
        assert turn.answer is None
        turn.answer = StoredAnswer(key.request_hash, 201, "{}")
    assert await cache.run("lock", EXISTS, [f"point:{{{key.member_id}}}:lock"], []) == 0
    async with MemberLock(cache).hold(key) as turn:
        assert turn.answer is not None


async def test_a_renewal_under_way_at_the_release_is_the_last(cache, points, member_of):
    lease = _Lease(cache, "point", member_of(points).key(Use(UseRequest(order_id="o", amount=1))))
    await lease.acquire(time.perf_counter() + 1)
    renewing = asyncio.create_task(lease._extend())
    await asyncio.sleep(0)
    lease.release(None)
    await renewing
    assert lease._renewal.cancelled()


async def test_contenders_leave_a_connection_for_who_does_not_wait(settings, monkeypatch):
    monkeypatch.setattr("point_service.turns.cache.MAX_CONNECTIONS", 3)
    cache = Cache(settings.cache)
    try:
        await cache.warm_up()
        waiting = [asyncio.create_task(cache.pop("lock", f"{{{number}}}", 0.5)) for number in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(CacheAwayError):
            await cache.pop("lock", "{3}", 5)
        assert await cache.run("lock", EXISTS, ["{3}"], []) == 0
        assert await asyncio.gather(*waiting) == [False, False]
    finally:
        await cache.close()


async def test_scripts_asked_for_together_answer_in_their_order_and_fail_each_on_its_own(redis, cache):
    bad = Script("return redis.call('INCR', KEYS[1])")
    set_it = Script("return redis.call('SET', KEYS[1], ARGV[1])")
    name = "{together}"
    for _ in range(2):  # both with scripts that Redis knows and with such that it doesn't
        cache.send("answer", set_it, [name], ["text"])
        answers = await asyncio.gather(
            cache.run("lock", EXISTS, [name], []),
            cache.run("lock", bad, [name], []),
            cache.run("lock", EXISTS, ["{another}"], []),
            return_exceptions=True,
        )
        assert (answers[0], answers[2]) == (1, 0)
        assert isinstance(answers[1], CacheAwayError)
        redis.call("SCRIPT", "FLUSH")


async def test_a_script_that_redis_has_never_seen_keeps_its_place(cache):
    """By its digest it would be refused, and be run after the known one that came behind it."""
    await cache.run("lock", EXISTS, ["{place}"], [])
    new = Script(f"return redis.call('SET', KEYS[1], '{uuid.uuid4()}')")
    cache.send("answer", new, ["{place}"], [])
    assert await cache.run("lock", EXISTS, ["{place}"], []) == 1


async def test_a_redis_that_answers_late_is_left_alone_and_one_that_is_quick_again_is_used(
    redis, settings, proxy
):
    async with proxy(redis.port) as way:
        cache = Cache(msgspec.structs.replace(settings.cache, port=way.port, timeout=2.0, cluster_mode=False))
        try:
            await cache.warm_up()
            way.delay = 0.5  # each way: in time, and too much for every request to pay
            for _ in range(3):
                assert await cache.run("lock", EXISTS, ["{late}"], []) == 0
            assert cache.breaker.open
            with pytest.raises(CacheAwayError):
                await cache.run("lock", EXISTS, ["{late}"], [])
            way.delay = 0.0
            async with asyncio.timeout(20):
                while cache.breaker.open:
                    with contextlib.suppress(CacheAwayError):
                        await cache.run("lock", EXISTS, ["{late}"], [])
                    await asyncio.sleep(0.05)
        finally:
            await cache.close()


async def test_a_pod_that_is_late_itself_goes_on_asking_redis(cache):
    await cache.warm_up()

    async def keep_the_core() -> None:
        time.sleep(2.0)  # noqa: ASYNC251 - that is the point

    for _ in range(4):
        asking = asyncio.create_task(cache.run("lock", EXISTS, ["{late}"], []))
        await asyncio.sleep(0)
        await asyncio.gather(asking, keep_the_core())
    assert not cache.breaker.open
