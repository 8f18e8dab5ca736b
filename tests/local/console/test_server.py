"""The console's server, on loopback: who is let in, what a page may do, and that nobody looks unwatched."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
from point_local.console import server
from point_local.console.guard import OPEN
from point_local.console.looker import Desk
from point_local.console.watch import Watch
from point_local.programs.command import LocalError

TOKEN = "the-token-of-this-test"
LET_IN = {"Authorization": f"Bearer {TOKEN}"}


class Looks:
    """Counts how often it looked."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> str:
        self.count += 1
        return f'{{"look": {self.count}}}'


@pytest.fixture
def looks() -> Looks:
    return Looks()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def client(looks: Looks, desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    listener = server.listen(0)
    serving = asyncio.create_task(server.serve(Watch(looks, lambda: 0.01), desk, listener, TOKEN))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with httpx.AsyncClient(base_url=url, timeout=20, trust_env=False) as made:
        yield made
        if not serving.done():
            os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(serving, 20)


@pytest.mark.parametrize("path", OPEN)
async def test_the_empty_page_needs_no_token_and_may_load_only_what_is_its_own(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "style=" not in answer.text
    assert "http:" not in answer.text.replace("http://www.w3.org/2000/svg", "")
    assert "https:" not in answer.text


@pytest.mark.parametrize("path", ["/states", "/console.py", "/../server.py", "/nothing"])
@pytest.mark.parametrize("given", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x"])
async def test_a_wrong_token_gets_nothing(
    client: httpx.AsyncClient, looks: Looks, path: str, given: str
) -> None:
    answer = await client.get(path, headers={"Authorization": given} if given else {})
    assert answer.status_code == 403
    assert TOKEN not in answer.text
    assert looks.count == 0


async def test_a_token_in_the_path_or_query_is_none(client: httpx.AsyncClient) -> None:
    assert (await client.get("/states", params={"token": TOKEN})).status_code == 403


@pytest.mark.parametrize("path", ["/", "/states"])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example", ""])
async def test_another_name_gets_nothing_also_with_the_token(
    client: httpx.AsyncClient, path: str, host: str
) -> None:
    assert (await client.get(path, headers={**LET_IN, "Host": host})).status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://localhost"])
async def test_another_origin_gets_nothing_also_with_the_token(
    client: httpx.AsyncClient, origin: str
) -> None:
    for path in ("/", "/states"):
        assert (await client.get(path, headers={**LET_IN, "Origin": origin})).status_code == 403
    asked = {"Origin": origin, "Access-Control-Request-Headers": "authorization"}
    preflight = await client.options("/states", headers=asked)
    assert preflight.status_code == 403
    assert "access-control-allow-origin" not in preflight.headers


async def test_its_own_page_is_let_in_by_either_name(client: httpx.AsyncClient) -> None:
    for host in (f"127.0.0.1:{client.base_url.port}", f"localhost:{client.base_url.port}"):
        headers = {**LET_IN, "Host": host, "Origin": f"http://{host}"}
        async with client.stream("GET", "/states", headers=headers) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")


async def test_looks_are_shared_and_end_with_the_last_page(client: httpx.AsyncClient, looks: Looks) -> None:
    assert looks.count == 0
    async with (
        client.stream("GET", "/states", headers=LET_IN) as one,
        client.stream("GET", "/states", headers=LET_IN) as other,
    ):
        first, second = await _states(one, 3), await _states(other, 3)
        assert looks.count >= 3
        assert set(first) | set(second) <= {f'{{"look": {n}}}' for n in range(looks.count + 1)}
    before = -1
    async with asyncio.timeout(20):
        while before != looks.count:  # until nobody looked for many times the pause between two looks
            before = looks.count
            await asyncio.sleep(0.3)


async def test_a_page_that_is_open_holds_no_end_up(client: httpx.AsyncClient) -> None:
    told = 0
    async with client.stream("GET", "/states", headers=LET_IN) as page, asyncio.timeout(20):
        async for line in page.aiter_lines():
            told += line.startswith("data:")
            if told == 1:
                os.kill(os.getpid(), signal.SIGTERM)
    assert told


async def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalError, match=f"port {port} of 127.0.0.1 can't be used"):
            server.listen(port)


@pytest.mark.parametrize("name", ["load", "load-stop", "blow", "mend", "member", "patch"])
async def test_nothing_is_done_without_the_token_or_for_another_site(
    client: httpx.AsyncClient, desk: Desk, name: str
) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, LET_IN | {"Origin": "http://evil.example"}):
        assert (await client.post(f"/acts/{name}", json={}, headers=headers)).status_code == 403
    assert (await client.post(f"/acts/{name}", json={}, headers=LET_IN | {"Host": "evil"})).status_code == 403
    assert (await client.get(f"/acts/{name}", headers=LET_IN)).status_code == 405
    assert desk.timeline.lines() == []


@pytest.mark.parametrize(
    ("name", "body", "told"),
    [
        ("load", "", "truncated"),
        ("load", "[]", "Expected `object`"),
        ("load", '{"rate": 4}', "$.rate"),
        ("load", '{"rate": 101}', "$.rate"),
        ("load", '{"rate": "30"}', "$.rate"),
        ("load", '{"speed": 30}', "speed"),
        ("load-stop", '{"now": true}', "now"),
        ("blow", "{}", "`blow`"),
        ("member", '{"do": "earn", "amount": 0}', "$.amount"),
        ("patch", '{"field": "a..b", "value": 1}', "$.field"),
        ("patch", '{"field": "replicas"}', "`value`"),
        ("patch", '{"field": "replicas", "value": {"a": 1}}', "$.value"),
    ],
)
async def test_a_body_that_means_nothing_is_told_why(
    client: httpx.AsyncClient, desk: Desk, name: str, body: str, told: str
) -> None:
    headers = LET_IN | {"Content-Type": "application/json"}
    answer = await client.post(f"/acts/{name}", content=body, headers=headers)
    assert answer.status_code == 400
    assert told in answer.json()["error"]
    assert desk.timeline.lines() == []


@pytest.mark.parametrize(
    ("name", "body", "told"),
    [
        ("load", {"mix": "odd"}, "allowed are even, reads, writes"),
        ("load-stop", {}, "no load is under way"),
        ("blow", {"blow": "zone d, stop"}, "allowed are zone a, stop"),
        ("mend", {}, "nothing to mend"),
        ("member", {"do": "earn"}, "mint a token first"),
        ("member", {"do": "steal"}, "allowed are mint"),
        ("member", {"do": "try", "attack": "by night"}, "there is no such"),
    ],
)
async def test_what_can_t_be_done_now_is_told_why(
    client: httpx.AsyncClient, name: str, body: dict[str, object], told: str
) -> None:
    answer = await client.post(f"/acts/{name}", json=body, headers=LET_IN)
    assert answer.status_code == 409
    assert told in answer.json()["error"]


async def test_a_body_is_json_and_short_and_of_something_that_is_known(client: httpx.AsyncClient) -> None:
    assert (await client.post("/acts/mend", data={"a": "b"}, headers=LET_IN)).status_code == 415
    assert (await client.post("/acts/mend", json=["x" * 5000], headers=LET_IN)).status_code == 413
    assert (await client.post("/acts/nothing", json={}, headers=LET_IN)).status_code == 404


async def _states(answer: httpx.Response, number: int) -> list[str]:
    seen: list[str] = []
    async for line in answer.aiter_lines():
        if line.startswith("data:"):
            seen.append(line.removeprefix("data:").strip())
        if len(seen) == number:
            break
    return seen
