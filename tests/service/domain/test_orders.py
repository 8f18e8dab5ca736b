"""Orders, for every case Hypothesis can think of."""

from hypothesis import given
from hypothesis import strategies as st
from point_service.domain import orders
from point_service.domain.grants import Allocation

ALLOCATIONS = st.lists(st.builds(Allocation, st.integers(1), st.integers(1, 1000)), min_size=1, max_size=12)


@given(ALLOCATIONS)
def test_the_entries_of_a_use_add_up_and_only_the_first_carries_position_zero(allocations):
    entries = orders.use(allocations, "o-1")
    assert sum(entry.amount for entry in entries) == -sum(taken.amount for taken in allocations)
    assert [entry.position for entry in entries] == list(range(len(entries)))
