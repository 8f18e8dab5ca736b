"""Who is let in, who is refused and how, and when what nobody waits for ends. A server of its own without a ledger."""

import asyncio
import json
import time

import pytest
from point_service import admission, patience
from point_service.http import serve
from point_service.http.bounds import Bounded, expected

USE = b"POST /v1/points/use HTTP/1.1\r\nHost: points\r\nX-Request-Id: r-%d\r\nContent-Length: 2\r\n\r\n{}"
READ = b"GET /v1/points HTTP/1.1\r\nHost: points\r\n\r\n"
CANCEL = b"POST /v1/points/use/cancel HTTP/1.1\r\nHost: points\r\nContent-Length: 2\r\n\r\n{}"
PROBE = b"GET /healthz HTTP/1.1\r\nHost: points\r\n\r\n"


class Gate:
    """An application that answers 200, uses once it is open; it remembers who came and who went through."""

    def __init__(self):
        self.opened, self.used = asyncio.Event(), asyncio.Event()
        self.came, self.went = [], []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        while (await receive()).get("more_body"):
            pass
        self.came.append(scope["path"])
        if scope["path"] == "/v1/points/use":
            self.used.set()
            await self.opened.wait()
            patience.current().check()
        self.went.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
async def gate():
    return Gate()


@pytest.fixture
def admitting():
    admitting = admission.Admission(0.25)
    admitting._limits["use"].most = 1
    return admitting


@pytest.fixture
async def connect(gate, admitting):
    """Opens connections to a service with room for one use."""
    listener = serve._listen("127.0.0.1", 0)
    server = serve.Server(Bounded(gate, 5), admitting)
    serving = asyncio.create_task(server.serve([listener]))
    writers = []

    async def connect(sent=b""):
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writers.append(writer)
        writer.write(sent)
        return reader, writer

    yield connect
    gate.opened.set()
    for writer in writers:
        writer.transport.abort()
    server.should_exit = True
    await serving
    assert {limit.under_way for limit in admitting._limits.values()} == {0}


async def answer(reader, *, head=False):
    """The status, the headers and the body of an answer."""
    async with asyncio.timeout(5):
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ") for line in lines)}
        body = b"" if head else await reader.readexactly(int(headers["content-length"]))
    return int(first.split()[1]), headers, body


async def busy(connect, gate):
    """Let one use in, which waits; return what its answer comes by."""
    reader, _ = await connect(USE % 1)
    async with asyncio.timeout(5):
        await gate.used.wait()
    return reader


async def test_the_newest_is_refused_soon_and_is_told_when_to_come_again(connect, gate):
    first = await busy(connect, gate)
    started = time.perf_counter()
    reader, writer = await connect(USE % 2)
    status, headers, body = await answer(reader)
    assert time.perf_counter() - started < 1
    assert (status, headers["retry-after"], headers["x-request-id"]) == (503, "1", "r-2")
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-envoy-overloaded"] == "true"  # what ejects failing pods lets this one be
    problem = json.loads(body)
    assert (problem["type"], problem["status"]) == ("urn:point-platform:problem:overloaded", 503)
    assert problem["request_id"] == "r-2"
    gate.opened.set()
    assert (await answer(first))[0] == 200
    writer.write(USE % 3)
    assert (await answer(reader))[0] == 200
    assert gate.went == ["/v1/points/use"] * 2


async def test_uses_take_the_place_of_nothing_else(connect, gate):
    await busy(connect, gate)
    for request in (READ, CANCEL, PROBE):
        reader, _ = await connect(request)
        assert (await answer(reader))[0] == 200


async def test_every_kind_may_always_have_some_under_way():
    admitting = admission.Admission(0.01)
    for limit in admitting._limits.values():
        for moment in range(1000):
            limit.enter()
            limit.leave(float(moment), 10.0)
    for method, target, kind in (
        (b"POST", b"/v1/points/use", "use"),
        (b"POST", b"/v1/points/use/cancel?a=b", "cancel"),
        (b"HEAD", b"/v1/points", "read"),
    ):
        let_in = 0
        while admitting.enter(method, target):
            let_in += 1
        assert let_in == admission.LEAST[kind]
    assert admitting.enter(b"GET", b"/readyz")


async def test_a_refused_body_is_read_to_its_end_and_the_connection_goes_on(connect, gate):
    await busy(connect, gate)
    reader, writer = await connect()
    for _ in range(3):
        head, body = (USE % 2).replace(b": 2", b": 2000").split(b"{}")[0], b" " * 1000
        for piece in (head, body, body):
            writer.write(piece)
            await asyncio.sleep(0.01)
        assert (await answer(reader))[0] == 503
    writer.write(PROBE)
    assert (await answer(reader))[0] == 200


