"""What is owed, from sums alone: no database is asked."""

import csv
import io
import json
from collections import Counter
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from point_service.domain.entries import EntryKind
from point_service.ledger.liability import Books, Period, period, statement
from point_service.ledger.printed import as_csv, as_json, as_table

NOW = datetime(2026, 11, 28, 12, 30, 0, 5, tzinfo=UTC)
NOVEMBER = Period(date(2026, 11, 1), None)
MOVED = ("granted", "restored", "regranted", "used", "cancelled", "expired")


def books(**changed):
    return Books(
        **{
            "moment": NOW,
            "left": Counter(
                {("NORMAL", 202701): 60, ("MANUAL", 0): 5, ("NORMAL", 202612): 25, ("MANUAL", 202701): 10}
            ),
            "entries": Counter(
                {
                    ("EARN", False, 0): 40,
                    ("EARN", False, 1): 100,
                    ("USE", False, 1): -50,
                    ("CANCEL_USE", False, 1): 15,
                    ("CANCEL_USE", True, 1): 10,
                    ("CANCEL_EARN", False, 1): -8,
                    ("EXPIRE", False, 1): -7,
                }
            ),
            "balances": 100,
            **changed,
        }
    )


def test_months_are_in_their_order_behind_what_is_past_and_add_up():
    said = statement(books(), NOVEMBER)
    assert [(row.expires, row.normal, row.manual, row.total) for row in said.outstanding] == [
        ("past", 0, 5, 5),
        ("2026-12", 25, 0, 25),
        ("2027-01", 60, 10, 70),
    ]
    assert (said.total.normal, said.total.manual, said.total.total) == (85, 15, 100)


def test_each_movement_has_its_line_and_they_add_up():
    moved = statement(books(), NOVEMBER).movement
    assert (moved.opening, moved.closing) == (40, 100)
    assert [getattr(moved, name) for name in MOVED] == [100, 15, 10, -50, -8, -7]


def test_what_came_after_the_last_day_is_not_in_the_closing_liability():
    later = books().entries + Counter({("EARN", False, 2): 30})
    later.update({("USE", False, 1): -50, ("CANCEL_EARN", False, 1): -8, ("EXPIRE", False, 1): -7})
    said = statement(
        books(entries=later, balances=130, left=Counter({("NORMAL", 202701): 130})),
        Period(date(2026, 11, 1), date(2026, 11, 15)),
    )
    assert (said.movement.closing, said.sums.entries, said.findings) == (100, 130, [])


def test_an_empty_ledger_owes_nothing():
    said = statement(Books(moment=NOW), NOVEMBER)
    assert (said.total.total, said.movement.closing, said.findings) == (0, 0, [])
    assert [row.expires for row in said.outstanding] == ["past"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"balances": 99}, ["the sum of the entries 100 is not the sum of the balances 99"]),
        (
            {"left": Counter({("NORMAL", 202612): 101})},
            ["the sum of the entries 100 is not what is left of the grants 101"],
        ),
        (
            {"left": Counter({("GIFT", 202612): 100})},
            ["what is outstanding, NORMAL and MANUAL, 0 is not what is left of the grants 100"],
        ),
        (
            {"entries": Counter({("GIFT", False, 1): 100})},
            ["opening and movements 0 is not the closing liability 100"],
        ),
    ],
)
def test_what_does_not_tie_is_named(changed, said):
    assert statement(books(**changed), NOVEMBER).findings == said


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(list(EntryKind)), st.just(False), st.integers(0, 2)),
        st.integers(-(10**15), 10**15),
    ),
    st.integers(0, 10**9),
)
def test_opening_and_movements_are_the_closing_liability(entries, anew):
    counted = Counter(entries) if not anew else Counter({**entries, ("CANCEL_USE", True, 1): anew})
    total = sum(counted.values())
    said = statement(
        Books(moment=NOW, entries=counted, left=Counter({("NORMAL", 202612): total}), balances=total),
        NOVEMBER,
    )
    moved = said.movement
    assert moved.opening + sum(getattr(moved, name) for name in MOVED) == moved.closing
    assert said.findings == []


@pytest.mark.parametrize(
    ("today", "since", "until", "meant"),
    [
        ("2026-11-28", None, None, ("2026-11-01", None)),
        ("2026-12-01", None, None, ("2026-11-01", None)),
        ("2027-01-01", None, None, ("2026-12-01", None)),
        ("2026-12-09", None, "2026-12-01", ("2026-11-01", "2026-12-01")),
        ("2026-12-09", "2026-02-03", None, ("2026-02-03", None)),
        ("2026-12-09", "2026-12-09", "2026-12-10", ("2026-12-09", "2026-12-10")),
    ],
)
def test_by_default_it_is_the_month_that_is_to_be_closed(today, since, until, meant):
    def day(text):
        return text and date.fromisoformat(text)

    assert period(day(since), day(until), day(today)) == (day(meant[0]), day(meant[1]))


def test_a_period_that_has_not_begun_is_none():
    tomorrow = date(2026, 11, 29)
    with pytest.raises(ValueError, match="--from: 2026-11-29 is not before tomorrow"):
        period(tomorrow, None, date(2026, 11, 28))


def test_the_three_forms_say_the_same():
    said = statement(books(), NOVEMBER)
    whole = json.loads(as_json(said))
    assert whole["as_of"] == "2026-11-28T21:30:00.000005+09:00"
    assert whole["movement"]["from"] == "2026-11-01T00:00:00+09:00"
    assert whole["movement"]["to"] == whole["as_of"]
    rows = list(csv.DictReader(io.StringIO(as_csv(said))))
    assert {row["row"]: int(row["total"]) for row in rows} == {
        **{row["expires"]: row["total"] for row in [*whole["outstanding"], whole["total"]]},
        **{name: whole["movement"][name] for name in ("opening", *MOVED, "closing")},
    }
    table = as_table(statement(books(balances=1_000_000), NOVEMBER)).splitlines()
    assert table[0] == "Outstanding points at 2026-11-28 21:30:00, by month of expiry (Asia/Seoul)"
    assert table[4].split() == ["2027-01", "60", "10", "70"]
    assert len({len(line) for line in table[1:6]}) == 1
    assert table[-1].split() == ["closing", "100"]
