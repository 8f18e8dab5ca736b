"""`point-service serve`: granian in this process, and the drain that loses no request."""

import asyncio
import logging
import signal

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from point_service.app import create_app
from point_service.settings import Settings

log = logging.getLogger(__name__)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was begun and return."""
    asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    app = create_app(settings)
    server = Server(
        app,
        address=settings.http_address,
        port=settings.http_port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=1024,
        log_enabled=False,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    log.info("serving", extra={"address": settings.http_address, "port": settings.http_port})
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        # Unready first, so that nobody sends more; then what is here ends; only then the port closes.
        app.draining = True
        log.info("draining")
        if not await app.drained(settings.drain_timeout):
            log.warning("requests were still running at the end of the drain")
        server.stop()
    stopping.cancel()
    await serving
    log.info("stopped")
