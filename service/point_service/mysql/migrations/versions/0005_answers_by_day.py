"""A table of answers by day, beside the one by member; pods go on with that one until `migrate.py` closes it.

The mark tells which version wrote an answer: the one before knows no mark.
"""

from alembic import op
from sqlalchemy import text

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = "CHARACTER SET ascii COLLATE ascii_bin"

# A day's rows lie together and go together. The most days that are looked up are 32 (30 days' retention, today, and
# tomorrow, since a clock may be set back), so that of 34 two are never asked for: one of them is emptied at leisure.
ANSWERS = f"""
    CREATE TABLE IF NOT EXISTS stored_answer (
        day DATE NOT NULL,
        digest BINARY(16) NOT NULL,
        member_id VARCHAR(255) {ID} NOT NULL,
        request_hash BINARY(32) NOT NULL,
        status SMALLINT UNSIGNED NOT NULL,
        body MEDIUMTEXT NOT NULL,
        PRIMARY KEY (day, digest)
    ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
    PARTITION BY HASH (TO_DAYS(day)) PARTITIONS 34
    """
COLUMNS = text(
    "SELECT column_name FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND table_name = 'idempotency'"
)


def upgrade() -> None:
    """Make the table and the mark, in the dictionary alone; a migration that ended in the middle goes on."""
    op.execute(ANSWERS)
    columns = set(op.get_bind().execute(COLUMNS).scalars())
    if columns and "mark" not in columns:  # none: it is closed
        op.execute("ALTER TABLE idempotency ADD COLUMN mark TINYINT UNSIGNED NULL, ALGORITHM=INSTANT")


def downgrade() -> None:
    """Refuse: the version before works with these as well."""
    raise NotImplementedError("a revision is never taken back")
