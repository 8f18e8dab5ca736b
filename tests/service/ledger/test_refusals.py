"""A member's own refusals are kept within a bound: whoever asks for too much all day long fills no table."""

import asyncio
import json

import pytest
from point_service.contract.identity import Role
from point_service.ledger import transaction

pytestmark = pytest.mark.integration

KEPT = 3


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Keeps few refusals a day."""
    monkeypatch.setattr(transaction, "REFUSALS_KEPT", KEPT)


async def refused(member, number, amount=100):
    """Ask for more points than there are, under a key of the number."""
    outcome = await member.use(amount, f"o-{number}", key=f"k-{number}")
    assert outcome.status == 409
    return outcome


@pytest.mark.parametrize("cached", [True, False], ids=["with Redis", "without Redis"])
async def test_refusals_within_the_bound_are_kept_and_those_past_it_decided_again(
    pod, member_of, master, cached
):
    async with pod(cached=cached) as points:
        member = member_of(points)
        first = [await refused(member, number) for number in range(KEPT + 5)]
        assert len(master.answers(member.member_id)) == KEPT
        shop = member_of(points, member.member_id, role=Role.SERVICE)
        await shop.earn(1000)
        again = [await member.use(100, f"o-{number}", key=f"k-{number}") for number in range(KEPT + 2)]
        assert [one.body for one in again[:KEPT]] == [one.body for one in first[:KEPT]]
        assert [(one.status, one.replayed) for one in again] == [(409, True)] * KEPT + [(201, False)] * 2
        assert await member.balance() == 800


async def test_what_was_done_after_a_refusal_that_is_not_kept_is_done_once(member):
    for number in range(KEPT + 1):
        await refused(member, number)
    await member.earn(1000)
    key = f"k-{KEPT}"
    outcomes = await asyncio.gather(*(member.use(100, f"o-{KEPT}", key=key) for _ in range(5)))
    assert [outcome.replayed for outcome in outcomes].count(False) == 1
    assert {outcome.status for outcome in outcomes} == {201}
    assert await member.balance() == 900


async def test_what_is_done_is_always_kept(member):
    for number in range(KEPT + 1):
        await refused(member, number)
    await member.earn(1000, key="earned")
    assert (await member.earn(1000, key="earned")).replayed
    assert await member.balance() == 1000


async def test_the_shops_systems_have_every_refusal_kept_and_use_up_nothing(points, member_of, master):
    shop = member_of(points, role=Role.SERVICE)
    member = member_of(points, shop.member_id)
    for number in range(KEPT + 2):
        await refused(shop, number)
    assert [(await refused(shop, number)).replayed for number in range(KEPT + 2)] == [True] * (KEPT + 2)
    await refused(member, 0)
    assert len(master.answers(shop.member_id)) == KEPT + 3


async def test_each_day_begins_anew(member, master):
    for number in range(KEPT + 1):
        await refused(member, number)
    master.rows(
        "UPDATE member_point SET refused_on = refused_on - INTERVAL 1 DAY WHERE member_id = %s",
        member.member_id,
    )
    for number in range(10, 11 + KEPT):
        await refused(member, number)
    assert len(master.answers(member.member_id)) == 2 * KEPT
    count = "SELECT refusals, refused_on = UTC_DATE() FROM member_point WHERE member_id = %s"
    assert master.rows(count, member.member_id) == [(KEPT, 1)]


async def test_members_whose_requests_share_a_transaction_have_a_bound_each(points, member_of, master):
    members = [member_of(points) for _ in range(6)]
    await asyncio.gather(*(member.earn(1) for member in members))
    for number in range(KEPT + 2):
        await asyncio.gather(*(refused(member, number) for member in members))
    kept = [[status for status, _ in master.answers(member.member_id)].count(409) for member in members]
    assert kept == [KEPT] * 6


async def test_points_that_are_due_expire_in_a_refusal_that_is_not_kept(member, master):
    grant = json.loads((await member.earn(50)).body)["grant_id"]
    for number in range(KEPT):
        await refused(member, number)
    master.expire(grant)
    await refused(member, KEPT)
    entries = "SELECT kind, amount FROM ledger_entry WHERE member_id = %s ORDER BY entry_id"
    assert master.rows(entries, member.member_id) == [("EARN", 50), ("EXPIRE", -50)]
    assert len(master.answers(member.member_id)) == KEPT + 1
