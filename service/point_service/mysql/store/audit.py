"""What `verify` reads: each question for some members at a time, each answer from one snapshot."""

from collections.abc import Sequence

from asyncmy.connection import Connection

from point_service.mysql.store.execution import Row, run

MEMBERS = (
    "SELECT m.member_id, m.balance,"
    " (SELECT COALESCE(SUM(e.amount), 0) FROM ledger_entry e WHERE e.member_id = m.member_id),"
    " (SELECT COALESCE(SUM(g.remaining), 0) FROM point_ledger g WHERE g.member_id = m.member_id)"
    " FROM member_point m WHERE m.member_id > %s ORDER BY m.member_id LIMIT %s"
)
GRANTS = (
    "SELECT g.grant_id, g.member_id, g.amount, g.remaining,"
    " (SELECT COALESCE(SUM(e.amount), 0) FROM ledger_entry e"
    "  WHERE e.member_id = g.member_id AND e.grant_id = g.grant_id),"
    " (SELECT COALESCE(SUM(e.amount), 0) FROM ledger_entry e WHERE e.member_id = g.member_id"
    "  AND e.grant_id = g.grant_id AND (e.kind = 'EARN' OR (e.kind = 'CANCEL_USE' AND e.entry_id ="
    "  (SELECT MIN(f.entry_id) FROM ledger_entry f WHERE f.member_id = g.member_id AND f.grant_id = g.grant_id)))),"
    " (SELECT COUNT(*) FROM ledger_entry e WHERE e.member_id = g.member_id AND e.grant_id = g.grant_id"
    "  AND e.kind = 'EXPIRE' AND e.created_at < g.expires_at)"
    " FROM point_ledger g WHERE g.grant_id > %s ORDER BY g.grant_id LIMIT %s"
)
# Few entries reverse another: the optimizer, which counts all the others as one value, would rather read the
# whole table for each use.
REVERSING = "FROM ledger_entry c FORCE INDEX (ledger_entry_reversed) WHERE c.reversed_entry_id = u.entry_id"
USES = (
    "SELECT u.entry_id, u.member_id, u.order_id, -u.amount,"  # noqa: S608 - constants
    f" (SELECT COALESCE(SUM(c.amount), 0) {REVERSING}),"
    f" (SELECT COUNT(*) {REVERSING}"
    "  AND (c.kind <> 'CANCEL_USE' OR c.order_id <> u.order_id OR c.member_id <> u.member_id))"
    " FROM ledger_entry u WHERE u.entry_id > %s AND u.kind = 'USE' ORDER BY u.entry_id LIMIT %s"
)
# What is archived is there whole, and no longer among what is live.
ARCHIVED_GRANTS = GRANTS.replace("ledger_entry", "archived_entry").replace(
    " FROM point_ledger g",
    ", (SELECT COUNT(*) FROM point_ledger p WHERE p.member_id = g.member_id AND p.grant_id = g.grant_id),"
    " (SELECT COUNT(*) FROM archived_entry e WHERE e.member_id = g.member_id AND e.grant_id = g.grant_id"
    "  AND EXISTS (SELECT 1 FROM ledger_entry l WHERE l.member_id = e.member_id AND l.entry_id = e.entry_id)),"
    " (SELECT COUNT(*) FROM archived_entry e WHERE e.grant_id = g.grant_id AND (e.member_id <> g.member_id"
    "  OR (e.kind = 'CANCEL_USE' AND NOT EXISTS (SELECT 1 FROM archived_entry u WHERE u.member_id = e.member_id"
    "  AND u.entry_id = e.reversed_entry_id AND u.order_id = e.order_id AND u.kind = 'USE'))))"
    " FROM archived_grant g",
)
ARCHIVED_USES = (
    "SELECT u.entry_id, u.member_id, u.order_id, -u.amount,"
    " (SELECT COALESCE(SUM(c.amount), 0) FROM archived_entry c FORCE INDEX (archived_entry_order)"
    "  WHERE c.member_id = u.member_id AND c.order_id = u.order_id AND c.reversed_entry_id = u.entry_id), 0"
    " FROM archived_entry u WHERE u.entry_id > %s AND u.kind = 'USE' ORDER BY u.entry_id LIMIT %s"
)
# How many members there are is an estimate of the server's; ids begin at 1.
ENDS = (
    "SELECT (SELECT table_rows FROM information_schema.tables WHERE table_schema = DATABASE()"
    " AND table_name = 'member_point'), (SELECT MAX(grant_id) FROM point_ledger),"
    " (SELECT MAX(entry_id) FROM ledger_entry), (SELECT MAX(grant_id) FROM archived_grant),"
    " (SELECT MAX(entry_id) FROM archived_entry)"
)
PARTS = ("members", "grants", "uses", "archived-grants", "archived-uses")


async def page(connection: Connection, question: str, after: str | int, limit: int) -> Sequence[Row]:
    """Return up to `limit` rows of a question whose key is above `after`."""
    [result] = await run(connection, [question], [after, limit], patience=None)
    return result.rows


async def ends(connection: Connection) -> dict[str, int]:
    """Return about how many members there are, and the last ids of grants and entries, live and archived, by part; 0
    where there is none."""
    [result] = await run(connection, [ENDS], [], patience=None)
    return dict(zip(PARTS, (int(end or 0) for end in result.rows[0]), strict=True))
