"""What a call says of the entries that it wants."""

from datetime import UTC, datetime

import pytest
from litestar import Request
from point_service.contract.errors import InvalidField
from point_service.domain.entries import EVERY_ENTRY, EntryKind, Filter
from point_service.http.requests import only

AT = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
REFUSED = {
    "from=": "from",
    "from=2026-11-24": "from",
    "from=2026-11-24T03:00:00": "from",
    "to=2026-11-24T03:00Z": "to",
    "to=2026-11-24T12:00:00+09:00": "to",
    "to=2026-11-24%2003:00:00Z": "to",
    "from=20261124T030000Z": "from",
    "from=2026-W48-2T03:00:00Z": "from",
    "from=2026-02-30T03:00:00Z": "from",
    "from=2026-11-24T03:00:60Z": "from",
    "from=2026-11-24T24:00:01Z": "from",
    "from=2026-11-24T03:00:00%2B24:00": "from",
    "from=2026-11-24T03:00:00.1234567Z": "from",
    "from=2026-11-24T03:00:00,5Z": "from",
    "from=0000-01-01T00:00:00Z": "from",
    "from=0001-01-01T00:00:00%2B01:00": "from",
    "to=9999-12-31T23:59:59-01:00": "to",
    "from=2026-11-24T03:00:00Z%0A": "from",
    "from=%EF%BC%922026-11-24T03:00:00Z": "from",
    "from=1790000000": "from",
    "from=2026-11-24T03:00:00.000001Z&to=2026-11-24T03:00:00Z": "from",
    "kind=": "kind",
    "kind=earn": "kind",
    "kind=EARN,USE": "kind",
    "kind=EARN&kind=GRANT": "kind",
}


def asked(query):
    return only(Request({"type": "http", "query_string": query.encode(), "state": {}}))


def test_nothing_said_is_every_entry():
    assert asked("") == asked("cursor=8&limit=2") == EVERY_ENTRY
    assert asked("&".join(f"kind={kind}" for kind in EntryKind)) == EVERY_ENTRY


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24T03:00:00Z",
        "2026-11-24t03:00:00z",
        "2026-11-24T03:00:00.0Z",
        "2026-11-24T12:00:00%2B09:00",
        "2026-11-23T22:30:00-04:30",
        "2026-11-24T03:00:00%2B00:00",
    ],
)
def test_a_moment_may_be_told_from_anywhere(text):
    assert asked(f"from={text}&to={text}") == Filter(since=AT, until=AT)


def test_a_moment_is_taken_to_the_microsecond():
    assert asked("from=2026-11-24T03:00:00.000001Z").since == AT.replace(microsecond=1)
    assert asked("to=2026-11-24T03:00:00.5Z").until == AT.replace(microsecond=500_000)


def test_kinds_may_be_repeated():
    assert asked("kind=USE").kinds == (EntryKind.USE,)
    assert asked("kind=USE&kind=EARN&kind=USE").kinds == (EntryKind.EARN, EntryKind.USE)


@pytest.mark.parametrize("query", REFUSED)
def test_what_is_no_filter_is_refused_by_its_name(query):
    with pytest.raises(InvalidField) as refused:
        asked(query)
    assert refused.value.field == REFUSED[query]
    assert refused.value.detail.startswith(f"{REFUSED[query]} must ")


def test_a_plus_that_became_a_space_is_told():
    with pytest.raises(InvalidField, match="a \\+ is sent as %2B, or it arrives as a space"):
        asked("from=2026-11-24T12:00:00+09:00")
