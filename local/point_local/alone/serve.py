"""`make serve`: the point service alone, on a throw-away database and Redis of this machine."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from types import FrameType

from rich.markup import escape

from point_local.alone import mysqld, servers
from point_local.alone.servers import HOST, DatabaseServer, RedisServer
from point_local.build import packages
from point_local.programs.command import LocalError
from point_local.programs.progress import console

READY_DEADLINE = 30.0  # seconds

HOW_TO_CALL = """
The point service answers on [bold]{url}[/bold] (on {database}; its data goes when it stops). For example:

  curl {url}/v1/points/earn -H 'X-Member-Id: m-1' -H 'X-Member-Role: service' \\
       -H 'Idempotency-Key: earn-1' --json '{{"amount": 1000}}'
  curl {url}/v1/points/use -H 'X-Member-Id: m-1' \\
       -H 'Idempotency-Key: use-1' --json '{{"order_id": "o-1", "amount": 300}}'
  curl {url}/v1/points -H 'X-Member-Id: m-1'
  curl {url}/v1/points/orders/o-1 -H 'X-Member-Id: m-1'

In the cluster only the gateway may set these headers, from a verified token. The API: docs/api.md.
Ctrl-C stops everything.
"""


def run(port: int) -> None:
    """Run the service on loopback's `port` until Ctrl-C or SIGTERM; everything it started then stops.

    Raises LocalError when the port is taken or something doesn't start.
    """
    _check_free(port)
    packages.ensure(packages.SERVE)
    flavour: mysqld.Flavour = "mysql" if mysqld.available("mysql") is None else "mariadb"
    stop = threading.Event()

    def stopping(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    before = {number: signal.signal(number, stopping) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        console.print(f"  starting {flavour}, Redis and the service ...", highlight=False)
        with servers.database(flavour) as database, servers.redis() as redis:
            variables = environment(database, redis) | {
                "POINT_HTTP_ADDRESS": HOST,
                "POINT_HTTP_PORT": str(port),
                "POINT_LOG_LEVEL": "WARNING",
            }
            migrate(variables)
            _serve(variables, f"http://{HOST}:{port}", flavour, stop)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def environment(database: DatabaseServer, redis: RedisServer | None) -> dict[str, str]:
    """Return the service's variables for servers of this machine."""
    variables = {
        "POINT_DATABASE_HOST": HOST,
        "POINT_DATABASE_PORT": str(database.port),
        "POINT_DATABASE_NAME": database.schema,
        "POINT_DATABASE_CREDENTIALS_DIR": str(database.application),
        "POINT_DATABASE_MIGRATION_CREDENTIALS_DIR": str(database.master),
        "POINT_DATABASE_CA_FILE": str(database.ca_file),
    }
    if redis is not None:
        variables |= {
            "POINT_CACHE_HOST": HOST,
            "POINT_CACHE_PORT": str(redis.port),
            "POINT_CACHE_CLUSTER_MODE": str(redis.cluster).lower(),
            "POINT_CACHE_CREDENTIALS_DIR": str(redis.credentials),
            "POINT_CACHE_CA_FILE": str(redis.ca_file),
        }
    return variables


def migrate(variables: Mapping[str, str]) -> None:
    """Bring the database up to date. Raises LocalError."""
    done = subprocess.run(
        [sys.executable, "-m", "point_service", "migrate"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode != 0:
        raise LocalError(f"the migration failed:\n{(done.stderr or done.stdout).strip()}")


def _serve(variables: Mapping[str, str], url: str, flavour: str, stop: threading.Event) -> None:
    # In a session of its own: a Ctrl-C in the terminal then reaches it only through us, after its own order.
    service = subprocess.Popen(
        [sys.executable, "-m", "point_service", "serve"],
        env={**os.environ, **variables},
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + READY_DEADLINE
        while not _ready(url):
            if service.poll() is not None:
                raise LocalError(f"the service ended with status {service.returncode}")
            if time.monotonic() > deadline:
                raise LocalError(f"the service was not ready within {READY_DEADLINE:.0f} s")
            if stop.wait(0.05):
                return
        console.print(HOW_TO_CALL.format(url=escape(url), database=flavour), highlight=False, soft_wrap=True)
        while not stop.wait(0.5):
            if service.poll() is not None:
                raise LocalError(f"the service ended with status {service.returncode}")
    finally:
        service.terminate()
        try:
            service.wait(30)
        except subprocess.TimeoutExpired:
            service.kill()
            service.wait()


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:  # noqa: S310 - http, loopback
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _check_free(port: int) -> None:
    """Raise LocalError when something listens: the server would share the port instead of refusing."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise LocalError(f"port {port} of {HOST} can't be used: {error.strerror}") from error
