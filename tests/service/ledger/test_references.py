"""A reference moves points once for ever: long after the key is forgotten, at two pods at once, for each source."""

import asyncio
import json
import uuid

import pytest
from point_service.contract.identity import Role

pytestmark = pytest.mark.integration

ORDERS, PROMOTIONS = "order-system", "promotions"


@pytest.fixture
async def forgetful(pod, member_of, master, redis):
    """A member of whom nobody remembers an answer by its key, once `forgotten` is called."""

    class Forgetful(member_of):
        def forgotten(self):
            master.forget_answers(self.member_id)
            redis.call("FLUSHALL")

    async with pod() as one:
        yield Forgetful(one, role=Role.SERVICE)


def kept(master, member):
    """Return what is kept of a member's references."""
    return master.rows(
        "SELECT source, reference, operation, amount FROM movement_reference WHERE member_id = %s"
        " ORDER BY created_at",
        member.member_id,
    )


def entries(master, member):
    [(count,)] = master.rows("SELECT COUNT(*) FROM ledger_entry WHERE member_id = %s", member.member_id)
    return count


def problem(outcome):
    told = json.loads(outcome.body)
    return outcome.status, told["type"].rpartition(":")[2]


OPERATIONS = {
    "earn": lambda member, _: member.earn(100, reference="r-1"),
    "use": lambda member, _: member.use(100, "o-2", reference="r-1"),
    "cancel-use": lambda member, _: member.cancel_use(100, "o-1", reference="r-1"),
    "cancel-earn": lambda member, grant_id: member.cancel_earn(grant_id, reference="r-1"),
}


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_redelivery_after_the_key_was_forgotten_moves_nothing_again(forgetful, master, name):
    await forgetful.earn(1000)
    await forgetful.use(300, "o-1")
    grant_id = json.loads((await forgetful.earn(100)).body)["grant_id"]
    first = await OPERATIONS[name](forgetful, grant_id)
    after = await forgetful.balance(), entries(master, forgetful)
    forgetful.forgotten()
    again = [await OPERATIONS[name](forgetful, grant_id) for _ in range(2)]
    assert (first.status, first.replayed) == (201, False)
    assert [(one.status, one.body, one.replayed) for one in again] == [(201, first.body, True)] * 2
    assert (await forgetful.balance(), entries(master, forgetful)) == after
    said = f"cancel-earn {grant_id}" if name == "cancel-earn" else name
    assert kept(master, forgetful) == [("", "r-1", said, 100)]


async def test_a_redelivery_finds_its_answer_while_the_first_key_is_kept_too(member):
    first = await member.earn(100, key="k-1", reference="r-1")
    assert (await member.earn(100, key="k-2", reference="r-1")).body == first.body
    assert await member.balance() == 100


@pytest.mark.parametrize("cached", [True, False], ids=["with Redis", "without Redis"])
async def test_twins_with_keys_of_their_own_in_two_pods_are_done_once(pod, member_of, master, cached):
    async with pod(cached=cached) as one, pod(cached=cached) as two:
        member = member_of(one, role=Role.SERVICE)
        twin = member_of(two, member.member_id, role=Role.SERVICE)
        for reference in ("r-1", "r-2"):  # of a new member, and of one that is there
            outcomes = await asyncio.gather(*(m.earn(100, reference=reference) for m in [member, twin] * 2))
            assert len({outcome.body for outcome in outcomes}) == 1
            assert [outcome.replayed for outcome in outcomes].count(False) == 1
        assert entries(master, member) == 2


async def test_members_share_a_transaction_each_with_a_reference_of_its_own(points, member_of, master):
    members = [member_of(points) for _ in range(12)]
    for _ in range(2):  # the first makes the members
        await asyncio.gather(*(member.earn(100, reference="r-1") for member in members))
        await asyncio.gather(*(member.use(10, "o-1", reference="r-2") for member in members))
    assert [await member.balance() for member in members] == [90] * 12
    assert {len(kept(master, member)) for member in members} == {2}


async def test_two_systems_have_each_a_reference_of_their_own(points, member_of, master):
    orders = member_of(points, client=ORDERS, role=Role.SERVICE)
    promotions = member_of(points, orders.member_id, client=PROMOTIONS, role=Role.SERVICE)
    for system in (orders, promotions) * 2:
        await system.earn(100, reference="r-1")
    assert await orders.balance() == 200
    assert [row[:2] for row in kept(master, orders)] == [(ORDERS, "r-1"), (PROMOTIONS, "r-1")]


