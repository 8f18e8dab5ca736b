"""Who hears a signal, and what it ends."""

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from harness import webhook
from point_operator.kube import connection
from point_operator.kube.apply import Applier
from point_operator.kube.cluster import Cluster
from point_operator.model import kinds
from point_operator.observe.fleet import Fleet
from point_operator.process import watches
from point_operator.process.handlers import Handlers
from point_operator.process.queue import Queue
from point_operator.process.running import DRAIN_SECONDS, Operator, before, on_signals
from point_operator.settings import Settings


async def _never(_: tuple[str, str]) -> None:
    raise AssertionError


@pytest.mark.integration
async def test_signals_are_ours_while_kopf_runs_and_it_ends_when_told(
    account: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stop = asyncio.Event()
    on_signals(stop)
    try:
        async with await connection.connect(str(account)) as client:
            handlers = Handlers(Fleet([]), Applier(Cluster(client)), Queue(_never, 1))
            watching = asyncio.create_task(watches.watch(handlers, client, str(account)))
            async with asyncio.timeout(10):
                while "signals are ignored" not in caplog.text:  # noqa: ASYNC110 - said in another thread
                    await asyncio.sleep(0.01)
                os.kill(os.getpid(), signal.SIGTERM)
                await stop.wait()
            assert not watching.done()
            watching.cancel()
            with pytest.raises(asyncio.CancelledError):
                await watching
        for kopf in [one for one in threading.enumerate() if one.name == "kopf"]:
            await asyncio.to_thread(kopf.join, 10)
            assert not kopf.is_alive()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(number)


async def test_what_is_waited_for_ends_when_stop_comes_first() -> None:
    stop, ended = asyncio.Event(), asyncio.Event()

    async def for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    asyncio.get_running_loop().call_soon(stop.set)
    assert not await before(stop, for_ever())
    await asyncio.wait_for(ended.wait(), 2)


@pytest.mark.integration
async def test_nothing_is_being_written_any_more_when_it_has_ended(
    make_tenant: Any, operator: Any, account: Path, kube: Any
) -> None:
    tenant = make_tenant()
    operator.stop()  # this one works in its place
    try:
        with webhook.slow(kube, kinds.SERVICE, tenant.namespace, DRAIN_SECONDS + 5) as asked:
            async with await connection.connect(str(account)) as client:
                ours = Operator(client, Settings(), str(account))
                stop = asyncio.Event()
                running = asyncio.create_task(ours.run(stop))
                tenant.create()
                assert await asyncio.to_thread(asked.wait, 15)
                stop.set()
                await running
                at_work = [task for task in asyncio.all_tasks() if "Queue._work" in repr(task)]
                await ours.close()
        assert at_work == []
    finally:
        operator.start()
