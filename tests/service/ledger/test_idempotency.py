"""The same request again: done once, answered the same, whatever happened in between."""

import asyncio
import json

import pytest
from asyncmy.errors import OperationalError
from point_service.contract.errors import IdempotencyKeyReused, MemberBusy
from point_service.contract.idempotency import Key, StoredAnswer, check_key, request_hash
from point_service.contract.identity import Caller, Role
from point_service.domain.grants import GrantKind
from point_service.domain.operations.cancel_earn import CancelEarnRequest
from point_service.domain.operations.cancel_use import CancelUseRequest
from point_service.domain.operations.earn import Earn, EarnRequest
from point_service.domain.operations.use import UseRequest
from point_service.domain.policy import Policy
from point_service.telemetry import metrics


def uses(master, member):
    [(count,)] = master.rows(
        "SELECT COUNT(*) FROM ledger_entry WHERE member_id = %s AND kind = 'USE'", member.member_id
    )
    return count


@pytest.mark.integration
async def test_a_repeated_request_is_answered_again_and_done_once(member, master):
    await member.earn(1000)
    first = await member.use(100, "o-1", key="k-1")
    again = await member.use(100, "o-1", key="k-1")
    assert (first.replayed, again.replayed) == (False, True)
    assert (again.status, again.body) == (first.status, first.body)
    assert uses(master, member) == 1


@pytest.mark.integration
async def test_a_repeated_request_is_answered_from_the_database_when_redis_forgot_it(pod, member_of, master):
    async with pod() as one, pod(cached=False) as two:
        member = member_of(one)
        await member.earn(1000)
        first = await member.use(100, "o-1", key="k-1")
        again = await member_of(two, member.member_id).use(100, "o-1", key="k-1")
        assert (again.replayed, again.body) == (True, first.body)
        assert uses(master, member) == 1


@pytest.mark.integration
async def test_a_refusal_is_repeated_even_when_the_points_are_there_by_now(member):
    refused = await member.use(100, "o-1", key="k-1")
    await member.earn(1000)
    again = await member.use(100, "o-1", key="k-1")
    assert (again.status, again.body, again.replayed) == (409, refused.body, True)
    assert await member.balance() == 1000


@pytest.mark.integration
@pytest.mark.parametrize("cached", [True, False], ids=["with Redis", "without Redis"])
async def test_the_same_key_with_another_request_is_refused(pod, member_of, cached):
    async with pod(cached=cached) as points:
        member = member_of(points)
        await member.earn(1000)
        await member.use(100, "o-1", key="k-1")
        with pytest.raises(IdempotencyKeyReused):
            await member.use(101, "o-1", key="k-1")
        with pytest.raises(IdempotencyKeyReused):
            await member.earn(100, key="k-1")


@pytest.mark.integration
async def test_two_members_may_choose_the_same_key(member, member_of, points):
    other = member_of(points)
    outcomes = await asyncio.gather(member.earn(10, key="k-1"), other.earn(20, key="k-1"))
    assert [outcome.replayed for outcome in outcomes] == [False, False]


@pytest.mark.integration
async def test_twins_in_one_pod_and_in_two_are_done_once(pod, member_of, master):
    async with pod() as one, pod(cached=False) as two:
        member = member_of(one)
        twin = member_of(two, member.member_id)
        await member.earn(1000)
        outcomes = await asyncio.gather(*(m.use(100, "o-1", key="k-1") for m in [member, twin] * 5))
        assert len({outcome.body for outcome in outcomes}) == 1
        assert [outcome.replayed for outcome in outcomes].count(False) == 1
        assert uses(master, member) == 1


@pytest.mark.integration
async def test_a_request_whose_member_stays_locked_is_told_so_after_a_second(member, master):
    await member.earn(1000)
    with master.connect() as holder, holder.cursor() as cursor:
        holder.begin()
        cursor.execute("SELECT 1 FROM member_point WHERE member_id = %s FOR UPDATE", (member.member_id,))
        started = asyncio.get_running_loop().time()
        with pytest.raises(MemberBusy):
            await member.use(100, "o-1", key="k-1")
        assert 0.9 < asyncio.get_running_loop().time() - started < 3
        holder.rollback()
    assert (await member.use(100, "o-1", key="k-1")).status == 201


class Faulty:
    """A connection that commits once and then fails, as when the server goes just then."""

    def __init__(self, raw, failure):
        self._raw = raw
        self._failure = failure

    def __getattr__(self, name):
        return getattr(self._raw, name)

    def cursor(self):
        return FaultyCursor(self._raw.cursor(), self._failure)


class FaultyCursor:
    def __init__(self, raw, failure):
        self._raw = raw
        self._failure = failure
        self._statement = ""

    def __getattr__(self, name):
        return getattr(self._raw, name)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        await self._raw.__aexit__(*error)

    async def execute(self, statement, parameters):
        self._statement = statement
        return await self._raw.execute(statement, parameters)

    async def nextset(self):
        more = await self._raw.nextset()
        if not more and ";COMMIT;" in self._statement and self._failure:
            raise self._failure.pop()
        return more


def failing_once(error):
    failure = [error]

    def wrap(open_connection):
        async def opened():
            return Faulty(await open_connection(), failure)

        return opened

    return failure, wrap


