"""The schema that a version needs."""

from alembic.config import Config
from alembic.script import ScriptDirectory
from point_service.mysql import migrate, revision


def test_the_schema_the_service_needs_is_the_newest_revision():
    config = Config()
    config.set_main_option("script_location", migrate.SCRIPTS)
    assert ScriptDirectory.from_config(config).get_current_head() == revision.HEAD


def test_a_later_schema_serves_and_an_older_or_missing_one_does_not():
    assert revision.serves(revision.HEAD)
    assert revision.serves("9999")
    assert not revision.serves("0000")
    assert not revision.serves(None)
