"""Which copy of the database writes: decided from what is seen, right also when half of it is not."""

from dataclasses import replace

import pytest
from point_local.failover import gtid
from point_local.failover.roles import (
    SILENCE_SECONDS,
    Apply,
    Copy,
    Fence,
    Follow,
    Freeze,
    MakeWriter,
    Promote,
    Rebuild,
    decide,
    reader,
)

A, C = "11111111-1111-1111-1111-111111111111", "33333333-3333-3333-3333-333333333333"
DEAD = SILENCE_SECONDS + 1


def writer(executed: str = f"{A}:1-10", *, writable: bool = True) -> Copy:
    return Copy(gtid.parse(executed), {}, writable, None, receiving=False)


def copy(
    executed: str = f"{A}:1-10", received: str = "", source: str | None = "a", *, receiving: bool = True
) -> Copy:
    return Copy(gtid.parse(executed), gtid.parse(received or executed), False, source, receiving=receiving)


def frozen(executed: str = f"{A}:1-10", received: str = "") -> Copy:
    return copy(executed, received, receiving=False)


def test_a_healthy_data_tier_is_left_alone() -> None:
    assert decide("a", {"a": writer(), "b": copy(), "c": copy()}, 0) == []


def test_a_new_or_restarted_writer_is_made_writable() -> None:
    assert decide("a", {"a": writer(writable=False), "b": copy(), "c": copy()}, 0) == [MakeWriter("a")]


def test_a_new_copy_follows_the_writer() -> None:
    new = copy("", source=None, receiving=False)
    assert decide("a", {"a": writer(), "b": new, "c": copy()}, 0) == [Follow("b", "a")]


def test_a_copy_that_stopped_executing_is_told_to_go_on() -> None:
    stopped = replace(copy(), applying=False)
    assert decide("a", {"a": writer(), "b": copy(), "c": stopped}, 0) == [Apply("c")]


def test_a_short_silence_changes_nothing() -> None:
    assert decide("a", {"a": None, "b": copy(), "c": copy()}, SILENCE_SECONDS - 1) == []


def test_a_silent_writer_first_loses_those_who_could_acknowledge_it() -> None:
    assert decide("a", {"a": None, "b": copy(), "c": copy()}, DEAD) == [Freeze("b"), Freeze("c")]


def test_what_was_received_is_executed_before_anybody_is_promoted() -> None:
    behind = frozen(f"{A}:1-8", f"{A}:1-10")
    assert decide("a", {"a": None, "b": frozen(), "c": behind}, DEAD) == [Apply("c")]


def test_the_other_serving_zone_is_promoted() -> None:
    assert decide("a", {"a": None, "b": frozen(), "c": frozen()}, DEAD) == [Promote("c")]
    assert decide("c", {"a": frozen(), "b": frozen(), "c": None}, DEAD) == [Promote("a")]


def test_it_first_gets_what_only_the_storage_copy_has() -> None:
    copies = {"a": None, "b": frozen(f"{A}:1-12"), "c": frozen(f"{A}:1-10")}
    assert decide("a", copies, DEAD) == [Follow("c", "b")]
    catching_up = copy(f"{A}:1-11", source="b")
    assert decide("a", {**copies, "c": catching_up}, DEAD) == []
    assert decide("a", {**copies, "c": copy(f"{A}:1-12", source="b")}, DEAD) == [Promote("c")]


@pytest.mark.parametrize(
    "copies", [{"b": None, "c": frozen()}, {"b": frozen(), "c": None}, {"b": None, "c": None}]
)
def test_nobody_is_promoted_while_another_copy_is_away_too(copies: dict[str, Copy | None]) -> None:
    assert decide("a", {"a": None, **copies}, DEAD) == []


def test_a_promoted_writer_that_is_not_one_yet_is_made_so_by_the_next_controller() -> None:
    copies = {"a": None, "b": frozen(), "c": frozen()}
    assert MakeWriter("c") in decide("c", copies, 0)


def test_an_old_writer_that_comes_back_believing_is_ended_first() -> None:
    copies = {"a": writer(f"{A}:1-11"), "b": copy(source="c"), "c": writer(f"{A}:1-10,{C}:1-5")}
    assert decide("c", copies, 0) == [Fence("a")]


def test_a_new_writer_waits_until_the_old_one_is_ended() -> None:
    copies = {"a": writer(), "b": copy(source="c"), "c": writer(writable=False)}
    assert decide("c", copies, 0) == [Fence("a")]


def test_an_old_writer_without_transactions_of_its_own_follows() -> None:
    back = copy(f"{A}:1-10", source=None, receiving=False)
    copies = {"a": back, "b": copy(source="c"), "c": writer(f"{A}:1-10,{C}:1-5")}
    assert decide("c", copies, 0) == [Follow("a", "c")]


def test_an_old_writer_with_transactions_nobody_was_told_of_is_rebuilt() -> None:
    back = copy(f"{A}:1-11", source=None, receiving=False)
    copies = {"a": back, "b": copy(source="c"), "c": writer(f"{A}:1-10,{C}:1-5")}
    assert decide("c", copies, 0) == [Rebuild("a")]


def test_a_writer_that_lost_its_data_is_none_any_more() -> None:
    copies = {"a": writer("", writable=False), "b": copy(), "c": copy()}
    assert decide("a", copies, 0) == [Freeze("b"), Freeze("c")]
    assert decide("a", {**copies, "b": frozen(), "c": frozen()}, 0) == [Promote("c")]


def test_a_commit_that_still_waits_for_its_acknowledgement_makes_no_copy_foreign() -> None:
    waiting = Copy(gtid.parse(f"{A}:1-10"), {}, True, None, receiving=False, owned=gtid.parse(f"{A}:11#45"))
    ahead = frozen(f"{A}:1-11")
    assert decide("a", {"a": waiting, "b": ahead, "c": ahead}, 0) == [Follow("b", "a"), Follow("c", "a")]


def test_two_copies_are_never_rebuilt_at_once() -> None:
    foreign = copy(f"{C}:1-3", source=None, receiving=False)
    assert decide("a", {"a": writer(), "b": foreign, "c": foreign}, 0) == [Rebuild("b")]


def test_reads_go_to_the_other_serving_zone_while_it_follows() -> None:
    assert reader("a", {"a": writer(), "b": copy(), "c": copy()}) == "c"
    assert reader("c", {"a": copy(source="c"), "b": copy(source="c"), "c": writer()}) == "a"


@pytest.mark.parametrize("lost", [None, frozen()])
def test_reads_go_to_the_writer_when_the_reader_is_lost(lost: Copy | None) -> None:
    assert reader("a", {"a": writer(), "b": copy(), "c": lost}) == "a"


@pytest.mark.parametrize(
    ("larger", "smaller", "has"),
    [
        (f"{A}:1-10", f"{A}:1-10", True),
        (f"{A}:1-10", f"{A}:3-4:7", True),
        (f"{A}:1-10", f"{A}:1-11", False),
        (f"{A}:1-3:5-9", f"{A}:3-5", False),
        (f"{A}:1-10,\n{C}:1", f"{C}:1", True),
        (f"{A}:1-10", f"{C}:1", False),
        ("", "", True),
    ],
)
def test_sets_of_transactions_are_compared_as_mysql_does(larger: str, smaller: str, has: bool) -> None:
    assert gtid.contains(gtid.parse(larger), gtid.parse(smaller)) is has
