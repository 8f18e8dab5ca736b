"""What comes past the gateway: heads without end, trailers, upgrades. A server of its own, its application an echo."""

import asyncio
import contextlib
import json
import socket

import pytest
from point_service.http import protocol, serve

FIRST = b"POST /first HTTP/1.1\r\nHost: points\r\n"
SECOND = b"POST /second HTTP/1.1\r\nHost: points\r\nX-Member-Role: admin\r\nContent-Length: 0\r\n\r\n"


async def echo(scope, receive, send):
    """Answer with the request's path, its headers' names and its body."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    names = [name.decode() for name, _ in scope["headers"]]
    text = json.dumps([scope["path"], names, body.decode()]).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(text))]}
    )
    await send({"type": "http.response.body", "body": text})


@pytest.fixture
async def listener():
    return serve._listen("127.0.0.1", 0)


@pytest.fixture
async def server(listener):
    """The echo's server."""
    server = serve.Server(echo)
    serving = asyncio.create_task(server.serve([listener]))
    yield server
    server.should_exit = True
    await serving


@pytest.fixture
async def connection(server, listener):  # noqa: ARG001 - it runs
    """A connection to the echo."""
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    yield reader, writer
    writer.transport.abort()


async def everything(reader):
    """What comes until the server closes the connection."""
    received = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(10):
            while piece := await reader.read(65_536):
                received += piece
    return received


async def answer(reader):
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    assert head.startswith(b"HTTP/1.1 200 "), head
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return json.loads(await reader.readexactly(length))


async def test_requests_one_after_another_and_at_once(connection):
    reader, writer = connection
    for _ in range(2):
        writer.write(FIRST + b"Content-Length: 4\r\n\r\nbody" + SECOND)
        assert await answer(reader) == ["/first", ["host", "content-length"], "body"]
        assert await answer(reader) == ["/second", ["host", "x-member-role", "content-length"], ""]


async def test_no_part_of_an_answer_waits_for_an_acknowledgement(server, connection):
    reader, writer = connection
    writer.write(SECOND)
    await answer(reader)
    [taken] = server.server_state.connections
    assert taken.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("at_once", [True, False])
async def test_the_body_of_an_upgrade_is_no_second_request(connection, at_once):
    reader, writer = connection
    head = FIRST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n" % len(SECOND)
    writer.write(head + SECOND if at_once else head)
    status = await asyncio.wait_for(reader.readuntil(b"\r\n"), 10)
    if not at_once:
        writer.write(SECOND)
    received = await everything(reader)
    assert status.startswith(b"HTTP/1.1 400 ")
    assert b"/second" not in received


async def test_a_trailer_is_no_header(connection):
    reader, writer = connection
    writer.write(FIRST + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-Member-Role: admin\r\n\r\n")
    assert await answer(reader) == ["/first", ["host", "transfer-encoding"], "body"]


ENDLESS = {
    "a header": FIRST + b"X-Padding: ",
    "an address": b"POST /",
    "a trailer": FIRST + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-Padding: ",
    "the head of a chunk": FIRST + b"Transfer-Encoding: chunked\r\n\r\n4;",
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_what_has_no_end_is_cut_off(connection, name):
    reader, writer = connection
    writer.write(ENDLESS[name])
    with contextlib.suppress(ConnectionError):
        for _ in range(1_000):
            writer.write(b"x" * 65_536)
            await asyncio.wait_for(writer.drain(), 10)
    assert b" 200 " not in (await everything(reader)).split(b"\r\n")[0]


async def test_too_many_headers(connection):
    reader, writer = connection
    writer.write(FIRST + b"X-A: b\r\n" * protocol.MAX_HEADERS + b"\r\n")
    assert (await everything(reader)).startswith(b"HTTP/1.1 400 ")


async def test_a_head_has_its_time_and_a_connection_between_requests_more(monkeypatch, server, connection):
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT", 0.2)
    reader, writer = connection
    writer.write(SECOND)
    await answer(reader)
    [taken] = server.server_state.connections
    assert taken._patience is None  # nothing ends it until the next one begins
    writer.write(FIRST)
    assert await everything(reader) == b""


async def test_a_body_may_be_larger_than_a_head(connection):
    reader, writer = connection
    body = b"x" * (4 * protocol.MAX_HEAD_BYTES)
    writer.write(FIRST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert (await answer(reader))[2] == body.decode()
