"""How grants and entries travel to their tables: as plain rows, or very many of them as one JSON value.

Of plain rows a router sees whose they are, and a few cost the server less; of thousands the text alone would cost more
than the rows. Either way they get their ids in the order they have here.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

import msgspec

from point_service.domain.entries import Entry
from point_service.domain.grants import NewGrant
from point_service.mysql.store.execution import naive

PLAIN = 100
"""As many rows travel as such."""

Sent = tuple[str, Sequence[Any]]
"""A statement with its values."""

ADD_GRANTS = (
    "INSERT INTO point_ledger"
    " (member_id, kind, amount, remaining, expires_at, source_grant_id, reason, created_at) VALUES {rows}"
)
ADD_MANY_GRANTS = (
    "INSERT INTO point_ledger"
    " (member_id, kind, amount, remaining, expires_at, source_grant_id, reason, created_at)"
    " SELECT member_id, kind, amount, amount, expires_at, NULLIF(source_grant_id, 0), NULLIF(reason, ''), %s"
    " FROM JSON_TABLE(%s, '$[*]' COLUMNS (member_id VARCHAR(255) PATH '$[0]', kind VARCHAR(8) PATH '$[1]',"
    " expires_at VARCHAR(26) PATH '$[2]', reason VARCHAR(200) PATH '$[3]', NESTED PATH '$[4][*]' COLUMNS ("
    "amount BIGINT PATH '$[0]', source_grant_id BIGINT UNSIGNED PATH '$[1]'))) granted"
)
# What moves grants and what adds entries check on the server how many rows the statement before them changed, so that
# they and the commit may travel in one round trip: balances that did not all move leave the grants alone, and grants
# that did not all move make `position` null, which the table refuses. The members' locks make that impossible; this is
# what holds if it ever were not.
MOVE_GRANTS = (
    "UPDATE point_ledger FORCE INDEX (PRIMARY) SET remaining = remaining + CASE grant_id{cases} ELSE 0 END"
    " WHERE ROW_COUNT() = %s AND member_id IN ({members}) AND grant_id IN ({places})"
)
MOVE_MANY_GRANTS = (
    "UPDATE JSON_TABLE(%s, '$[*]' COLUMNS (grant_id BIGINT UNSIGNED PATH '$[0]', amount BIGINT PATH '$[1]')) moved"
    " STRAIGHT_JOIN point_ledger g ON g.grant_id = moved.grant_id"
    " SET g.remaining = g.remaining + moved.amount WHERE ROW_COUNT() = %s AND g.member_id IN ({members})"
)
ADD_ENTRIES = (
    "INSERT INTO ledger_entry"
    " (member_id, grant_id, kind, amount, order_id, position, reversed_entry_id, created_at) VALUES {rows}"
)
ADD_MANY_ENTRIES = (
    "INSERT INTO ledger_entry"
    " (member_id, grant_id, kind, amount, order_id, position, reversed_entry_id, created_at)"
    " SELECT member_id, grant_id, kind, amount, NULLIF(order_id, ''), IF(ROW_COUNT() = %s, entry.position, NULL),"
    " NULLIF(reversed_entry_id, 0), %s FROM JSON_TABLE(%s, '$[*]' COLUMNS (member_id VARCHAR(255) PATH '$[0]',"
    " kind VARCHAR(12) PATH '$[1]', order_id VARCHAR(64) PATH '$[2]', NESTED PATH '$[3][*]' COLUMNS ("
    "grant_id BIGINT UNSIGNED PATH '$[0]', amount BIGINT PATH '$[1]', position INT UNSIGNED PATH '$[2]',"
    " reversed_entry_id BIGINT UNSIGNED PATH '$[3]'))) entry"
)
_GRANT = "(%s, %s, %s, %s, %s, %s, %s, %s)"
_ENTRY = "(%s, %s, %s, %s, %s, IF(ROW_COUNT() = %s, %s, NULL), %s, %s)"


def adding_grants(grants: Sequence[tuple[str, NewGrant]], now: datetime) -> Sent:
    """Return the statement that adds grants to members, those of each together."""
    if len(grants) <= PLAIN:
        values: list[Any] = []
        for member_id, grant in grants:
            amounts = grant.amount, grant.amount
            values += member_id, grant.kind, *amounts, naive(grant.expires_at), grant.source_grant_id
            values += grant.reason, naive(now)
        return ADD_GRANTS.format(rows=_many(_GRANT, grants)), values
    together: list[Any] = []  # grants that follow each other and differ in their numbers alone
    for alike, group in groupby(
        grants, lambda one: (one[0], one[1].kind, str(naive(one[1].expires_at)), one[1].reason or "")
    ):
        together.append((*alike, [(grant.amount, grant.source_grant_id or 0) for _, grant in group]))
    return ADD_MANY_GRANTS, [naive(now), _json(together)]


def moving_grants(by_grant: Mapping[int, int], members: Sequence[str], moved: int) -> Sent:
    """Return the statement that moves members' grants, each by so many points, if `moved` rows moved before."""
    if len(by_grant) <= PLAIN:
        statement = MOVE_GRANTS.format(
            cases=" WHEN %s THEN %s" * len(by_grant),
            members=_many("%s", members),
            places=_many("%s", by_grant),
        )
        pairs = [value for pair in by_grant.items() for value in pair]
        return statement, [*pairs, moved, *members, *by_grant]
    statement = MOVE_MANY_GRANTS.format(members=_many("%s", members))
    return statement, [_json(list(by_grant.items())), moved, *members]


def adding_entries(entries: Sequence[tuple[str, Entry]], now: datetime, moved: int) -> Sent:
    """Return the statement that adds entries of members, those of each together, if `moved` rows moved before."""
    if len(entries) <= PLAIN:
        values: list[Any] = []
        for member_id, entry in entries:
            values += member_id, entry.grant_id, entry.kind, entry.amount, entry.order_id, moved
            values += entry.position, entry.reversed_entry_id, naive(now)
        return ADD_ENTRIES.format(rows=_many(_ENTRY, entries)), values
    together: list[Any] = []  # entries that follow each other and differ in their numbers alone
    for alike, group in groupby(entries, lambda one: (one[0], one[1].kind, one[1].order_id or "")):
        numbers = [(e.grant_id, e.amount, e.position, e.reversed_entry_id or 0) for _, e in group]
        together.append((*alike, numbers))
    return ADD_MANY_ENTRIES, [moved, naive(now), _json(together)]


def _many(one: str, of: "Sequence[Any] | Mapping[Any, Any]") -> str:
    return ", ".join([one] * len(of))


def _json(rows: Sequence[Any]) -> str:
    return msgspec.json.encode(rows).decode()
