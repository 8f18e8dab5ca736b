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
TABLES = ("member_point", "point_ledger", "ledger_entry", "idempotency")
ONLINE = "ALGORITHM=INPLACE, LOCK=NONE"
FOREIGN_KEYS = {
    "point_ledger": {
        "point_ledger_member": "(member_id) REFERENCES member_point (member_id)",
        "point_ledger_source": "(member_id, source_grant_id) REFERENCES point_ledger (member_id, grant_id)",
    },
    "ledger_entry": {
        "ledger_entry_grant": "(member_id, grant_id) REFERENCES point_ledger (member_id, grant_id)",
    },
}


def upgrade() -> None:
    """Widen the columns. A try that ended in the middle is done again from the beginning."""
    if not getattr(op.get_bind().dialect, "is_mariadb", False):
        _widen()
        return
    # MariaDB changes no column of a foreign key, not even to a wider one: the keys are away for a moment, in which the
    # members' locks alone keep the books, as they do anyway. Without checks they come back without a copy.
    op.execute("SET SESSION foreign_key_checks = 0")
    try:
        for table, keys in FOREIGN_KEYS.items():
            dropped = ", ".join(f"DROP FOREIGN KEY IF EXISTS {key}" for key in keys)
            op.execute(f"ALTER TABLE {table} {dropped}, {ONLINE}")
        _widen()
        for table, keys in FOREIGN_KEYS.items():
            added = ", ".join(f"ADD CONSTRAINT {key} FOREIGN KEY {what}" for key, what in keys.items())
            op.execute(f"ALTER TABLE {table} {added}, {ONLINE}")
    finally:
        op.execute("SET SESSION foreign_key_checks = 1")


def _widen() -> None:
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} MODIFY {MEMBER_ID}, {ONLINE}")


def downgrade() -> None:
    """Refuse: an id that is cut is another member's."""
    raise NotImplementedError("members with longer ids may be there already")
