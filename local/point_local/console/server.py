"""`make console`: serves the page and one stream of states to each, until Ctrl-C."""

import asyncio
import secrets
import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from litestar import Litestar, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import ServerSentEvent
from litestar.types import ASGIApp

from point_local.console import acts
from point_local.console.guard import Guard
from point_local.console.looker import Desk, Looker
from point_local.console.watch import Watch
from point_local.machine.cluster import CONTROL
from point_local.programs.command import LocalError
from point_local.programs.progress import console

HOST = "127.0.0.1"
EVERY_SECONDS = 2.5
"""Between two looks; Prometheus asks every 5 s."""
HURRY_SECONDS = 1.0
"""Between two looks while a blow is under way."""
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
PAGE = {file.name: file for file in (Path(__file__).parent / "page").iterdir() if file.suffix in TYPES}


def run(port: int) -> None:
    """Serve on loopback's `port` (0: a free one) until Ctrl-C or SIGTERM. Raises LocalError."""
    if CONTROL.init() is None:
        raise LocalError("the local cluster does not run: `make up` starts it")
    listener = listen(port)
    token = secrets.token_urlsafe(32)
    desk = Desk()
    looker = Looker(desk)
    watch = Watch(
        looker.look, lambda: HURRY_SECONDS if desk.switches.busy() else EVERY_SECONDS, looker.forget
    )
    address = f"http://{HOST}:{listener.getsockname()[1]}/#{token}"
    console.print(f"The architecture, live: [bold]{address}[/]", highlight=False, soft_wrap=True)
    console.print("Only from this machine; the address lets in, so keep it. Ctrl-C ends it.", highlight=False)
    asyncio.run(serve(watch, desk, listener, token))


def listen(port: int) -> socket.socket:
    """Take a port of loopback. Raises LocalError when another has it."""
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise LocalError(f"port {port} of {HOST} can't be used: {error.strerror} (PORT=...)") from error


def application(watch: Watch, desk: Desk, port: int, token: str) -> ASGIApp:
    """The page's files, its stream and what it may do, guarded."""

    @get("/", sync_to_thread=False)
    def index() -> Response[bytes]:
        return _file("index.html")

    @get("/{name:str}", sync_to_thread=False)
    def file(name: FromPath[str]) -> Response[bytes]:
        return _file(name)

    @get("/states")
    async def states() -> ServerSentEvent:
        return ServerSentEvent(watch.follow(), event_type="state")

    app = Litestar(
        [index, file, states, acts.handler(desk, watch)],
        openapi_config=None,
        logging_config=None,
        request_max_body_size=acts.MOST_BYTES,
    )
    return Guard(app, port, token)


def _file(name: str) -> Response[bytes]:
    if name not in PAGE:
        raise NotFoundException
    return Response(PAGE[name].read_bytes(), media_type=f"{TYPES[PAGE[name].suffix]}; charset=utf-8")


async def serve(watch: Watch, desk: Desk, listener: socket.socket, token: str) -> None:
    """Serve until a signal, then let every page go, mend what is struck, and return."""
    server = _Server(application(watch, desk, listener.getsockname()[1], token))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.create_task(server.serve([listener]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    await watch.end()
    server.should_exit = True
    await serving
    if desk.switches.busy():
        console.print("What is struck is mended first …")
    await asyncio.to_thread(desk.switches.end)


class _Server(uvicorn.Server):
    """uvicorn without a log of requests, its signals left to `serve`."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,  # pyright: ignore[reportArgumentType]  # the same interface, by another's types
                lifespan="off",
                ws="none",
                proxy_headers=False,
                server_header=False,
                access_log=False,
                log_config=None,
                log_level="warning",
                timeout_graceful_shutdown=2,
            )
        )

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield
