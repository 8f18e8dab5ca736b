"""What has moved points under a reference: once for a member, a source and a reference, for ever.

The version before knows no reference, and refuses a request that has one.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = "CHARACTER SET ascii COLLATE ascii_bin"

# A row for each movement that has a reference, which nobody changes or takes away: the answer is given again for ever.
REFERENCES = f"""
    CREATE TABLE IF NOT EXISTS movement_reference (
        member_id VARCHAR(255) {ID} NOT NULL,
        source VARCHAR(255) {ID} NOT NULL,
        reference VARCHAR(64) {ID} NOT NULL,
        operation VARCHAR(64) {ID} NOT NULL,
        amount BIGINT NOT NULL,
        request_hash BINARY(32) NOT NULL,
        status SMALLINT UNSIGNED NOT NULL,
        body MEDIUMTEXT NOT NULL,
        created_at DATETIME(6) NOT NULL,
        PRIMARY KEY (member_id, source, reference)
    ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
    """


def upgrade() -> None:
    """Make the table; a migration that ended after it goes on."""
    op.execute(REFERENCES)


def downgrade() -> None:
    """Refuse: what has moved points once would move them again."""
    raise NotImplementedError("a revision is never taken back")
