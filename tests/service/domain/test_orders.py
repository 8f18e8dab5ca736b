"""The rules of the point programme, for every case Hypothesis can think of."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from point_service.contract.errors import HoldingCapExceeded, InsufficientPoints, InvalidField
from point_service.domain import orders
from point_service.domain.orders import EntryKind, Grant, GrantKind, allocate
from point_service.domain.policy import Policy, check_earn, check_holding

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)


def grant(grant_id, remaining, *, days=1.0, kind=GrantKind.NORMAL):
    return Grant(grant_id, kind, remaining, remaining, NOW + timedelta(days=days))


@st.composite
def grant_lists(draw):
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, 1000),
                st.floats(-2, 5, allow_nan=False),
                st.sampled_from(GrantKind),
            ),
            max_size=12,
        )
    )
    return [
        grant(number, remaining, days=days, kind=kind)
        for number, (remaining, days, kind) in enumerate(rows, start=1)
    ]


def test_manual_points_go_first_then_the_soonest_to_expire_then_the_oldest_grant():
    grants = [
        grant(1, 10, days=1),
        grant(2, 10, days=9, kind=GrantKind.MANUAL),
        grant(3, 10, days=1),
        grant(4, 10, days=0.5),
    ]
    taken = allocate(grants, 35, NOW)
    assert [(a.grant_id, a.amount) for a in taken] == [(2, 10), (4, 10), (1, 10), (3, 5)]


def test_a_grant_expires_at_its_moment_and_not_after():
    assert orders.live([grant(1, 10, days=0)], NOW) == []
    assert orders.due([grant(1, 10, days=0)], NOW) != []
    assert orders.live([grant(1, 10, days=1e-9)], NOW - timedelta(microseconds=1)) != []


@given(grant_lists(), st.integers(1, 4000))
def test_what_is_taken_is_exactly_what_was_asked_and_never_more_than_a_grant_has(grants, amount):
    spendable = {g.grant_id: g.remaining for g in orders.live(grants, NOW)}
    if sum(spendable.values()) < amount:
        with pytest.raises(InsufficientPoints) as refused:
            allocate(grants, amount, NOW)
        assert refused.value.balance == sum(spendable.values())
        return
    taken = allocate(grants, amount, NOW)
    assert sum(a.amount for a in taken) == amount
    assert all(0 < a.amount <= spendable[a.grant_id] for a in taken)
    assert len({a.grant_id for a in taken}) == len(taken)


@given(grant_lists(), st.integers(1, 4000))
def test_only_the_last_grant_is_taken_in_part_and_none_before_it_is_passed_over(grants, amount):
    spendable = sorted(
        orders.live(grants, NOW), key=lambda g: (g.kind != GrantKind.MANUAL, g.expires_at, g.grant_id)
    )
    if sum(g.remaining for g in spendable) < amount:
        return
    taken = allocate(grants, amount, NOW)
    assert [a.grant_id for a in taken] == [g.grant_id for g in spendable[: len(taken)]]
    assert all(a.amount == g.remaining for a, g in zip(taken[:-1], spendable, strict=False))


@given(grant_lists())
def test_expiring_leaves_exactly_the_live_points(grants):
    entries = orders.expire(grants, NOW)
    left = sum(g.remaining for g in grants) + sum(entry.amount for entry in entries)
    assert left == sum(g.remaining for g in orders.live(grants, NOW))
    assert all(entry.kind is EntryKind.EXPIRE and entry.amount < 0 for entry in entries)


@given(grant_lists(), st.integers(1, 4000))
def test_the_entries_of_a_use_add_up_and_only_the_first_carries_position_zero(grants, amount):
    try:
        entries = orders.use(allocate(grants, amount, NOW), "o-1")
    except InsufficientPoints:
        return
    assert sum(entry.amount for entry in entries) == -amount
    assert [entry.position for entry in entries] == list(range(len(entries)))


@pytest.mark.parametrize("amount", [0, 100_001])
def test_an_amount_outside_the_policy_is_refused(amount):
    with pytest.raises(InvalidField) as refused:
        check_earn(Policy(), amount, None)
    assert refused.value.field == "amount"


@pytest.mark.parametrize("days", [0, 1825])
def test_an_expiry_outside_the_policy_is_refused(days):
    with pytest.raises(InvalidField) as refused:
        check_earn(Policy(), 1, days)
    assert refused.value.field == "expires_in_days"


def test_a_grant_lives_a_year_unless_told_otherwise():
    assert check_earn(Policy(), 1, None) == timedelta(days=365)
    assert check_earn(Policy(), 1, 1824) == timedelta(days=1824)


def test_the_holding_cap_may_be_reached_but_not_passed():
    check_holding(Policy(), 9_999_999, 1)
    with pytest.raises(HoldingCapExceeded):
        check_holding(Policy(), 10_000_000, 1)
