"""Grants, for every case Hypothesis can think of."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from point_service.domain.entries import EntryKind
from point_service.domain.grants import Grant, GrantKind, allocate, expire

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)


def grant(grant_id, remaining, *, days=1.0, kind=GrantKind.NORMAL):
    return Grant(grant_id, kind, remaining, remaining, NOW + timedelta(days=days))


@st.composite
def grant_lists(draw):
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(1, 1000),
                st.floats(0, 5, allow_nan=False),
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
    taken = allocate(grants, 35)
    assert [(a.grant_id, a.amount) for a in taken] == [(2, 10), (4, 10), (1, 10), (3, 5)]


@given(grant_lists(), st.integers(1, 4000))
def test_what_is_taken_is_what_was_asked_or_all_there_is_and_never_more_than_a_grant_has(grants, amount):
    held = {g.grant_id: g.remaining for g in grants}
    taken = allocate(grants, amount)
    assert sum(a.amount for a in taken) == min(amount, sum(held.values()))
    assert all(0 < a.amount <= held[a.grant_id] for a in taken)
    assert len({a.grant_id for a in taken}) == len(taken)


@given(grant_lists(), st.integers(1, 4000))
def test_only_the_last_grant_is_taken_in_part_and_none_before_it_is_passed_over(grants, amount):
    spendable = sorted(grants, key=lambda g: (g.kind != GrantKind.MANUAL, g.expires_at, g.grant_id))
    taken = allocate(grants, amount)
    assert [a.grant_id for a in taken] == [g.grant_id for g in spendable[: len(taken)]]
    assert all(a.amount == g.remaining for a, g in zip(taken[:-1], spendable, strict=False))


@given(grant_lists())
def test_expiring_leaves_nothing_of_what_is_due(grants):
    entries = expire(grants)
    assert {entry.grant_id: -entry.amount for entry in entries} == {g.grant_id: g.remaining for g in grants}
    assert all(entry.kind is EntryKind.EXPIRE and entry.amount < 0 for entry in entries)
