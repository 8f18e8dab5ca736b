"""After a restore to an earlier moment Redis still has answers of what the ledger no longer has: they are forgotten."""

import asyncio
import os
import sys
from contextlib import suppress

import pytest
from harness.service import Member
from point_local.alone import serve
from point_service.ledger.points import Points
from point_service.turns.cache import Cache
from point_service.turns.lock import MemberLock, prefix_of

pytestmark = [
    pytest.mark.integration,
    pytest.mark.parametrize("database_server", ["mysql"], indirect=True),
]


@pytest.fixture
async def member(points, settings):
    """A member of a pod whose Redis remembers answers of this ledger."""
    cache = Cache(settings.cache)
    lock = MemberLock(cache, prefix_of(settings.database.ledger))
    yield Member(points._replace(points=Points(points.database, lock)))
    await cache.close()


async def forget(database_server, redis):
    """Run `point-service forget-answers`; return its status and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "point_service", "forget-answers"),
        env={**os.environ, **serve.environment(database_server, redis)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_a_request_whose_answer_the_ledger_lost_is_done_again_once_it_is_forgotten(
    member, master, redis, database_server, eventually
):
    for number in range(1, 61):  # on a busy machine Redis may miss one
        await member.earn(10, key=f"k-{number}")
        with suppress(TimeoutError):
            await eventually(lambda: "answer" in redis.call("KEYS", "*"), 1)
            break
    key = f"k-{number}"
    others = f"{prefix_of('of-another')}:{{m-1}}:answer:1"
    redis.call("SET", others, "1")
    master.rows("DELETE FROM stored_answer WHERE member_id = %s", member.member_id)
    assert (await member.earn(10, key=key)).replayed
    assert await member.balance() == 10 * number
    assert await forget(database_server, redis) == (0, "1 answers forgotten\n")
    assert not (await member.earn(10, key=key)).replayed
    assert await member.balance() == 10 * number + 10
    assert others in redis.call("KEYS", "*")


async def test_all_of_very_many_are_forgotten(settings, redis, database_server):
    prefix = prefix_of(settings.database.ledger)
    many = "for i = 1, 2500 do redis.call('SET', ARGV[1] .. ':{m-1}:answer:' .. i, '1') end"
    redis.call("EVAL", many, "1", "{m-1}", prefix)
    redis.call("SET", f"{prefix}:{{m-1}}:lock", "held")
    assert await forget(database_server, redis) == (0, "2500 answers forgotten\n")
    assert redis.call("KEYS", "*").split() == [f"{prefix}:{{m-1}}:lock"]
    assert await forget(database_server, redis) == (0, "0 answers forgotten\n")


async def test_without_redis_it_fails_and_says_so(redis, database_server):
    redis.stop()
    status, said = await forget(database_server, redis)
    assert status == 1
    assert "forget-answers failed: CacheAwayError: Redis does not answer" in said
    assert (await forget(database_server, None))[0] == 2
