"""`point-service serve`: uvicorn in this process, and the drain that loses no request."""

import asyncio
import logging
import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress

import uvicorn
from litestar.types import ASGIApp

from point_service.admission import Admission
from point_service.http.app import create_app
from point_service.http.protocol import LimitedProtocol
from point_service.settings import SettingError, Settings

# Seconds. Longer than a gateway keeps an idle connection (Envoy: an hour), so that it is never the service that closes
# one just as a request comes.
KEEP_ALIVE = 2 * 3600
QUIET = 0.5  # seconds without a request at the end of the drain
LAST_MOMENT = 1  # second for what still runs after the drain
BACKLOG = 1024  # connections that wait to be taken

log = logging.getLogger(__name__)


class NotStartedError(Exception):
    """The application did not start; why is in the log."""


class Server(uvicorn.Server):
    """uvicorn as it serves the application to whom it lets in, its signals left to the drain."""

    def __init__(self, app: ASGIApp, admitting: Admission | None = None) -> None:
        class Protocol(LimitedProtocol):
            admission = admitting

        super().__init__(
            uvicorn.Config(
                app,
                http=Protocol,
                ws="none",
                lifespan="on",
                proxy_headers=False,
                server_header=False,
                access_log=False,
                reset_contextvars=True,
                log_config=None,
                log_level="warning",
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=LAST_MOMENT,
            )
        )

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was begun and return. Raises SettingError, NotStartedError."""
    asyncio.run(_serve(settings, _listen(settings.http_address, settings.http_port)))


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listener = socket.create_server((address, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise SettingError(
            f"POINT_HTTP_ADDRESS, POINT_HTTP_PORT: {error.strerror}; take an address of this machine and a free port"
        ) from None
    # Its connections inherit this. asyncio sets it only where it opened the listener itself; without it the second part
    # of an answer waits 40 ms for the client to acknowledge the first.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


async def _serve(settings: Settings, listener: socket.socket) -> None:
    app, bounded = create_app(settings)
    server = Server(app, Admission(settings.target_latency) if settings.target_latency else None)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.create_task(_until_stopped(server, listener))
    stopping = asyncio.create_task(stop.wait())
    log.info("serving", extra={"address": settings.http_address, "port": settings.http_port})
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        # Unready first, so that nobody sends more; then what is here ends; only then the port closes.
        bounded.draining = True
        log.info("draining")
        if not await bounded.drained(settings.drain_timeout, QUIET):
            log.warning("requests were still running at the end of the drain")
        server.should_exit = True
    stopping.cancel()
    await serving
    if not server.started:
        raise NotStartedError("the application did not start")
    log.info("stopped")


async def _until_stopped(server: Server, listener: socket.socket) -> None:
    # An application that does not start makes uvicorn leave the process, from within a task, or return as if it had.
    with suppress(SystemExit):
        await server.serve([listener])
