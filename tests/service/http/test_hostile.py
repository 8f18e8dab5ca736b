"""What nobody should send: every answer is a 4xx problem document, and nothing changes."""

import asyncio
import json
import uuid

import httpx
import pytest
from point_local.alone import serve, servers

pytestmark = [
    pytest.mark.integration,
    pytest.mark.parametrize("database_server", ["mysql"], indirect=True),
]

USE = "/v1/points/use"
EARN = "/v1/points/earn"
MEGABYTE = 1_000_000

AMOUNTS = {
    "zero": "0",
    "negative": "-1",
    "a float": "1.5",
    "a whole float": "1.0",
    "an exponent": "1e3",
    "a string": '"100"',
    "full-width digits": json.dumps("\uff11\uff10"),
    "true": "true",
    "null": "null",
    "a list": "[1]",
    "an object": "{}",
    "past the bound": "1000000000001",
    "past 63 bits": str(2**63),
    "past 64 bits": str(2**64),
    "400 digits": "9" * 400,
}
ORDER_IDS = {
    "empty": '""',
    "a space": '"a b"',
    "a slash": '"../../etc/passwd"',
    "a comma": '"a,b"',
    "a quote": '"o\' OR 1=1 --"',
    "a letter beyond ASCII": '"é"',
    "an emoji": '"😀"',
    "a look-alike digit": json.dumps("\uff11"),
    "a null character": '"o\\u0000"',
    "a line end": '"o\\n"',
    "half a surrogate pair": '"\\ud800"',
    "65 characters": json.dumps("o" * 65),
    "a number": "5",
    "null": "null",
}
REFERENCES = ORDER_IDS | {"null": "[null]", "a list": '["r"]'}  # null is none
REASONS = {
    "201 characters": json.dumps("r" * 201),
    "a null character": '"r\\u0000"',
    "half a surrogate pair": '"\\udfff"',
    "a line end": '"r\\n"',
    "empty": '""',
    "a number": "5",
}
SHAPES = {
    "nothing": b"",
    "a list": b"[]",
    "a string": b'"use"',
    "a number": b"5",
    "null": b"null",
    "nothing in it": b"{}",
    "half of it": b'{"order_id": "o"}',
    "one field more": b'{"order_id": "o", "amount": 1, "member_id": "m-2"}',
    "a misspelt field": b'{"order_id": "o", "Amount": 1}',
    "not JSON": b"order_id=o&amount=1",
    "two objects": b'{"order_id": "o", "amount": 1}{}',
    "NaN": b'{"order_id": "o", "amount": NaN}',
    "infinity": b'{"order_id": "o", "amount": Infinity}',
    "not UTF-8": b'{"order_id": "\xff\xfe", "amount": 1}',
    "UTF-16": '{"order_id": "o", "amount": 1}'.encode("utf-16"),
    "lists in lists": b'{"order_id": "o", "amount": ' + b"[" * 8_000,
    "objects in objects": b'{"a": ' * 2_700,
    "an unknown field, deep": b'{"x": ' + b"[" * 5_000 + b"]" * 5_000 + b', "order_id": "o", "amount": 1}',
    "one byte too many": b'{"order_id": "o", "amount": 1}' + b" " * 16_384,
    "a megabyte": b'{"order_id": "o", "amount": 1, "x": "' + b"x" * MEGABYTE + b'"}',
    "a megabyte of brackets": b"[" * MEGABYTE,
}
KEYS = {
    "none": [],
    "two": ["k-1", "k-2"],
    "the same twice": ["k-1", "k-1"],
    "empty": [""],
    "a space": ["k 1"],
    "256 characters": ["k" * 256],
    "beyond ASCII": ["schlüssel"],
}
MEMBERS = {
    "none": [],
    "two": ["m-1", "m-2"],
    "empty": [""],
    "a tab": ["m\t1"],
    "beyond ASCII": ["mitgliéd"],
    "256 characters": ["m" * 256],
}
ROLES = {
    "none": [],
    "unknown": ["root"],
    "in capitals": ["ADMIN"],
    "two": ["member", "admin"],
    "two in one": ["member,admin"],
}
READS = {
    "a limit of nothing": "/v1/points/history?limit=0",
    "a limit too large": "/v1/points/history?limit=101",
    "a limit below zero": "/v1/points/grants?limit=-1",
    "half a limit": "/v1/points/grants?limit=1.5",
    "an empty limit": "/v1/points/grants?limit=",
    "a huge limit": "/v1/points/history?limit=" + "9" * 400,
    "a cursor that is no number": "/v1/points/history?cursor=1%20OR%201=1",
    "a cursor past 63 bits": f"/v1/points/history?cursor={2**63}",
    "an unknown kind of live": "/v1/points/grants?live=maybe",
    "a kind that is a list": "/v1/points/history?kind=EARN,USE",
    "a kind that is a statement": "/v1/points/history?kind=EARN'%29%20OR%201=1--%20",
    "a moment that is a statement": "/v1/points/history?from=2026-11-24T03:00:00Z'%20OR%201=1",
    "a moment of 400 digits": "/v1/points/history?to=2026-11-24T03:00:00." + "9" * 400 + "Z",
}
NOWHERE = {
    "no such address": "/v1/points/everything",
    "above the root": "/v1/points/../../../etc/passwd",
    "above the root, encoded": "/v1/points/orders/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "a null character": "/v1/points/orders/o%00",
    "not UTF-8": "/v1/points/orders/%ff%fe",
    "no order": "/v1/points/orders/unknown",
    "an order of 65 characters": "/v1/points/orders/" + "o" * 65,
    "an order that is an address": "/v1/points/orders/o%2F..%2F..%2Fgrants",
    "a long address": "/v1/points/" + "x" * 10_000,
}
GRANTS = ("abc", "-1", "0", "1.5", "1e3", "%31%00", str(2**63), "9" * 400, "\uff11")


