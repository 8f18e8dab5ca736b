"""`point-service liability`: what is owed to the members, and how it moved. Amounts are whole points."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta, timezone
from typing import NamedTuple

import msgspec
from asyncmy.connection import Connection

from point_service.domain.entries import EntryKind
from point_service.domain.grants import GrantKind
from point_service.mysql.store import sums
from point_service.mysql.store.execution import naive, utc

SEOUL = timezone(timedelta(hours=9), "Asia/Seoul")  # all year
FIRST_DAY = date(2000, 1, 1)
AT_ONCE = 20_000  # rows in a statement
PAST = 0  # in place of a month: past its expiry
BEFORE, WITHIN = 0, 1  # the times of an entry; what is later is neither


class Period(NamedTuple):
    """Days in Asia/Seoul: from `since` on, before `until`; None: until now."""

    since: date
    until: date | None


class Books(msgspec.Struct, kw_only=True):
    """The sums of one moment (UTC): what is left by kind and month of expiry (202612, or PAST), entries by kind,
    whether granted anew, and time, and all balances."""

    moment: datetime
    left: Counter[tuple[str, int]] = msgspec.field(default_factory=Counter[tuple[str, int]])
    entries: Counter[tuple[str, bool, int]] = msgspec.field(default_factory=Counter[tuple[str, bool, int]])
    balances: int = 0


class Outstanding(msgspec.Struct, frozen=True):
    """What is left of the grants that expire in one month."""

    expires: str
    normal: int
    manual: int
    total: int


class Movement(msgspec.Struct, frozen=True, kw_only=True, rename={"since": "from", "until": "to"}):
    """How the liability went from `opening` to `closing`: what makes it smaller is negative."""

    since: datetime
    until: datetime
    opening: int
    granted: int
    restored: int
    regranted: int
    used: int
    cancelled: int
    expired: int
    closing: int


class Sums(msgspec.Struct, frozen=True):
    """What must be one number: everything at the moment, counted in three ways."""

    entries: int
    remaining: int
    balances: int


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. `findings` says what does not tie."""

    as_of: datetime
    outstanding: list[Outstanding]
    total: Outstanding
    movement: Movement
    sums: Sums
    findings: list[str]


def period(since: date | None, until: date | None, today: date) -> Period:
    """Return the days that are meant; by default the month, so far, of the last day before `until` or today.

    Raises ValueError, which names the option.
    """
    tomorrow = today + timedelta(days=1)
    for option, day in (("--from", since), ("--to", until)):
        if day is not None and not FIRST_DAY <= day <= tomorrow:
            raise ValueError(
                f"argument {option}: {day} is not from {FIRST_DAY} to {tomorrow}, tomorrow in Seoul"
            )
    if since is None:
        since = ((until or today) - timedelta(days=1)).replace(day=1)
    if since >= (until or tomorrow):
        end = "tomorrow" if until is None else f"--to, {until}"
        raise ValueError(f"argument --from: {since} is not before {end}")
    return Period(since, until)


def midnight(day: date) -> datetime:
    """Return when a day begins in Seoul."""
    return datetime(day.year, day.month, day.day, tzinfo=SEOUL)


async def read(connection: Connection, asked: Period, passed: Callable[[str, int, int], None]) -> Books:
    """Read the sums, all of one moment, page by page. `passed` is told the part, how far it is, and its end (0:
    nobody knows)."""
    moment, last_grant, last_entry, last_archived = await sums.begin(connection)
    books = Books(moment=utc(moment))
    after = 0
    while rows := await sums.outstanding(connection, moment, after, AT_ONCE):
        for kind, month, points, _ in rows:
            books.left[kind, int(month)] += int(points)
        after = max(row[-1] for row in rows)
        passed("grants", after, last_grant)
    # Until now is whatever is there: the clocks of writer and reader may differ.
    until = datetime.max if asked.until is None else naive(midnight(asked.until))
    borders = (naive(midnight(asked.since)), until)
    for part, last, archived in (("entries", last_entry, False), ("archived entries", last_archived, True)):
        after = 0
        while rows := await sums.entries(connection, borders, after, AT_ONCE, archived):
            for kind, anew, time, points, _ in rows:
                books.entries[kind, bool(anew), int(time)] += int(points)
            after = max(row[-1] for row in rows)
            passed(part, after, last)
    member: str | None = ""
    while member is not None:
        member, points = await sums.balances(connection, member, AT_ONCE)
        books.balances += points
        passed("members", 0, 0)
    await sums.end(connection)
    return books


def statement(books: Books, asked: Period) -> Statement:
    """Return what the sums say, and what of it does not tie."""
    months = sorted({month for _, month in books.left} | {PAST})
    outstanding = [_outstanding(books.left, [month], _named(month)) for month in months]
    total = _outstanding(books.left, months, "total")
    movement = _movement(books, asked)
    remaining = books.left.total()
    counted = Sums(books.entries.total(), remaining, books.balances)
    return Statement(
        as_of=books.moment.astimezone(SEOUL),
        outstanding=outstanding,
        total=total,
        movement=movement,
        sums=counted,
        findings=_findings(total, movement, counted),
    )


def _named(month: int) -> str:
    return "past" if month == PAST else f"{month // 100:04}-{month % 100:02}"


def _outstanding(left: Mapping[tuple[str, int], int], months: list[int], name: str) -> Outstanding:
    normal, manual = (
        sum(left.get((kind, month), 0) for month in months) for kind in (GrantKind.NORMAL, GrantKind.MANUAL)
    )
    return Outstanding(name, normal, manual, normal + manual)


def _movement(books: Books, asked: Period) -> Movement:
    def within(kind: EntryKind, anew: bool = False) -> int:
        return books.entries[kind, anew, WITHIN]

    return Movement(
        since=midnight(asked.since),
        until=books.moment.astimezone(SEOUL) if asked.until is None else midnight(asked.until),
        opening=_at(books, BEFORE),
        granted=within(EntryKind.EARN),
        restored=within(EntryKind.CANCEL_USE),
        regranted=within(EntryKind.CANCEL_USE, anew=True),
        used=within(EntryKind.USE),
        cancelled=within(EntryKind.CANCEL_EARN),
        expired=within(EntryKind.EXPIRE),
        # Of all entries, whatever their kind: one that is none of the above does not go unseen.
        closing=_at(books, BEFORE) + _at(books, WITHIN),
    )


def _at(books: Books, time: int) -> int:
    return sum(points for (_, _, at), points in books.entries.items() if at == time)


def _findings(total: Outstanding, movement: Movement, counted: Sums) -> list[str]:
    moved = (
        movement.opening + movement.granted + movement.restored + movement.regranted
        + movement.used + movement.cancelled + movement.expired
    )  # fmt: skip
    ties = (
        ("opening and movements", moved, "the closing liability", movement.closing),
        (
            "what is outstanding, NORMAL and MANUAL,",
            total.total,
            "what is left of the grants",
            counted.remaining,
        ),
        ("the sum of the entries", counted.entries, "what is left of the grants", counted.remaining),
        ("the sum of the entries", counted.entries, "the sum of the balances", counted.balances),
    )
    return [f"{one} {a} is not {other} {b}" for one, a, other, b in ties if a != b]
