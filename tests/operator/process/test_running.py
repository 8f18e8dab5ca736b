"""Who hears a signal, and what it ends."""

import asyncio
import os
import signal

from point_operator.process.running import before, on_signals, signals_kept


async def test_whoever_takes_the_signals_meanwhile_does_not_get_them() -> None:
    stop, taken = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    on_signals(stop)
    try:
        with signals_kept():
            loop.add_signal_handler(signal.SIGTERM, taken.set)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(stop.wait(), 2)
        assert not taken.is_set()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


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
