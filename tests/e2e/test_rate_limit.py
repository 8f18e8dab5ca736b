"""The rate limit is the service's: what it says, whether the gateway has one pod or three, and nobody else's.

The loads take 10 s each, 30 s in `make test-long`.
"""

import asyncio
import itertools
import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import httpx
import msgspec
import pytest
from harness.neighbour import Neighbour, context, get_status, url
from harness.sizes import size
from point_local.commands.demo import Client
from point_local.drill.observe import bucket, gateway_pods, get, per_second, proxy_admin
from point_local.programs import paths
from point_local.programs.command import kubectl, wait
from point_local.stack import application, issuer
from point_local.stack.istio import GATEWAY_NAMESPACE

pytestmark = [pytest.mark.e2e, pytest.mark.long]

Limit = Callable[..., None]
Resize = Callable[[int], None]

GATEWAY = "deployment/istio-ingressgateway"
LIMIT = 100
SECONDS = size("LIMIT_SECONDS", 10, 30)
HICCUP = 0.1
"""Seconds that the gateway waits for the rate limit service; a Local limit's burst is as long."""


class Offered(msgspec.Struct, frozen=True):
    """What was answered to a load."""

    statuses: Counter[int]
    admitted: int
    """Requests that were let through in its seconds; those that came late are another second's."""
    late: int
    """Answers that took longer than `HICCUP`: each may stand for one request let through or refused in error."""


@pytest.fixture
def limit() -> Iterator[Limit]:
    """Replace `spec.gateway.rateLimit` and return once it is in force; put back when the test ends."""
    before = (get("pts", application.NAME) or {})["spec"]["gateway"]["rateLimit"]

    def to(**values: Any) -> None:
        _replace_limit(values)
        _wait_in_force(values.get("scope", "Local"), values["requestsPerSecond"])
        # The first questions to a new rate limit service wait for connections, and pass when that takes too long.
        asyncio.run(_offer(40, 2, [issuer.token("m-first")]))

    yield to
    _replace_limit(before)
    _wait_in_force(before["scope"], before["requestsPerSecond"])


@pytest.fixture
def resize() -> Iterator[Resize]:
    """Change the number of gateway pods; put back when the test ends."""
    before = len(gateway_pods())

    def to(pods: int) -> None:
        kubectl("scale", GATEWAY, "-n", GATEWAY_NAMESPACE, f"--replicas={pods}")
        wait("the pods are ready", lambda: len(gateway_pods()) == pods, seconds=90)
        wait("the edge sends to these", lambda: _targets() == pods, seconds=60)
        wait("the operator counts them", lambda: _in_force().get("gatewayPods") == pods, seconds=30)

    yield to
    if len(gateway_pods()) != before:
        to(before)


def test_the_limit_of_1000_a_second_is_live_and_shared_by_the_gateway_pods() -> None:
    buckets = [bucket(pod) for pod in gateway_pods()]
    assert len({json.dumps(one, sort_keys=True) for one in buckets}) == 1
    assert sum(per_second(one) for one in buckets) == pytest.approx(1000)


