"""Indexes for members with very many grants: live ones in the order in which they are spent, and sums of what is due.

The second one is the index on (member_id, live, expires_at) with what is left of each grant, and takes its place.
"""

from alembic import op
from sqlalchemy import text

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KEYS = text(
    "SELECT index_name FROM information_schema.statistics"
    " WHERE table_schema = DATABASE() AND table_name = 'point_ledger'"
)


def upgrade() -> None:
    """Change the indexes in one statement, online; a migration that ended after it goes on."""
    if "point_ledger_spending" in set(op.get_bind().execute(KEYS).scalars()):
        return
    op.execute(
        "ALTER TABLE point_ledger"
        " ADD KEY point_ledger_spending (member_id, live, kind, expires_at),"
        " ADD KEY point_ledger_member_due (member_id, live, expires_at, remaining),"
        " DROP KEY point_ledger_member_live, ALGORITHM=INPLACE, LOCK=NONE"
    )


def downgrade() -> None:
    """Refuse: the version before works with these indexes as well."""
    raise NotImplementedError("a revision is never taken back")
