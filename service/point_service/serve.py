"""`point-service serve`: uvicorn in this process, and the drain that loses no request."""

import asyncio
import logging
import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from point_service.app import create_app
from point_service.settings import SettingError, Settings

# Seconds. Longer than a gateway keeps an idle connection (Envoy: an hour), so that it is never the service that closes
# one just as a request comes.
KEEP_ALIVE = 2 * 3600
LAST_MOMENT = 1  # second for what still runs after the drain
BACKLOG = 1024  # connections that wait to be taken
# Of a request line and its headers. A gateway lets less through (Envoy: 60 KiB, 100 headers); these are for who comes
# past it.
MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 128
HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)

log = logging.getLogger(__name__)


class _Protocol(HttpToolsProtocol):
    """Ends a connection whose request's head has no end: uvicorn alone would keep all of it."""

    _head: int | None = None  # bytes of a head that is not complete yet

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) == MAX_HEADERS:
            raise ValueError("too many headers")  # which is answered with 400
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head = None
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head is None or self.transport.is_closing():
            return
        self._head += len(data)
        if self._head > MAX_HEAD_BYTES:
            log.warning("request head too large")
            self.transport.write(HEAD_TOO_LARGE)
            self.transport.close()


class _Server(uvicorn.Server):
    """Leaves the signals to the drain."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was begun and return. Raises SettingError."""
    asyncio.run(_serve(settings, _listen(settings.http_address, settings.http_port)))


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise SettingError(
            f"POINT_HTTP_ADDRESS, POINT_HTTP_PORT: {error.strerror}; take an address of this machine and a free port"
        ) from None


async def _serve(settings: Settings, listener: socket.socket) -> None:
    app = create_app(settings)
    server = _Server(
        uvicorn.Config(
            app,
            http=_Protocol,
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
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.create_task(server.serve([listener]))
    stopping = asyncio.create_task(stop.wait())
    log.info("serving", extra={"address": settings.http_address, "port": settings.http_port})
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        # Unready first, so that nobody sends more; then what is here ends; only then the port closes.
        app.draining = True
        log.info("draining")
        if not await app.drained(settings.drain_timeout):
            log.warning("requests were still running at the end of the drain")
        server.should_exit = True
    stopping.cancel()
    await serving
    log.info("stopped")
