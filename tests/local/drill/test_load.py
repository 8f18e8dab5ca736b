"""What is read off the times and latencies that the load noted, and whether a promise was kept."""

import pytest
from point_local.drill.load import Load, longest_gap, percentile
from point_local.drill.zones import Seen


@pytest.mark.parametrize(
    ("times", "gap"),
    [
        ([], 10.0),  # nothing was served at all
        ([1.0, 2.0, 3.0, 9.0], 6.0),
        ([3.0, 1.0, 9.0, 2.0], 6.0),  # answers may be noted out of order
        ([1.0], 9.0),  # silence until the end counts
        ([-5.0, 15.0], 10.0),  # what was before or after does not
    ],
)
def test_the_longest_time_without_an_answer(times: list[float], gap: float) -> None:
    assert longest_gap(times, 0.0, 10.0) == gap


def test_a_percentile_is_a_value_that_was_seen() -> None:
    values = [float(n) for n in range(1, 101)]
    assert [percentile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1.0, 50.0, 99.0, 100.0]
    assert percentile([7.0], 0.99) == 7.0
    assert percentile([], 0.99) == 0.0


def test_an_answer_is_noted_with_its_time() -> None:
    load = Load(rate=1.0)
    load.answered(0.0, load.read_times)
    assert load.read_times == load.answer_times
    assert load.latencies == load.answer_times
    assert load.write_times == []


@pytest.mark.parametrize(
    ("reads", "writes", "hopeless", "refused", "kept"),
    [
        (30.0, 60.0, 0.0, {}, True),
        (30.1, 1.0, 0.0, {}, False),
        (1.0, 60.1, 0.0, {}, False),
        (1.0, 75.0, 15.0, {}, True),  # a disk that is full for 15 s
        (30.1, 1.0, 15.0, {}, False),  # which keeps nobody from reading
        (1.0, 1.0, 0.0, {"insufficient-points": 1}, False),
    ],
)
def test_what_members_are_promised(
    reads: float, writes: float, hopeless: float, refused: dict[str, int], kept: bool
) -> None:
    seen = Seen("a blow", reads, writes, 0, 0, refused, 1.0, "-", hopeless)
    assert seen.served is kept
