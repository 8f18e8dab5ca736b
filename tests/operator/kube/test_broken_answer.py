"""An API server, or what stands before it, whose answers break off: one more failure that passes."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.dynamic.exceptions import ServiceUnavailableError
from point_operator.kube.cluster import Cluster
from point_operator.kube.lease import Lease
from point_operator.model import kinds
from point_operator.process import check
from point_operator.settings import Settings

HEAD = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\n"
OK, BUSY = HEAD % b"200 OK", HEAD % b"503 Service Unavailable"
BROKEN = {
    "before the answer": b"",
    "in the head": b"HTTP/1.1 200 OK\r\nContent-Ty",
    "in the body": OK + b'Content-Length: 400\r\n\r\n{"items": [',
    "in a chunk": OK + b'Transfer-Encoding: chunked\r\n\r\n80\r\n{"items": [',
    "between chunks": OK + b'Transfer-Encoding: chunked\r\n\r\nb\r\n{"items": [\r\n',
    "in a body of no length": OK + b'Connection: close\r\n\r\n{"items": [',
    "in what refuses": BUSY + b'Content-Length: 400\r\n\r\n{"kind": "Status"',
    "no HTTP": b"220 mail.example.com ESMTP\r\n",
    "no JSON": OK + b"Content-Length: 6\r\n\r\n<html>",
}


@contextlib.asynccontextmanager
async def _server(said: bytes) -> AsyncGenerator[Cluster]:
    """A server that answers every request so and hangs up, and a client of it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    async with (
        await asyncio.start_server(answer, "127.0.0.1", 0) as server,
        _client(server.sockets[0].getsockname()[1]) as cluster,
    ):
        yield cluster


@contextlib.asynccontextmanager
async def _client(port: int) -> AsyncGenerator[Cluster]:
    async with ApiClient(Configuration(host=f"http://127.0.0.1:{port}")) as client:
        yield Cluster(client)


@pytest.mark.parametrize("said", BROKEN.values(), ids=BROKEN)
async def test_whatever_breaks_off_is_a_failed_connection(said: bytes) -> None:
    async with _server(said) as cluster:
        with pytest.raises(ConnectionError):
            await cluster.list(kinds.POD, "points")
        with pytest.raises(ConnectionError):
            await cluster.create(kinds.LEASE, {"metadata": {"namespace": "points", "name": "one"}})


async def test_a_refusal_stays_what_it_is() -> None:
    status = b'{"kind": "Status", "reason": "ServiceUnavailable"}'
    async with _server(BUSY + b"Content-Length: %d\r\n\r\n" % len(status) + status) as cluster:
        with pytest.raises(ServiceUnavailableError):
            await cluster.list(kinds.POD, "points")


async def test_an_api_server_that_is_not_there_is_no_answer_of_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        async with _client(taken.getsockname()[1]) as cluster:
            with pytest.raises(OSError, match="Cannot connect"):
                await cluster.list(kinds.POD, "points")


async def test_the_holder_of_the_lease_tries_again() -> None:
    async with _server(BROKEN["in the body"]) as cluster:
        waiting: Any = asyncio.create_task(Lease(cluster, "points", "one", "me").acquire())
        await asyncio.wait({waiting}, timeout=0.5)
        assert not waiting.done()
        waiting.cancel()


async def test_the_check_says_that_the_api_server_did_not_answer() -> None:
    async with _server(BROKEN["in the body"]) as cluster:
        found = [one async for one in check.look(cluster, Settings())]
    assert {str(one) for one in found} == {"WRONG The API server did not answer: ConnectionError"}
