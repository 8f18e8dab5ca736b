"""The host's own connections to the data tier: one a server, kept, verified by the tier's authority.

Each server has a port on its zone's machine, so no program is started to look and the API server isn't asked. Whoever
only looks waits `PATIENCE_SECONDS`; a server that doesn't answer by then is silent.
"""

import base64
import functools
import json
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pymysql
from pymysql.constants import ER
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from point_local.machine.cluster import WORKERS
from point_local.programs.command import LocalError, kubectl
from point_local.stack import credentials

PATIENCE_SECONDS = 2.0
NAMESPACE = "data"
MYSQL_PORT, VALKEY_PORT = 30330, 30630
"""On a zone's machine, plus the machine's index."""


class SilentError(LocalError):
    """A server did not answer in time, or refused; the text says which and how."""


class _Session:
    """One server, its address on its zone's machine, and who we are there. Calls wait for one another."""

    def __init__(self, server: str, zone: str, port: int, secret: str, namespace: str = NAMESPACE) -> None:
        node = next(n for n in WORKERS if n.name == f"az-{zone}")
        self.name = f"{server}-{zone}"
        self.address, self.port = node.address, port + node.index
        self._secret, self._namespace = secret, namespace
        self._login: Mapping[str, str] | None = None
        self._lock = threading.Lock()

    @property
    def login(self) -> Mapping[str, str]:
        """User name and password, read once; again when they were refused."""
        if self._login is None:
            self._login = secret(self._secret, self._namespace)
        return self._login

    def _silent(self, error: Exception, *, refused: bool) -> SilentError:
        if refused:
            self._login = None
        return SilentError(f"{self.name} ({self.address}:{self.port}): {error}")


class MySql(_Session):
    """A session, by default as the user `failover`, who may give the servers their roles and read how they are."""

    def __init__(
        self,
        zone: str,
        context: ssl.SSLContext | None = None,
        secret: str = "mysql-failover",  # noqa: S107 - its name
        namespace: str = NAMESPACE,
    ) -> None:
        super().__init__("mysql", zone, MYSQL_PORT, secret, namespace)
        self._context = context or _authority()
        self._kept: pymysql.Connection[Any] | None = None

    def value(self, statement: str) -> Any:
        """Ask one question; return the first column of its first row. Raises SilentError."""
        kept, asked = self._kept is not None, time.monotonic()
        try:
            ((value, *_), *_) = self.run(statement)
        except SilentError:
            if not _was_dead(kept, asked):
                raise
            ((value, *_), *_) = self.run(statement)
        return value

    def run(
        self, *statements: str, parameters: Sequence[object] = (), timeout: float = PATIENCE_SECONDS
    ) -> Sequence[tuple[Any, ...]]:
        """Run statements one by one, the parameters with the last; return the last one's rows.

        A `timeout` (seconds a statement) other than the usual one takes a connection of its own. Raises SilentError.
        """
        with self._lock:
            usual = timeout == PATIENCE_SECONDS
            connection, self._kept = (self._kept, None) if usual else (None, None)
            try:
                connection = connection or self._open(timeout)
                with connection.cursor() as cursor:
                    for statement in statements[:-1]:
                        cursor.execute(statement)
                    cursor.execute(statements[-1], parameters or None)
                    rows = cast("Sequence[tuple[Any, ...]]", cursor.fetchall())
            except (pymysql.MySQLError, OSError) as error:
                if connection is not None:
                    connection._force_close()  # pyright: ignore - a goodbye could hang
                refused = bool(error.args) and error.args[0] == ER.ACCESS_DENIED_ERROR
                raise self._silent(error, refused=refused) from error
            if usual:
                self._kept = connection
            else:
                connection.close()
            return rows

    def _open(self, timeout: float) -> "pymysql.Connection[Any]":
        return pymysql.connect(
            host=self.address,
            port=self.port,
            user=self.login["username"],
            password=self.login["password"],
            ssl=self._context,
            autocommit=True,
            connect_timeout=int(PATIENCE_SECONDS),
            read_timeout=timeout,  # pyright: ignore[reportArgumentType]  # any number of seconds will do
            write_timeout=timeout,  # pyright: ignore[reportArgumentType]
        )


class Valkey(_Session):
    """A session with one server of the cache."""

    def __init__(self, zone: str, ca: str | None = None) -> None:
        super().__init__("valkey", zone, VALKEY_PORT, "valkey-auth")
        self._ca = ca or credentials.data_authority().pem
        self._kept: Redis | None = None

    def call(self, *command: str) -> Any:
        """Run a command and return its answer as the server gives it. Raises SilentError."""
        with self._lock:
            kept, asked = self._kept is not None, time.monotonic()
            try:
                return self._call(*command)
            except SilentError:
                if not _was_dead(kept, asked):
                    raise
                return self._call(*command)

    def _call(self, *command: str) -> Any:
        try:
            self._kept = self._kept or self._open()
            return self._kept.execute_command(*command)
        except (RedisError, OSError) as error:
            if self._kept is not None:
                self._kept.close()
                self._kept = None
            raise self._silent(error, refused=isinstance(error, AuthenticationError)) from error

    def _open(self) -> Redis:
        client = Redis(
            host=self.address,
            port=self.port,
            password=self.login["password"],
            ssl=True,
            ssl_ca_data=self._ca,
            ssl_check_hostname=True,
            socket_timeout=PATIENCE_SECONDS,
            socket_connect_timeout=PATIENCE_SECONDS,
            retry=Retry(NoBackoff(), 0),
            single_connection_client=True,
            decode_responses=True,
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )
        client.response_callbacks.clear()  # answers as they are
        return client


def _was_dead(kept: bool, asked: float) -> bool:
    """Whether a kept connection failed at once: its server was started anew meanwhile, and is asked once more."""
    return kept and time.monotonic() - asked < PATIENCE_SECONDS / 4


@functools.cache
def mysql(zone: str) -> MySql:
    """This process's session with a zone's database."""
    return MySql(zone)


@functools.cache
def reader(zone: str) -> MySql:
    """This process's session with a zone's database as the service's own user, who may read the points."""
    return MySql(zone, None, "points-db", "points")


@functools.cache
def valkey(zone: str) -> Valkey:
    """This process's session with a zone's cache."""
    return Valkey(zone)


def forget() -> None:
    """Know no server any more: the stack is gone, and the next one has other passwords."""
    for known in (mysql, reader, valkey):
        known.cache_clear()


def secret(name: str, namespace: str = NAMESPACE) -> Mapping[str, str]:
    """A Secret, of the data tier by default, decoded. Raises LocalError."""
    found = json.loads(kubectl("get", "secret", name, "-n", namespace, "-o", "json", timeout=10))
    return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}


def _authority() -> ssl.SSLContext:
    return ssl.create_default_context(cadata=credentials.data_authority().pem)
