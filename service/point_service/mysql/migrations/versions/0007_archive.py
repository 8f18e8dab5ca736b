"""Where old history goes: closed grants and their entries, in tables that nobody writes but `point-service archive`.

The constraints and triggers keep what the database kept before: a grant leaves when it is closed, an entry when the
archive has it, and an order in the archive is not used anew, not by the version before either, which looks in the
live tables alone.
"""

import logging

from alembic import op
from sqlalchemy.exc import OperationalError

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

log = logging.getLogger("point_service.mysql.migrations")

BINLOG_NEEDS_SUPER = 1419

ID = "CHARACTER SET ascii COLLATE ascii_bin"

TABLES = (
    # Nobody spends from these: no index but the key, by which an entry's grant is found.
    f"""
    CREATE TABLE IF NOT EXISTS archived_grant (
        grant_id BIGINT UNSIGNED NOT NULL,
        member_id VARCHAR(255) {ID} NOT NULL,
        kind VARCHAR(8) {ID} NOT NULL,
        amount BIGINT NOT NULL,
        remaining BIGINT NOT NULL,
        expires_at DATETIME(6) NOT NULL,
        source_grant_id BIGINT UNSIGNED NULL,
        reason VARCHAR(200) NULL,
        created_at DATETIME(6) NOT NULL,
        PRIMARY KEY (grant_id),
        CONSTRAINT archived_grant_closed CHECK (remaining = 0)
    ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
    """,
    # By order, and within it by what was given back: an order's trace. By grant: what else became of its points.
    f"""
    CREATE TABLE IF NOT EXISTS archived_entry (
        entry_id BIGINT UNSIGNED NOT NULL,
        member_id VARCHAR(255) {ID} NOT NULL,
        grant_id BIGINT UNSIGNED NOT NULL,
        kind VARCHAR(12) {ID} NOT NULL,
        amount BIGINT NOT NULL,
        order_id VARCHAR(64) {ID} NULL,
        position INT UNSIGNED NOT NULL,
        reversed_entry_id BIGINT UNSIGNED NULL,
        created_at DATETIME(6) NOT NULL,
        PRIMARY KEY (entry_id),
        KEY archived_entry_order (member_id, order_id, reversed_entry_id),
        KEY archived_entry_grant (grant_id),
        CONSTRAINT archived_entry_grant FOREIGN KEY (grant_id) REFERENCES archived_grant (grant_id)
    ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
    """,
)
TRIGGERS = {
    "ledger_entry_leaves_archived": "BEFORE DELETE ON ledger_entry FOR EACH ROW"
    " IF NOT EXISTS (SELECT 1 FROM archived_entry a WHERE a.entry_id = OLD.entry_id AND a.member_id = OLD.member_id"
    " AND a.grant_id = OLD.grant_id AND a.amount = OLD.amount) THEN"
    " SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'ledger_entry is append-only'; END IF",
    "ledger_entry_order_is_new": "BEFORE INSERT ON ledger_entry FOR EACH ROW"
    " IF NEW.kind = 'USE' AND NEW.position = 0 AND EXISTS (SELECT 1 FROM archived_entry a"
    " WHERE a.member_id = NEW.member_id AND a.order_id = NEW.order_id AND a.kind = 'USE') THEN"
    " SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the order is in the archive'; END IF",
}
OLD_TRIGGER = "ledger_entry_no_delete"


def upgrade() -> None:
    """Make the tables, then the triggers where the server lets us; a try that ended in the middle is done again."""
    for table in TABLES:
        op.execute(table)
    try:
        for name, does in TRIGGERS.items():
            op.execute(f"DROP TRIGGER IF EXISTS {name}")
            op.execute(f"CREATE TRIGGER {name} {does}")
        op.execute(f"DROP TRIGGER IF EXISTS {OLD_TRIGGER}")  # last: there is no moment without either
    except OperationalError as error:  # as in 0001
        if error.orig is None or error.orig.args[0] != BINLOG_NEEDS_SUPER:
            raise
        log.warning("this server allows no triggers: what the archive has is kept apart by the service alone")


def downgrade() -> None:
    """Refuse: nothing here may drop history."""
    raise NotImplementedError("a revision is never taken back")
