"""How many of a member's own refusals were kept, and on which day.

The version before names neither column and leaves them as they are.
"""

from alembic import op
from sqlalchemy import text

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

COLUMNS = text(
    "SELECT column_name FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND table_name = 'member_point'"
)


def upgrade() -> None:
    """Add the columns in the dictionary alone; a migration that ended after it goes on."""
    if "refused_on" in set(op.get_bind().execute(COLUMNS).scalars()):
        return
    op.execute(
        "ALTER TABLE member_point ADD COLUMN refused_on DATE NULL,"
        " ADD COLUMN refusals SMALLINT UNSIGNED NOT NULL DEFAULT 0, ALGORITHM=INSTANT"
    )


def downgrade() -> None:
    """Refuse: the version before works with these columns as well."""
    raise NotImplementedError("a revision is never taken back")