@pytest.fixture(scope="module")
def served(database_server, redis_server, service):
    with service(serve.environment(database_server, redis_server)) as served:
        yield served


@pytest.fixture
async def attacker(served, master):
    """Sends as a member who holds 1000 points, and still has them, untouched, after the test."""
    async with httpx.AsyncClient(base_url=served.url, timeout=20) as client:
        attacker = Attacker(client)
        earned = await attacker.send("POST", EARN, b'{"amount": 1000}', role="service")
        assert earned.status_code == 201
        yield attacker
        entries = master.rows("SELECT amount FROM ledger_entry WHERE member_id = %s", attacker.member)
        assert entries == [(1000,)]
        assert served.readiness() == 200


class Attacker:
    def __init__(self, client):
        self.member = f"m-{uuid.uuid4()}"
        self._client = client

    async def send(
        self, method, path, body=None, *, role=None, members=None, roles=None, keys=None, media=None
    ):
        """Send it with the headers that the gateway would set, unless others are given."""
        headers = [
            *(("X-Member-Id", value.encode()) for value in ([self.member] if members is None else members)),
            *(("X-Member-Role", value) for value in ([role or "member"] if roles is None else roles)),
            *(
                ("Idempotency-Key", value.encode())
                for value in ([str(uuid.uuid4())] if keys is None else keys)
            ),
            *([("Content-Type", media or "application/json")] if body is not None and media != "" else []),
        ]
        return await self._client.request(method, path, content=body, headers=headers)

    async def refused(self, status, *request, **more):
        """Send it; the answer must be this refusal, and a problem document that tells nothing else."""
        answer = await self.send(*request, **more)
        assert (answer.status_code, answer.headers["content-type"]) == (
            status,
            "application/problem+json",
        ), answer.text
        problem = answer.json()
        assert problem["status"] == status
        assert problem["type"].startswith("urn:point-platform:problem:")
        assert problem["request_id"] == answer.headers["x-request-id"]
        assert "Traceback" not in answer.text
        return answer