@pytest.mark.parametrize("pods", [1, 3])
@pytest.mark.parametrize("scope", ["Local", "Global"])
def test_twice_the_limit_lets_the_limit_through(
    member: Client, limit: Limit, resize: Resize, scope: str, pods: int
) -> None:
    resize(pods)
    for rate in (LIMIT, LIMIT * 6 // 10, LIMIT * 3 // 10):
        limit(requestsPerSecond=rate, scope=scope)
        whole = rate * SECONDS
        offered = asyncio.run(_offer(2 * rate, SECONDS, [issuer.token(member.member)]))
        print(f"\n{scope}, {pods} gateway pods, {rate} a second, {SECONDS} s: {offered}")
        if offered.late <= 0.1 * whole:
            break  # else it tells of the machine, which can't offer as much, and not of the limit
    assert sum(offered.statuses[status] for status in (200, 429)) >= 2 * whole - offered.late
    assert offered.statuses[429] > 0
    assert abs(offered.admitted - whole) <= 0.05 * whole + offered.late, offered


def test_one_member_takes_no_more_than_its_share_and_nothing_from_the_others(
    member: Client, limit: Limit
) -> None:
    limit(requestsPerSecond=LIMIT, scope="Global", perMember={"requestsPerSecond": 20})
    others = [issuer.token(f"m-{secrets.token_hex(4)}") for _ in range(10)]
    greedy, modest = asyncio.run(_at_once((120, 5, [issuer.token(member.member)]), (50, 5, others)))
    assert greedy.admitted <= 1.05 * 20 * 5 + greedy.late
    assert greedy.admitted >= 0.5 * 20 * 5
    _assert_nobody_refused(modest)


def test_losing_the_rate_limit_service_refuses_nobody(member: Client, limit: Limit) -> None:
    limit(requestsPerSecond=LIMIT, scope="Global")

    async def lose() -> Offered:
        load = asyncio.create_task(_offer(LIMIT // 4, 8, [issuer.token(member.member)]))
        await asyncio.sleep(2)
        selector = "app.kubernetes.io/component=rate-limit"
        options = ["-n", application.NAMESPACE, "-l", selector, "--grace-period=0", "--force"]
        await asyncio.to_thread(kubectl, "delete", "pods", *options)
        return await load

    _assert_nobody_refused(asyncio.run(lose()))
    _wait_in_force("Global", LIMIT)


def test_a_token_opens_only_the_service_whose_issuer_gave_it(member: Client, neighbour: Neighbour) -> None:
    ours, theirs = issuer.token(member.member), neighbour.token(member.member)
    first, second = application.hosts()[0], neighbour.host
    assert [get_status(host, token) for host, token in ((first, ours), (second, theirs))] == [200, 200]
    wrong = {get_status(host, token) for host, token in ((first, theirs), (second, ours)) for _ in range(4)}
    assert wrong <= {401, 403}, wrong


def test_two_services_at_one_gateway_keep_their_own_limits(
    member: Client, neighbour: Neighbour, limit: Limit
) -> None:
    limit(requestsPerSecond=LIMIT)
    ours, theirs = [issuer.token(member.member)], [neighbour.token(member.member)]
    theirs_is = neighbour.limit * SECONDS
    # First the neighbour is flooded, then we are; each time the other one asks for half of what it may.
    flooded, calm = asyncio.run(
        _at_once((3 * neighbour.limit, SECONDS, theirs, neighbour.host), (LIMIT // 2, SECONDS, ours))
    )
    _assert_nobody_refused(calm)
    # A limit as small may start with a third of a second's worth.
    assert abs(flooded.admitted - theirs_is) <= 0.1 * theirs_is + flooded.late
    flooded, calm = asyncio.run(
        _at_once((2 * LIMIT, SECONDS, ours), (neighbour.limit // 2, SECONDS, theirs, neighbour.host))
    )
    _assert_nobody_refused(calm)
    assert abs(flooded.admitted - LIMIT * SECONDS) <= 0.05 * LIMIT * SECONDS + flooded.late


def test_a_service_that_leaves_the_gateway_takes_nothing_with_it(
    member: Client, neighbour: Neighbour
) -> None:
    async def leave() -> Offered:
        load = asyncio.create_task(_offer(LIMIT // 4, 10, [issuer.token(member.member)]))
        await asyncio.sleep(2)
        await asyncio.to_thread(kubectl, "delete", *neighbour.resource, "--timeout=60s")
        return await load

    _assert_nobody_refused(asyncio.run(leave()))
    assert get_status(neighbour.host, neighbour.token(member.member)) != 200


def _assert_nobody_refused(offered: Offered) -> None:
    refused = sum(offered.statuses.values()) - offered.statuses[200]
    assert refused <= offered.late, offered  # what was held up comes as a burst


async def _at_once(*loads: Any) -> list[Offered]:
    return await asyncio.gather(*(_offer(*one) for one in loads))


async def _offer(rate: int, seconds: int, tokens: list[str], host: str = "") -> Offered:
    """`rate` requests a second, evenly, from a new second of the clock on, by the owners of `tokens` in turn."""
    answered: list[tuple[float, float, int]] = []
    """When, how long after it was due, and with which status."""
    headers = {"Host": host} if host else {}
    connector = aiohttp.TCPConnector(limit=64, ssl=context())
    async with aiohttp.ClientSession(connector=connector, headers=headers) as client:

        async def one(due: float, token: str) -> None:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            sent = {"Authorization": f"Bearer {token}"}
            async with client.get(f"{url()}/v1/points", headers=sent) as answer:
                now = time.monotonic()
                # An answer left unread ends its connection, and the loop may be over before that is.
                await answer.read()
                answered.append((now, now - due, answer.status))

        # The rate limit service counts by the second of the clock.
        second = time.monotonic() + 2 - time.time() % 1
        start = second + 0.02
        turns = zip(range(rate * seconds), itertools.cycle(tokens), strict=False)
        await asyncio.gather(*(one(start + i / rate, token) for i, token in turns))
    return Offered(
        statuses=Counter(status for _, _, status in answered),
        admitted=sum(status == 200 and moment < second + seconds for moment, _, status in answered),
        late=sum(took > HICCUP for _, took, _ in answered),
    )


def _replace_limit(values: dict[str, Any]) -> None:
    patch = [{"op": "replace", "path": "/spec/gateway/rateLimit", "value": values}]
    name = ["pts", application.NAME, "-n", application.NAMESPACE]
    kubectl("patch", *name, "--type=json", "-p", json.dumps(patch))


def _wait_in_force(scope: str, limit: int) -> None:
    """Return once every gateway pod has the limit that the status tells."""
    wait(f"the operator says {scope}", lambda: _in_force().get("scope") == scope, seconds=90)

    def live() -> bool:
        pods = gateway_pods()
        buckets = [bucket(pod) for pod in pods]
        share = limit if scope == "Global" else limit / len(pods)
        asks = [f"{pod}" for pod in pods if "rate_limit.service.points" in _listeners(pod)]
        same = all(abs(per_second(one) - share) < 0.01 for one in buckets)
        return same and len(asks) == (len(pods) if scope == "Global" else 0)

    wait("every gateway pod has it", live, seconds=30, every=0.5)
    if scope == "Global":  # its pods are replaced, and those of before count by the limit of before
        rollout = ("rollout", "status", f"deployment/{application.NAME}-rate-limit")
        kubectl(*rollout, "-n", application.NAMESPACE, "--timeout=120s")


def _in_force() -> dict[str, Any]:
    return (get("pts", application.NAME) or {}).get("status", {}).get("rateLimit", {})


def _targets() -> int:
    """Gateway pods that the edge sends to."""
    socket = str(paths.STATE / "edge" / "admin.sock")
    with httpx.Client(transport=httpx.HTTPTransport(uds=socket)) as client:
        lines = client.get("http://edge/clusters").text.splitlines()
    return sum(one.startswith("gateway::") and one.endswith("health_flags::healthy") for one in lines)


def _listeners(pod: str) -> str:
    return proxy_admin(pod, "config_dump?resource=dynamic_listeners")
