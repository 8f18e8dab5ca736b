"""Answers by day: looked for in every day of their retention, whatever the clock says."""

import asyncio
import uuid
from contextlib import suppress

import pytest
from point_service.contract.errors import MemberBusy, Unavailable
from point_service.contract.idempotency import Key
from point_service.contract.identity import Caller, Role
from point_service.ledger.points import Points
from point_service.turns.lock import MemberLock

MIDNIGHT = "UNIX_TIMESTAMP(UTC_DATE() + INTERVAL 1 DAY)"


def test_a_digest_is_of_one_key_in_one_space_and_says_which_kind_of_space():
    keys = [
        Key(caller, member, value, "0" * 64, client)
        for caller in ("member:m", "service:m")
        for member in ("m", "n")
        for value in ("k", "l")
        for client in (None, "service@1")
    ]
    digests = {key.digest(space) for key in keys for space in (key.caller, key.own)}
    assert len(digests) == 8 + 4
    assert {len(digest) for digest in digests} == {32}
    assert sum(digest >= "8" for digest in digests) == 4


@pytest.fixture
def kept_for(points):
    """Makes pods without Redis that look for answers as long as they are told (hours)."""

    def pod(hours):
        return points._replace(points=Points(points.database, MemberLock(None), 32, hours))

    return pod


@pytest.mark.integration
@pytest.mark.parametrize(("hours", "days"), [(1, 1), (24, 1), (25, 2), (72, 3), (720, 30)])
async def test_every_day_of_the_retention_is_looked_up(kept_for, member_of, master, hours, days):
    member = member_of(kept_for(hours))
    first = await member.earn(10, key="k-1")
    master.age_answers(member.member_id, days)
    assert (await member.earn(10, key="k-1")).body == first.body
    master.age_answers(member.member_id, 1)
    anew = await member.earn(10, key="k-1")
    assert anew.body != first.body
    assert (await member.earn(10, key="k-1")).body == anew.body
    assert await member.balance() == 20


@pytest.mark.integration
async def test_a_clock_that_is_set_back_past_midnight_hides_no_answer(kept_for, member_of, master):
    member = member_of(kept_for(24))
    await member.earn(10, key="k-1")
    master.age_answers(member.member_id, -1)
    assert (await member.earn(10, key="k-1")).replayed


async def insisting(member):
    """Earn until there is an answer, as a client does that is told to try again."""
    while True:
        with suppress(MemberBusy, Unavailable):
            return await member.earn(100, key="k-1")


@pytest.mark.integration
@pytest.mark.parametrize("shared", [1, 32], ids=["alone", "shared"])
async def test_twins_on_both_sides_of_midnight_are_done_once(pod, member_of, master, shared):
    """One pod's connections live a second before midnight, the other's a second after it."""

    def at(seconds):
        def wrap(open_connection):
            async def opened():
                raw = await open_connection()
                async with raw.cursor() as cursor:
                    await cursor.execute(f"SET timestamp = {MIDNIGHT} + {seconds}")
                return raw

            return opened

        return wrap

    async with pod(cached=False, wrap=at(-1)) as early, pod(cached=False, wrap=at(1)) as late:
        members = [str(uuid.uuid4()) for _ in range(6)]
        sides = [one._replace(points=Points(one.database, MemberLock(None), shared)) for one in (early, late)]
        for member_id in members[:3]:  # the others are new
            await member_of(early, member_id).earn(1)
        asked = [member_of(side, member_id) for member_id in members for side in sides * 2]
        outcomes = await asyncio.gather(*(insisting(member) for member in asked))
        assert len({outcome.body for outcome in outcomes}) == 6
        days = "SELECT COUNT(*) FROM stored_answer WHERE member_id IN %s AND digest IN %s"
        digests = [bytes.fromhex(Key(f"member:{m}", m, "k-1", "").digest(f"member:{m}")) for m in members]
        assert master.rows(days, members, digests) == [(6,)]
        grants = "SELECT COUNT(*) FROM point_ledger WHERE amount = 100 AND member_id IN %s"
        assert master.rows(grants, members) == [(6,)]


@pytest.mark.integration
async def test_a_clients_own_answer_by_member_counts_before_its_callers_by_day(kept_for, member_of, master):
    own = member_of(kept_for(24), client="orders", by_client=True, role=Role.SERVICE)
    caller = member_of(kept_for(24), own.member_id, role=Role.SERVICE)
    mine = await own.earn(10, key="k-1")
    by_member = (
        "INSERT INTO idempotency_closed"
        " (member_id, caller, idempotency_key, request_hash, status, body, created_at)"
        " SELECT member_id, %s, 'k-1', request_hash, status, body, UTC_TIMESTAMP() FROM stored_answer"
        " WHERE member_id = %s"
    )
    space = Caller(own.member_id, Role.SERVICE, "orders").client_scope
    master.rows(by_member, space, own.member_id)
    master.rows("DELETE FROM stored_answer WHERE member_id = %s", own.member_id)
    assert (await caller.earn(10, key="k-1")).body != mine.body
    again = await own.earn(10, key="k-1")
    assert (again.replayed, again.body) == (True, mine.body)
