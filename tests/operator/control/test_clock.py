"""How long one waits until the next look."""

import pytest
from point_operator.control.clock import unsettled_pause


def test_a_few_that_are_not_in_order_are_looked_at_every_ten_seconds() -> None:
    assert unsettled_pause(count=3, took=0.5, workers=8, longest=60) == 10


@pytest.mark.parametrize(("count", "took"), [(200, 0.5), (200, 0.25), (40, 1.5)])
def test_many_leave_the_workers_half_of_the_time(count: int, took: float) -> None:
    pause = unsettled_pause(count, took, workers=8, longest=60)
    assert count * took / pause <= 8 / 2


def test_none_waits_longer_than_one_in_order() -> None:
    assert unsettled_pause(count=5000, took=10, workers=8, longest=60) == 60
