"""The ledger: members, grants, entries, and the answers by idempotency key.

The constraints make the invariants the database's own: a balance never below zero, a grant never below zero
nor above what was granted, an entry's member the member of its grant, an amount's sign that of its kind, one
use per member and order, and entries that nobody changes.
"""

import logging

from alembic import op
from sqlalchemy.exc import OperationalError

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

log = logging.getLogger("point_service.mysql.migrations")

BINLOG_NEEDS_SUPER = 1419

ID = "CHARACTER SET ascii COLLATE ascii_bin"

TABLES = (
    # One row a member: the balance, and the lock that serializes the member.
    f"""
    CREATE TABLE IF NOT EXISTS member_point (
        member_id VARCHAR(128) {ID} NOT NULL,
        balance BIGINT NOT NULL,
        version BIGINT UNSIGNED NOT NULL,
        created_at DATETIME(6) NOT NULL,
        updated_at DATETIME(6) NOT NULL,
        PRIMARY KEY (member_id),
        CONSTRAINT member_point_balance_not_negative CHECK (balance >= 0)
    ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
    """,
    # One row a grant. `live` is 1 while points are left, so the indexes hold only what can still be spent.
    f"""
    CREATE TABLE IF NOT EXISTS point_ledger (
        grant_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
        member_id VARCHAR(128) {ID} NOT NULL,
        kind VARCHAR(8) {ID} NOT NULL,
        amount BIGINT NOT NULL,
        remaining BIGINT NOT NULL,
        expires_at DATETIME(6) NOT NULL,
        source_grant_id BIGINT UNSIGNED NULL,
        reason VARCHAR(200) NULL,
        created_at DATETIME(6) NOT NULL,
        live TINYINT GENERATED ALWAYS AS (CASE WHEN remaining > 0 THEN 1 END) STORED,
        PRIMARY KEY (grant_id),
        UNIQUE KEY point_ledger_member_grant (member_id, grant_id),
        KEY point_ledger_member_live (member_id, live, expires_at),
        KEY point_ledger_due (live, expires_at),
        KEY point_ledger_source (member_id, source_grant_id),
        CONSTRAINT point_ledger_member FOREIGN KEY (member_id) REFERENCES member_point (member_id),
        CONSTRAINT point_ledger_source FOREIGN KEY (member_id, source_grant_id)
            REFERENCES point_ledger (member_id, grant_id),
        CONSTRAINT point_ledger_kind_known CHECK (kind IN ('NORMAL', 'MANUAL')),
        CONSTRAINT point_ledger_amount_positive CHECK (amount > 0),
        CONSTRAINT point_ledger_remaining_within CHECK (remaining >= 0 AND remaining <= amount)
    ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
    """,
    # One row a signed movement, only ever added. Only the first USE entry of an order fills `used_order_id`.
    f"""
    CREATE TABLE IF NOT EXISTS ledger_entry (
        entry_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
        member_id VARCHAR(128) {ID} NOT NULL,
        grant_id BIGINT UNSIGNED NOT NULL,
        kind VARCHAR(12) {ID} NOT NULL,
        amount BIGINT NOT NULL,
        order_id VARCHAR(64) {ID} NULL,
        position INT UNSIGNED NOT NULL,
        reversed_entry_id BIGINT UNSIGNED NULL,
        created_at DATETIME(6) NOT NULL,
        used_order_id VARCHAR(64) {ID}
            GENERATED ALWAYS AS (CASE WHEN kind = 'USE' AND position = 0 THEN order_id END) STORED,
        PRIMARY KEY (entry_id),
        UNIQUE KEY ledger_entry_one_use_per_order (member_id, used_order_id),
        KEY ledger_entry_member (member_id, entry_id),
        KEY ledger_entry_order (member_id, order_id),
        KEY ledger_entry_grant (member_id, grant_id),
        KEY ledger_entry_reversed (reversed_entry_id),
        CONSTRAINT ledger_entry_grant FOREIGN KEY (member_id, grant_id)
            REFERENCES point_ledger (member_id, grant_id),
        CONSTRAINT ledger_entry_reversed FOREIGN KEY (reversed_entry_id) REFERENCES ledger_entry (entry_id),
        CONSTRAINT ledger_entry_sign CHECK (
            (kind IN ('EARN', 'CANCEL_USE') AND amount > 0)
            OR (kind IN ('CANCEL_EARN', 'USE', 'EXPIRE') AND amount < 0)
        ),
        CONSTRAINT ledger_entry_order_named CHECK (
            (kind IN ('USE', 'CANCEL_USE') AND order_id IS NOT NULL)
            OR (kind NOT IN ('USE', 'CANCEL_USE') AND order_id IS NULL)
        )
    ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
    """,
    # No foreign key: rows are deleted after their retention, and a delete should lock nothing else.
    f"""
    CREATE TABLE IF NOT EXISTS idempotency (
        member_id VARCHAR(128) {ID} NOT NULL,
        caller VARCHAR(160) {ID} NOT NULL,
        idempotency_key VARCHAR(255) {ID} NOT NULL,
        request_hash BINARY(32) NOT NULL,
        status SMALLINT UNSIGNED NOT NULL,
        body MEDIUMTEXT NOT NULL,
        created_at DATETIME(6) NOT NULL,
        PRIMARY KEY (member_id, caller, idempotency_key),
        KEY idempotency_created (created_at)
    ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
    """,
)


def upgrade() -> None:
    """Create the tables, and make entries append-only by trigger where the server lets us."""
    for table in TABLES:
        op.execute(table)
    for event in ("UPDATE", "DELETE"):
        name = f"ledger_entry_no_{event.lower()}"
        try:
            op.execute(f"DROP TRIGGER IF EXISTS {name}")
            op.execute(
                f"CREATE TRIGGER {name} BEFORE {event} ON ledger_entry FOR EACH ROW"
                " SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'ledger_entry is append-only'"
            )
        except OperationalError as error:
            # With the binary log on, a master without SUPER may not create triggers. The application user
            # has no UPDATE or DELETE on the table anyway; the trigger only stops everybody else.
            if error.orig is None or error.orig.args[0] != BINLOG_NEEDS_SUPER:
                raise
            log.warning("this server allows no triggers: ledger_entry is append-only by grant alone")


def downgrade() -> None:
    """Refuse: nothing here may drop a ledger."""
    raise NotImplementedError("the first revision is never taken back")
