"""The client's ledger against the database's: what counts as lost, and what as twice."""

import pytest
from point_local.drill.books import Count, Verdict, reckon
from point_local.drill.load import Write

EARN, USE, CANCEL = Write("m", "earn", "e", 10), Write("m", "use", "o", 5), Write("m", "cancel", "o", 5)
ALL = [EARN, USE, CANCEL]


@pytest.mark.parametrize(
    ("earned", "used", "cancelled", "missing", "doubled"),
    [
        ({"e": 1}, {"o": 1}, {"o": 5}, 0, 0),
        ({}, {"o": 1}, {"o": 5}, 1, 0),
        ({"e": 1}, {}, {"o": 5}, 1, 0),
        ({"e": 1}, {"o": 1}, {}, 1, 0),
        ({"e": 1}, {"o": 1}, {"o": 4}, 1, 0),  # not all of it was given back
        ({"e": 2}, {"o": 1}, {"o": 5}, 0, 1),
        ({"e": 1}, {"o": 3}, {"o": 5}, 0, 2),
        ({"e": 1}, {"o": 1}, {"o": 10}, 0, 1),
        ({"e": 1, "x": 1}, {"o": 1, "y": 1}, {"o": 5}, 0, 0),  # done, but the answer is yet to come
        ({"e": 1}, {"o": 1}, {"o": 5, "z": 5}, 0, 1),  # given back, and nobody asked
        ({}, {}, {}, 3, 0),
    ],
)
def test_a_write_is_lost_or_twice(
    earned: dict[str, int], used: dict[str, int], cancelled: dict[str, int], missing: int, doubled: int
) -> None:
    assert reckon(ALL, ALL, earned, used, cancelled) == Count(3, missing, doubled)


def test_a_cancel_that_is_under_way_is_not_twice() -> None:
    assert reckon([EARN, USE], ALL, {"e": 1}, {"o": 1}, {"o": 5}) == Count(2, 0, 0)


@pytest.mark.parametrize(
    ("verdict", "clean"),
    [
        (Verdict(9, 0, 0, 0, True), True),
        (Verdict(9, 1, 0, 0, True), False),
        (Verdict(9, 0, 1, 0, True), False),
        (Verdict(9, 0, 0, 1, True), False),
        (Verdict(9, 0, 0, 0, False), False),
    ],
)
def test_books_are_clean_when_nothing_is_wrong(verdict: Verdict, clean: bool) -> None:
    assert verdict.clean == clean
