"""The operator's own endpoints: /healthz (the loop is alive) and /metrics."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

LONGEST_SILENCE = 30.0
"""Seconds without a sign of life after which the process should be restarted."""


class Health:
    """Whether the process does its work. A standby is healthy as long as its loop turns."""

    def __init__(self) -> None:
        self._checks: list[Callable[[], str]] = []

    def require(self, check: Callable[[], str]) -> None:
        """Add a check; it returns what is wrong, or nothing."""
        self._checks.append(check)

    def problems(self) -> list[str]:
        """Return what is wrong."""
        return [problem for check in self._checks if (problem := check())]


def beating(what: str, beat: Callable[[], float]) -> Callable[[], str]:
    """Make a check that `beat()`, a loop time, is not older than LONGEST_SILENCE."""

    def check() -> str:
        silent = asyncio.get_running_loop().time() - beat()
        return f"{what} silent for {silent:.0f} s" if silent > LONGEST_SILENCE else ""

    return check


@asynccontextmanager
async def serve(health: Health, port: int) -> AsyncGenerator[None]:
    """Serve the endpoints on every address until the block ends."""

    async def healthz(_: web.Request) -> web.Response:
        problems = health.problems()
        return web.Response(text="; ".join(problems) or "ok", status=503 if problems else 200)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application()
    application.add_routes([web.get("/healthz", healthz), web.get("/metrics", metrics)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", port).start()  # noqa: S104 - kubelet, Prometheus
    try:
        yield
    finally:
        await runner.cleanup()