async def test_a_members_own_token_takes_no_reference_from_the_shop(points, member_of):
    """Without a client, too: it would keep the shop from taking points back."""
    shop = member_of(points, role=Role.SERVICE)
    grant_id = json.loads((await shop.earn(100)).body)["grant_id"]
    await shop.earn(50)
    await member_of(points, shop.member_id).use(1, "o-1", reference="return-7")
    await shop.cancel_use(1, "o-1")
    assert (await shop.cancel_earn(grant_id, reference="return-7")).status == 201


async def test_a_system_finds_what_it_did_before_anybody_knew_its_client(forgetful, member_of):
    pod = forgetful.points, forgetful.views, forgetful.database, forgetful.policy
    first = await forgetful.earn(100, reference="r-1")
    forgetful.forgotten()
    known = member_of(pod, forgetful.member_id, client=ORDERS, role=Role.SERVICE)
    assert (await known.earn(100, reference="r-1")).body == first.body
    # Another request is another system's, which had the same words for it.
    other = await known.earn(70, reference="r-1")
    assert (other.status, other.replayed, await known.balance()) == (201, False, 170)
    assert (await known.earn(70, reference="r-1")).body == other.body


REUSES = {
    "another amount": lambda member: member.earn(101, reference="r-1"),
    "another expiry": lambda member: member.earn(100, days=3, reference="r-1"),
    "another operation": lambda member: member.use(100, "o-1", reference="r-1"),
}


@pytest.mark.parametrize("how", REUSES)
async def test_a_reference_of_another_request_is_refused_and_says_what_it_was(member, master, how):
    await member.earn(100, reference="r-1")
    refused = await REUSES[how](member)
    told = json.loads(refused.body)
    assert problem(refused) == (409, "reference-reused")
    assert (told["field"], told["used"]) == ("reference", 100)
    assert "earn, 100 points" in told["detail"]
    assert told["used_at"]
    assert (await member.balance(), entries(master, member)) == (100, 1)


async def test_a_refused_request_leaves_its_reference_free(member, master):
    assert problem(await member.use(100, "o-1", reference="r-1")) == (409, "insufficient-points")
    await member.earn(100)
    assert kept(master, member) == []
    assert (await member.use(100, "o-1", reference="r-1")).status == 201
    assert problem(await member.earn(1_000_000, reference="r-2")) == (422, "invalid-field")
    assert (await member.earn(10, reference="r-2")).status == 201


async def test_references_that_differ_in_the_case_of_a_letter_differ(member):
    assert not (await member.earn(1, reference="r-A")).replayed
    assert not (await member.earn(1, reference="r-a")).replayed
    assert not (await member.earn(1, reference="R" * 64)).replayed
    assert (await member.earn(1, reference="R" * 64)).replayed


async def test_a_reference_is_looked_for_without_reading_the_members_others(pod, member_of, master):
    async with pod(cached=False) as one:
        member = member_of(one, client=ORDERS, role=Role.SERVICE)

        async def rows_read():
            before = master.rows_read()
            await member.earn(1, reference=str(uuid.uuid4()))
            return master.rows_read() - before

        await member.earn(1)
        alone = await rows_read()
        with master.connect() as connection, connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO movement_reference"
                " (member_id, source, reference, operation, amount, request_hash, status, body, created_at)"
                " VALUES (%s, %s, %s, 'earn', 1, REPEAT('h', 32), 201, '{}', UTC_TIMESTAMP(6))",
                [(member.member_id, source, f"r-{n}") for source in (ORDERS, "") for n in range(500)],
            )
        assert await rows_read() < alone + 100


async def test_a_reference_costs_no_round_trip(pod, member_of):
    """And a request without one sends nothing about it."""
    sent = []

    def recorded(opening):
        async def open_connection():
            raw = await opening()
            query = raw.query

            async def recording(sql, *more, **named):
                sent.append(sql.decode() if isinstance(sql, bytes) else sql)
                return await query(sql, *more, **named)

            raw.query = recording
            return raw

        return open_connection

    async with pod(wrap=recorded, cached=False) as one:
        member = member_of(one)
        await member.earn(1000)
        trips = []
        for reference in (None, "r-1"):
            sent.clear()
            await member.use(1, reference=reference)
            trips.append(len([text for text in sent if ";" in text]))
            assert ("movement_reference" in "".join(sent)) == (reference is not None)
        assert trips == [2, 2]
