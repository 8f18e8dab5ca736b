"""Grants, for every case Hypothesis can think of."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from point_service.contract.errors import InsufficientPoints
from point_service.domain.entries import EntryKind
from point_service.domain.grants import Grant, GrantKind, allocate, due, expire, live

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
    assert live([grant(1, 10, days=0)], NOW) == []
    assert due([grant(1, 10, days=0)], NOW) != []
    assert live([grant(1, 10, days=1e-9)], NOW - timedelta(microseconds=1)) != []


@given(grant_lists(), st.integers(1, 4000))
def test_what_is_taken_is_exactly_what_was_asked_and_never_more_than_a_grant_has(grants, amount):
    spendable = {g.grant_id: g.remaining for g in live(grants, NOW)}
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
        live(grants, NOW), key=lambda g: (g.kind != GrantKind.MANUAL, g.expires_at, g.grant_id)
    )
    if sum(g.remaining for g in spendable) < amount:
        return
    taken = allocate(grants, amount, NOW)
    assert [a.grant_id for a in taken] == [g.grant_id for g in spendable[: len(taken)]]
    assert all(a.amount == g.remaining for a, g in zip(taken[:-1], spendable, strict=False))


@given(grant_lists())
def test_expiring_leaves_exactly_the_live_points(grants):
    entries = expire(grants, NOW)
    left = sum(g.remaining for g in grants) + sum(entry.amount for entry in entries)
    assert left == sum(g.remaining for g in live(grants, NOW))
    assert all(entry.kind is EntryKind.EXPIRE and entry.amount < 0 for entry in entries)
