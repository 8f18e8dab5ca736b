"""Members as issuers call them: ids of up to 255 characters.

In place: a column whose length still fits in one byte changes in the dictionary alone, and nobody waits for a copy.
`idempotency.caller` stays as it is (`Caller.scope`).
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MEMBER_ID = "member_id VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL"
TABLES = ("member_point", "point_ledger", "ledger_entry", "idempotency")  # whom a key refers to first


def upgrade() -> None:
    """Widen the columns."""
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} MODIFY {MEMBER_ID}, ALGORITHM=INPLACE, LOCK=NONE")


def downgrade() -> None:
    """Refuse: an id that is cut is another member's."""
    raise NotImplementedError("members with longer ids may be there already")
