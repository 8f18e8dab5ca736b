"""A reader that is away or hangs: reads that tolerate lag go to the writer."""

import time

import msgspec
import pytest
from point_local.alone import ports, servers
from point_service.ledger.views import Views
from point_service.mysql.database import READER_LIMIT, Reader
from point_service.mysql.pool import Pool, opener
from point_service.telemetry import metrics

pytestmark = pytest.mark.integration

HANGS = 600.0  # seconds that each packet is late


def missed():
    return metrics.READER_UNAVAILABLE._value.get()


@pytest.fixture
async def reader(proxy, database_server):
    """An address of the reader."""
    async with proxy(database_server.port) as reader:
        yield reader


@pytest.fixture
async def views(settings, points, reader):
    """Views of a writer and a reader; the writer's is the usual address."""
    at = msgspec.structs.replace(settings.database, port=reader.port)
    pool = Pool(opener(at, servers.HOST), 4, READER_LIMIT / 2, 300)
    yield Views(points.database, Reader(pool), settings.policy)
    await pool.close()


async def looked(views, member):
    """Read the history; return how long it took, seconds."""
    started = time.monotonic()
    assert [entry.amount for entry in (await views.history(member.member_id, 2**62, 10)).entries] == [5]
    return time.monotonic() - started


async def asked_the_reader(views, member):
    """Read until the reader has answered: on a busy machine it may take more than its half second at first."""
    deadline = time.monotonic() + 20
    before = -1.0
    while missed() != before:
        assert time.monotonic() < deadline
        before = missed()
        await looked(views, member)


@pytest.mark.parametrize("established", [False, True])
async def test_a_silent_reader_costs_a_read_half_a_second_and_then_nothing(
    views, member, reader, established
):
    await member.earn(5)
    if established:
        await asked_the_reader(views, member)
    reader.delay = HANGS
    for _ in range(3):  # far below a request's 4.5 s, on a busy machine too
        assert READER_LIMIT <= await looked(views, member) < READER_LIMIT + 2
    assert min([await looked(views, member) for _ in range(3)]) < READER_LIMIT / 2


async def test_a_reader_that_is_back_is_asked_again(views, member, reader, database_server):
    await member.earn(5)
    reader.target = ports.free_port()
    for _ in range(4):
        await looked(views, member)
    reader.target = database_server.port
    await asked_the_reader(views, member)


async def test_a_busy_reader_is_not_taken_for_one_that_is_away(settings, points, member, database_server):
    await member.earn(5)
    at = msgspec.structs.replace(settings.database, port=database_server.port)
    pool = Pool(opener(at, servers.HOST), 1, 0.05, 300)
    views = Views(points.database, Reader(pool), settings.policy)
    try:
        async with pool.connection():
            for _ in range(4):
                await looked(views, member)
        before = missed()
        await looked(views, member)
        assert missed() == before
    finally:
        await pool.close()
