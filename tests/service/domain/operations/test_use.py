"""Using points, for every case Hypothesis can think of."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from point_service.contract.errors import InsufficientPoints, OrderAlreadyUsed, TooManyGrants
from point_service.domain.grants import Grant, GrantKind
from point_service.domain.operations.use import Use, UseRequest
from point_service.domain.orders import OrderUse
from point_service.domain.snapshot import Snapshot

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)


def snapshot(*held, order_used=None):
    """A member with grants: points, and days until they expire."""
    grants = [
        Grant(number, GrantKind.NORMAL, points, points, NOW + timedelta(days=days))
        for number, (points, days) in enumerate(held, start=1)
    ]
    live = [grant for grant in grants if grant.expires_at > NOW]
    due = [grant for grant in grants if grant.expires_at <= NOW]
    balance = sum(points for points, _ in held)
    return Snapshot(
        member_id="m", balance=balance, version=1, now=NOW, grants=live, due=due, order_used=order_used
    )


def use(amount):
    return Use(UseRequest(order_id="o", amount=amount))


HELD = st.lists(st.tuples(st.integers(1, 1000), st.floats(-2, 5, allow_nan=False)), max_size=12)


@given(HELD, st.integers(1, 4000))
def test_its_entries_answer_and_balance_agree_and_only_the_first_entry_carries_position_zero(held, amount):
    member = snapshot(*held)
    if member.held < amount:
        with pytest.raises(InsufficientPoints) as refused:
            use(amount).decide(member)
        assert refused.value.balance == member.held
        return
    decision = use(amount).decide(member)
    answer = decision.answer([])
    assert sum(entry.amount for entry in decision.entries) == -amount
    assert [entry.position for entry in decision.entries] == list(range(len(decision.entries)))
    assert [(part.grant_id, -part.amount) for part in answer.allocations] == [
        (entry.grant_id, entry.amount) for entry in decision.entries
    ]
    assert answer.balance == member.held - amount


def test_points_that_are_due_to_expire_are_not_held():
    member = snapshot((100, 0), (50, 1))
    assert member.held == 50
    assert [(entry.grant_id, entry.amount) for entry in member.expired] == [(1, -100)]


def test_all_that_is_due_counts_when_not_all_of_it_was_read():
    member = snapshot((100, 0), (50, 1))
    member.balance += 10
    member.due_points = 110
    assert member.held == 50
    with pytest.raises(InsufficientPoints) as refused:
        use(51).decide(member)
    assert refused.value.balance == 50


def test_points_that_lie_in_more_grants_than_were_read_are_refused_with_what_can_be_used_at_once():
    member = snapshot((10, 1), (10, 1))
    member.balance += 100
    with pytest.raises(TooManyGrants, match="20 can be used at once") as refused:
        use(21).decide(member)
    assert refused.value.balance == 120


def test_an_order_is_used_once():
    with pytest.raises(OrderAlreadyUsed) as refused:
        use(1).decide(snapshot((10, 1), order_used=OrderUse(7, NOW)))
    assert (refused.value.used, refused.value.used_at) == (7, NOW)