async def each(table, work):
    """Run `work` for each value of a table; fail with the names of those that it failed for."""
    failed = {}
    for name, value in table.items():
        try:
            await work(value)
        except (AssertionError, httpx.HTTPError) as error:
            failed[name] = error
    assert not failed


@pytest.mark.parametrize("path", [USE, "/v1/points/use/cancel"])
async def test_amounts_that_are_none(attacker, path):
    await each(
        AMOUNTS,
        lambda amount: attacker.refused(
            422, "POST", path, b'{"order_id": "o", "amount": ' + amount.encode() + b"}", role="service"
        ),
    )


async def test_grants_that_the_policy_forbids(attacker):
    bodies = {name: f'{{"amount": {amount}}}' for name, amount in AMOUNTS.items()}
    bodies |= {
        f"days: {days}": f'{{"amount": 1, "expires_in_days": {days}}}' for days in (0, -1, 1825, 1e9, '"1"')
    }
    bodies |= {f"reason: {name}": f'{{"amount": 1, "reason": {reason}}}' for name, reason in REASONS.items()}
    bodies |= {"more than a grant may have": '{"amount": 100001}'}

    async def refused(body):
        answer = await attacker.send("POST", EARN, body.encode(), role="admin")
        assert answer.status_code in (400, 422), answer.text
        await attacker.refused(answer.status_code, "POST", EARN, body.encode(), role="admin")

    await each(bodies, refused)


async def test_order_ids_that_are_none(attacker):
    async def refused(order):
        body = f'{{"order_id": {order}, "amount": 1}}'.encode()
        answer = await attacker.send("POST", USE, body)
        assert answer.status_code in (400, 422), answer.text
        await attacker.refused(answer.status_code, "POST", USE, body)

    await each(ORDER_IDS, refused)


async def test_references_that_are_none(attacker):
    bodies = {EARN: '"amount": 1', USE: '"order_id": "o", "amount": 1', f"{EARN}/1/cancel": None}
    bodies["/v1/points/use/cancel"] = bodies[USE]

    async def refused(reference):
        for path, fields in bodies.items():
            body = f'{{"reference": {reference}{", " + fields if fields else ""}}}'.encode()
            answer = await attacker.send("POST", path, body, role="service")
            told = (await attacker.refused(answer.status_code, "POST", path, body, role="service")).json()
            assert answer.status_code in (400, 422), answer.text
            # Half a surrogate pair is no JSON at all.
            assert told.get("field") == ("reference" if answer.status_code == 422 else None), told

    await each(REFERENCES, refused)


async def test_bodies_that_are_no_request(attacker):
    async def refused(body):
        answer = await attacker.send("POST", USE, body)
        assert answer.status_code == (413 if len(body) > 16_384 else answer.status_code)
        assert answer.status_code in (400, 413, 422), answer.text
        await attacker.refused(answer.status_code, "POST", USE, body)

    await each(SHAPES, refused)


async def test_a_megabyte_whose_length_nobody_told(attacker):
    async def pieces():
        for _ in range(100):
            yield b" " * (MEGABYTE // 100)

    await attacker.refused(413, "POST", USE, pieces())


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""]
)
async def test_bodies_of_another_kind(attacker, media):
    await attacker.refused(415, "POST", USE, b'{"order_id": "o", "amount": 1}', media=media)


async def test_keys_that_are_none(attacker):
    await each(
        KEYS, lambda keys: attacker.refused(400, "POST", USE, b'{"order_id": "o", "amount": 1}', keys=keys)
    )


async def test_members_that_are_none(attacker):
    await each(MEMBERS, lambda members: attacker.refused(401, "GET", "/v1/points", members=members))


