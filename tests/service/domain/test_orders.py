"""Orders: what each took, and what of it was given back."""

from datetime import UTC, datetime

from point_service.domain.orders import OrderEntry, parts

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)


def test_what_was_given_back_counts_against_the_use_it_reverses():
    entries = [
        OrderEntry(1, 11, "USE", -100, None, NOW),
        OrderEntry(2, 12, "USE", -50, None, NOW),
        OrderEntry(3, 11, "CANCEL_USE", 30, 1, NOW),
        OrderEntry(4, 13, "CANCEL_USE", 20, 1, NOW),  # on a grant made anew
    ]
    assert [(part.grant_id, part.amount, part.given_back, part.outstanding) for part in parts(entries)] == [
        (11, 100, 50, 50),
        (12, 50, 0, 50),
    ]