async def test_a_refused_body_without_end_is_cut_off(connect, gate):
    await busy(connect, gate)
    reader, writer = await connect(
        (USE % 2).replace(b"Content-Length: 2", b"Transfer-Encoding: chunked")[:-2]
    )
    writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n1\r\n")
    writer.write(b"x")
    assert (await answer(reader))[0] == 503
    assert await reader.read() == b""


async def test_who_asks_before_it_sends_its_body_is_refused_before_that(connect, gate):
    await busy(connect, gate)
    reader, _ = await connect((USE % 2)[:-2].replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
    status, headers, _ = await answer(reader)
    assert (status, headers["connection"]) == (503, "close")
    assert await reader.read() == b""


async def test_an_answer_without_a_body_or_a_next_one_is_what_was_asked_for(connect, gate, admitting):
    admitting._limits["read"].most = 0
    reader, writer = await connect(READ.replace(b"GET", b"HEAD"))
    status, headers, _ = await answer(reader, head=True)
    assert (status, int(headers["content-length"]) > 100) == (503, True)
    writer.write(READ.replace(b"1.1", b"1.0"))
    status, headers, _ = await answer(reader)
    assert (status, headers["connection"]) == (503, "close")
    assert await reader.read() == b""
    assert gate.came == []


async def test_requests_behind_a_refused_one_are_answered_in_their_order(connect, gate):
    await busy(connect, gate)
    reader, _ = await connect(USE % 2 + USE % 3 + PROBE + READ)
    assert [(await answer(reader))[0] for _ in range(4)] == [503, 503, 200, 200]


async def test_very_many_are_refused_at_once(connect, gate, monkeypatch):
    monkeypatch.setattr("point_service.admission.HOLD", 60.0)
    monkeypatch.setattr("point_service.admission.MOST_HELD", 0)
    await busy(connect, gate)
    reader, _ = await connect(USE % 2)
    assert (await answer(reader))[0] == 503


async def test_what_waits_ends_when_whoever_asked_is_gone(connect, gate, admitting):
    _, writer = await connect(USE % 1)
    async with asyncio.timeout(5):
        await gate.used.wait()
        assert admitting._limits["use"].under_way == 1
        writer.transport.abort()
        while admitting._limits["use"].under_way:  # noqa: ASYNC110 - the limit tells nobody
            await asyncio.sleep(0.001)
    gate.opened.set()
    await asyncio.sleep(0)
    assert gate.went == []


async def test_what_is_worked_on_comes_to_its_end_though_whoever_asked_is_gone():
    async def work():
        asked.begin(asyncio.current_task(), 5)
        with asked.work():
            await asyncio.sleep(0.01)
        with pytest.raises(patience.NobodyWaitsError), asked.work():
            raise AssertionError("nobody waits for more")

    asked = patience.Patience()
    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    asked.leave()
    await working


async def test_what_waits_longer_than_the_gateway_does_is_not_begun(connect, gate):
    reader, _ = await connect((USE % 1).replace(b"Host", b"X-Envoy-Expected-Rq-Timeout-Ms: 50\r\nHost"))
    started = time.perf_counter()
    status, headers, _ = await answer(reader)
    assert (status, headers["retry-after"]) == (503, "1")
    assert time.perf_counter() - started < 2
    gate.opened.set()
    await asyncio.sleep(0)
    assert gate.went == []


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ([], 4.5),
        ([b"2000"], 2),
        ([b"2000", b"1000"], 1),
        ([b"5000"], 4.5),
        ([b"0"], 4.5),
        ([b"-1"], 4.5),
        ([b"1e3"], 4.5),
        ([b"\xd9\xa1"], 4.5),  # a digit, elsewhere
        ([b"1" * 5000], 4.5),
        ([b""], 4.5),
    ],
)
def test_the_gateways_patience_only_ever_shortens_ones_own(said, seconds):
    assert expected([(b"x-envoy-expected-rq-timeout-ms", value) for value in said], 4.5) == seconds


async def test_who_stands_aside_leaves_its_place_to_others():
    limit = admission.Limit(0.25, 8)
    limit.most = 1
    assert limit.enter()
    asked = patience.Patience(limit)
    with asked.stand_aside():
        assert limit.enter()
        await asyncio.sleep(0.02)
    assert limit.under_way == 2
    assert asked.aside >= 0.02
