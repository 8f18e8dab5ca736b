"""A session that is kept outlives its server's restart, and one that is silent is said to be."""

import pytest
from point_local.alone import mysqld, servers
from point_local.stack import sessions

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def _at(session: sessions.MySql | sessions.Valkey, port: int, login: dict[str, str]) -> None:
    """Have a session mean a server of this machine's loopback."""
    session.address, session.port, session._login = "localhost", port, login


def test_a_cache_that_was_started_anew_is_asked_once_more() -> None:
    with servers.redis() as server:
        session = sessions.Valkey("a", server.ca_file.read_text())
        _at(session, server.port, {"password": (server.credentials / "password").read_text()})
        assert session.call("PING") == "PONG"
        server.stop()
        with pytest.raises(sessions.SilentError, match="valkey-a"):
            session.call("PING")
        server.start()
        assert session.call("PING") == "PONG"
        kept = session._kept
        server.stop()
        server.start()
        assert session.call("PING") == "PONG"
        assert session._kept is not kept


def test_a_database_that_was_started_anew_is_asked_once_more() -> None:
    if (reason := mysqld.available("mysql")) is not None:
        pytest.skip(reason)
    with servers.database("mysql") as server:
        session = sessions.MySql("a", sessions.ssl.create_default_context(cafile=str(server.ca_file)))
        _at(
            session, server.port, {"username": "master", "password": (server.master / "password").read_text()}
        )
        assert session.value("SELECT 1") == 1
        server.stop()
        with pytest.raises(sessions.SilentError, match="mysql-a"):
            session.value("SELECT 1")
        server.start()
        assert session.value("SELECT 2") == 2
        server.stop()
        server.start()
        assert session.value("SELECT 3") == 3