@pytest.mark.integration
async def test_a_commit_whose_answer_is_lost_counts_once(pod, member_of):
    failure, wrap = failing_once(OperationalError(2013, "Lost connection"))
    before = metrics.REPLAYS.labels("database")._value.get()
    async with pod(wrap=wrap) as points:
        member = member_of(points)
        assert json.loads((await member.earn(1000)).body)["balance"] == 1000
        assert failure == []
        assert metrics.REPLAYS.labels("database")._value.get() == before + 1
        assert await member.balance() == 1000


@pytest.mark.integration
async def test_a_pod_that_dies_between_commit_and_answer_has_answered_the_retry(pod, member_of, master):
    _, wrap = failing_once(asyncio.CancelledError())
    async with pod(cached=False) as healthy:
        member = member_of(healthy)
        await member.earn(1000)
        async with pod(wrap=wrap) as dying:
            with pytest.raises(asyncio.CancelledError):
                await member_of(dying, member.member_id).use(300, "o-1", key="k-1")
        again = await member.use(300, "o-1", key="k-1")
        assert (again.status, again.replayed, json.loads(again.body)["balance"]) == (201, True, 700)
        assert uses(master, member) == 1


def test_the_hash_of_a_request_ignores_how_it_was_written_but_not_what_it_says():
    one = UseRequest(order_id="o", amount=1)
    assert request_hash("use", one) == request_hash("use", UseRequest(amount=1, order_id="o"))
    assert request_hash("use", one) != request_hash("use", UseRequest(order_id="o", amount=2))
    assert request_hash("use", one) != request_hash("earn", one)


@pytest.mark.parametrize(
    ("operation", "request_body", "known"),
    [
        ("use", UseRequest(order_id="o", amount=1), "3efc98dd56dde289ee97b436a0161aed"),
        ("earn", EarnRequest(amount=1), "ac6b03ca43b492da60db2999bde2b66f"),
        ("earn", EarnRequest(amount=1, reason="é", expires_in_days=3), "83e8e4a64d3a04b64e5acedea587f882"),
        ("cancel-use", CancelUseRequest(order_id="o", amount=1), "48b79d31d10e15a96fe4fda78270454e"),
        ("cancel-earn 7", CancelEarnRequest(), "68c1fdbf0193045f8d83f9fb96abad61"),
    ],
)
def test_the_hash_of_a_request_is_the_first_versions_for_ever(operation, request_body, known):
    assert request_hash(operation, request_body)[:32] == known


def test_a_field_that_a_later_version_adds_changes_no_request_without_it():
    class LaterUse(UseRequest, frozen=True, kw_only=True):
        channel: str | None = None

    class LaterEarn(EarnRequest, frozen=True, kw_only=True):
        channel: str | None = None

    later = request_hash("use", LaterUse(order_id="o", amount=1))
    assert later == request_hash("use", UseRequest(order_id="o", amount=1))
    assert later != request_hash("use", LaterUse(order_id="o", amount=1, channel="app"))
    assert request_hash("earn", LaterEarn(amount=1)) == request_hash("earn", EarnRequest(amount=1))


def test_a_reference_is_a_part_of_the_request_that_has_one():
    with_one = EarnRequest(amount=1, reference="purchase-7")
    assert (
        request_hash("earn", EarnRequest(amount=1, reference=None))[:32] == "ac6b03ca43b492da60db2999bde2b66f"
    )
    assert request_hash("earn", with_one) != request_hash("earn", EarnRequest(amount=1))
    assert request_hash("earn", with_one) != request_hash(
        "earn", EarnRequest(amount=1, reference="purchase-8")
    )


@pytest.mark.integration
@pytest.mark.parametrize("cached", [True, False], ids=["with Redis", "without Redis"])
async def test_what_was_granted_is_answered_again_when_the_policy_forbids_it_by_now(pod, member_of, cached):
    request = EarnRequest(amount=100, expires_in_days=90)
    async with pod(cached=cached) as points:
        member = member_of(points)
        first = await member.do(Earn(request, GrantKind.NORMAL, Policy()), "k-1")
        lower = Policy(max_earn=99, max_expiry_days=30)
        again = await member.do(Earn(request, GrantKind.NORMAL, lower), "k-1")
        assert (again.status, again.body, again.replayed) == (201, first.body, True)
        assert await member.balance() == 100


@pytest.mark.integration
async def test_what_the_policy_forbids_is_refused_for_good_and_names_the_field(member):
    refused = await member.earn(100_001, key="k-1")
    assert (refused.status, json.loads(refused.body)["field"]) == (422, "amount")
    again = await member.do(
        Earn(EarnRequest(amount=100_001), GrantKind.NORMAL, Policy(max_earn=200_000)), "k-1"
    )
    assert (again.status, again.body, again.replayed) == (422, refused.body, True)
    assert await member.balance() == 0


def test_a_source_is_the_client_or_one_for_all_whose_client_nobody_knows():
    assert Caller("m", Role.SERVICE, "orders").sources == ("orders", "")
    assert Caller("m", Role.SERVICE).sources == Caller("n", Role.ADMIN).sources == ("", "")
    own = Caller("m", Role.MEMBER).sources
    assert own == (" member", " member")
    assert Caller("m", Role.MEMBER, "app").sources == ("app", own[0])


def test_a_stored_answer_is_only_for_its_own_request():
    answer = StoredAnswer("a" * 64, 201, "{}")
    assert answer.for_request(Key("c", "m", "k", "a" * 64)) is answer
    with pytest.raises(IdempotencyKeyReused):
        answer.for_request(Key("c", "m", "k", "b" * 64))


def test_a_key_of_255_printable_characters_is_taken():
    assert check_key(["k" * 255]) == "k" * 255