async def test_roles_that_may_not_earn(attacker):
    await each(ROLES, lambda roles: attacker.refused(403, "POST", EARN, b'{"amount": 1}', roles=roles))
    await each(
        ROLES, lambda roles: attacker.refused(403, "GET", "/v1/admin/members/m-2/history", roles=roles)
    )


async def test_pages_that_are_none(attacker):
    await each(READS, lambda path: attacker.refused(422, "GET", path))


async def test_addresses_that_lead_nowhere(attacker):
    await each(NOWHERE, lambda path: attacker.refused(404, "GET", path))
    addresses = {grant: f"/v1/points/earn/{grant}/cancel" for grant in GRANTS}
    await each(addresses, lambda path: attacker.refused(404, "POST", path, b"{}", role="service"))


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
async def test_methods_that_are_not_taken(attacker, method):
    answer = await attacker.refused(405, method, USE)
    assert "POST" in answer.headers["allow"]


# Not even a request: the HTTP parser refuses these before the service sees them, with a bare 400 or 431, or
# takes them for two headers, which name no one member.
HEADERS = {
    "a null character": b"X-Member-Id: m-1\x00\r\n",
    "a line end in the value": b"X-Member-Id: m-1\rX-Member-Role: admin\r\n",
    "a second member after the line end": b"X-Member-Id: m-1\r\nX-Member-Id: m-2\r\n",
    "a folded line": b"X-Member-Id: m-1\r\n m-2\r\n",
    "no colon": b"X-Member-Id m-1\r\n",
    "a space in the name": b"X-Member-Id : m-1\r\n",
    "a line that is none": b"\x00\x01\x02\r\n",
    "a megabyte": b"X-Member-Id: m-1\r\nX-Padding: " + b"x" * MEGABYTE + b"\r\n",
    "two lengths": b"X-Member-Id: m-1\r\nContent-Length: 0\r\nContent-Length: 10\r\n",
    "a length below zero": b"X-Member-Id: m-1\r\nContent-Length: -1\r\n",
    "ten thousand headers": b"X-Member-Id: m-1\r\n" + b"X-A: b\r\n" * 10_000,
}


@pytest.mark.parametrize("name", HEADERS)
async def test_headers_that_are_none(served, name):
    reader, writer = await asyncio.open_connection(servers.HOST, served.port)
    try:
        writer.write(
            b"GET /v1/points HTTP/1.1\r\nHost: points\r\n" + HEADERS[name] + b"Connection: close\r\n\r\n"
        )
        async with asyncio.timeout(20):
            try:
                answer = await reader.read()
            except ConnectionResetError:
                answer = b""  # cut off in the middle of what it would not read
    finally:
        writer.transport.abort()
    status = answer.split(b" ")[1:2]
    assert status in ([], [b"400"], [b"401"], [b"431"]), answer
    assert served.readiness() == 200


async def test_a_body_sent_along_with_a_length_does_not_become_a_second_request(served, attacker, master):
    """Request smuggling: two ways to say where the body ends."""
    inner = (
        f"POST {USE} HTTP/1.1\r\nHost: points\r\nX-Member-Id: {attacker.member}\r\nIdempotency-Key: smuggled\r\n"
        'Content-Type: application/json\r\nContent-Length: 30\r\n\r\n{"order_id": "o", "amount": 1}'
    )
    outer = (
        f"POST {USE} HTTP/1.1\r\nHost: points\r\nX-Member-Id: {attacker.member}\r\nIdempotency-Key: outer\r\n"
        f"Content-Type: application/json\r\nContent-Length: {5 + len(inner)}\r\nTransfer-Encoding: chunked\r\n\r\n"
        f"0\r\n\r\n{inner}"
    )
    reader, writer = await asyncio.open_connection(servers.HOST, served.port)
    try:
        writer.write(outer.encode())
        async with asyncio.timeout(20):
            first = await reader.read(65_536)
    finally:
        writer.transport.abort()
    assert first.split(b" ")[1] == b"400", first
    assert [status for status, _ in master.answers(attacker.member)] == [201]  # what was earned before
