"""Redis in cluster mode fails over, is full, or is slow: that changes how fast requests are answered, no more."""

import asyncio
import itertools
import signal
import time
import uuid
from contextlib import ExitStack, asynccontextmanager

import httpx
import pytest
from point_local.alone import ports, serve, servers
from point_local.machine.pki import Authority

CLIENTS = 8
MEMBERS = 4
LONGEST = 20  # seconds for one answer: far past every limit of the service, so that only a hang is found

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(300),
    pytest.mark.parametrize("database_server", ["mysql"], indirect=True),
]


class Node(servers.RedisServer):
    """One of two: the cluster is formed by the test."""

    def command(self):
        command = super().command()
        password = (self.credentials / "password").read_text()
        with (self.directory / "redis.conf").open("a") as config:
            config.write(f'tls-replication yes\nmasterauth "{password}"\nrepl-diskless-sync-delay 0\n')
        return command

    def wait_ready(self):
        servers.Server.wait_ready(self)

    def role(self):
        return self.call("ROLE").split()[0]

    def holds_answers_for(self, member):
        return f"{{{member}}}:answer" in self.call("KEYS", "*")


@pytest.fixture
def cluster(tmp_path):
    """A primary and its replica."""
    authority = Authority("point-platform test authority", tmp_path / "ca.crt", tmp_path / "ca.key")
    nodes = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        nodes.append(Node(tmp_path / name, ports.free_port(), authority, True))
    primary, replica = nodes
    replica.credentials = primary.credentials
    with ExitStack() as stack:
        for node in nodes:
            stack.callback(node.stop)
            node.start()
        primary.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        primary.call("CLUSTER", "MEET", servers.HOST, str(replica.port), str(replica.bus_port))
        identity = primary.call("CLUSTER", "MYID").strip()
        until(lambda: identity in replica.call("CLUSTER", "NODES"))
        until(lambda: "OK" in replica.call("CLUSTER", "REPLICATE", identity))
        until(lambda: "master_link_status:up" in replica.call("INFO", "replication"))
        until(lambda: all("cluster_state:ok" in node.call("CLUSTER", "INFO") for node in nodes))
        until(lambda: str(replica.port) in primary.call("CLUSTER", "SLOTS"))  # clients learn of both
        yield primary, replica


def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Traffic:
    """Clients that use single points of a few members through the pods, and count what was acknowledged."""

    def __init__(self, urls):
        self.members = [f"m-{uuid.uuid4()}" for _ in range(MEMBERS)]
        self.used = dict.fromkeys(self.members, 0)
        self.first_key = {}
        self.closed = False
        self._urls = urls

    async def send(self, client, url, member, path, body, key):
        """Return the final answer; each try is answered in time, one that says so is tried again."""
        headers = {"X-Member-Id": member, "X-Member-Role": "service", "Idempotency-Key": key}
        while True:
            answer = await client.post(f"{url}/v1/points{path}", json=body, headers=headers)
            if answer.status_code == 201:
                return answer
            assert "retry-after" in answer.headers, answer.text
            await asyncio.sleep(0.05)

    async def trade(self, number):
        member = self.members[number % MEMBERS]
        urls = itertools.cycle(
            self._urls[number % len(self._urls) :] + self._urls[: number % len(self._urls)]
        )
        async with httpx.AsyncClient(timeout=LONGEST) as client:
            while not self.closed:
                key = str(uuid.uuid4())
                answer = await self.send(
                    client, next(urls), member, "/use", {"order_id": key, "amount": 1}, key
                )
                self.first_key.setdefault(member, (key, answer.content))
                self.used[member] += 1

    async def more(self, each=5):
        """Wait until every client was answered about that often."""
        wanted = sum(self.used.values()) + each * CLIENTS
        async with asyncio.timeout(110):
            while sum(self.used.values()) < wanted:  # noqa: ASYNC110 - it is a number, not an event
                await asyncio.sleep(0.005)


@pytest.fixture
def traffic(database_server, master, service):
    """Runs traffic through pods on the given Redis for a block; afterwards every member's points add up."""
    del master

    @asynccontextmanager
    async def flowing(redis, pods=2, port=None):
        variables = serve.environment(database_server, redis) | {"POINT_LOG_LEVEL": "ERROR"}
        variables["POINT_CACHE_PORT"] = str(port or redis.port)
        running = [service(variables) for _ in range(pods)]
        with ExitStack() as stack:
            # In threads: their way to Redis may be relayed by this one.
            await asyncio.gather(*(asyncio.to_thread(stack.enter_context, pod) for pod in running))
            traffic = Traffic([pod.url for pod in running])
            async with httpx.AsyncClient(timeout=LONGEST) as client:
                for member in traffic.members:
                    await traffic.send(client, running[0].url, member, "/earn", {"amount": 100_000}, "earned")
                clients = [asyncio.create_task(traffic.trade(number)) for number in range(CLIENTS)]
                try:
                    await traffic.more()
                    yield traffic
                    await traffic.more()
                finally:
                    traffic.closed = True
                    await asyncio.gather(*clients)
                for member, used in traffic.used.items():
                    key, before = traffic.first_key[member]
                    body = {"order_id": key, "amount": 1}
                    again = await traffic.send(client, running[-1].url, member, "/use", body, key)
                    assert again.content == before
                    now = await client.get(f"{running[0].url}/v1/points", headers={"X-Member-Id": member})
                    assert now.json()["balance"] == 100_000 - used
            await asyncio.to_thread(stack.close)

    return flowing


@pytest.mark.parametrize("fate", ["killed", "hanging"])
async def test_a_primary_that_is_gone_and_a_replica_that_takes_over(cluster, traffic, eventually, fate):
    primary, replica = cluster
    async with traffic(primary) as flowing:
        if fate == "killed":
            primary.stop(signal.SIGKILL)
        else:
            primary.freeze()
        await flowing.more()  # without Redis
        replica.call("CLUSTER", "FAILOVER", "TAKEOVER")
        await eventually(lambda: replica.role() == "master", 30)
        replica.call("FLUSHALL")
        await eventually(lambda: replica.holds_answers_for(flowing.members[0]), 40)  # it is used again
        if fate == "killed":
            primary.launch()
            await asyncio.to_thread(primary.wait_ready)
        else:
            primary.thaw()  # and believes for a moment that it still is the primary
        await flowing.more()
        await eventually(lambda: primary.role() == "slave", 30)


async def test_a_full_redis_that_forgets_or_refuses(redis, traffic):
    def evicted():
        return int(redis.call("INFO", "stats").split("evicted_keys:")[1].split()[0])

    fill = "for i = 1, 3000 do redis.call('SET', '{x}' .. ARGV[1] .. i, string.rep('x', 200)) end"
    before = evicted()
    try:
        async with traffic(redis) as flowing:
            used = int(redis.call("INFO", "memory").split("used_memory:")[1].split()[0])
            redis.call("CONFIG", "SET", "maxmemory", str(used + 300_000))
            for number in range(5):  # answers and locks go, too
                await asyncio.to_thread(redis.call, "EVAL", fill, "0", str(number))
                await flowing.more(2)
            assert evicted() > before
            redis.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
            redis.call("CONFIG", "SET", "maxmemory", "1")
            await flowing.more()
    finally:
        redis.call("CONFIG", "SET", "maxmemory", "64mb")
        redis.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")


async def test_a_slow_redis_delays_no_request_past_its_deadline(redis, traffic, proxy):
    async with proxy(redis.port) as relay:
        # Clients of a cluster go where the nodes say that they are.
        redis.call("CONFIG", "SET", "cluster-announce-tls-port", str(relay.port))
        try:
            async with traffic(redis, pods=1, port=relay.port) as flowing:
                # Seconds each way: noticeable, just within a call's limit of 0.25 s, past it.
                for delay in (0.02, 0.1, 0.2, 1.0):
                    relay.delay = delay
                    await flowing.more(2)
                relay.delay = 0
        finally:
            redis.call("CONFIG", "SET", "cluster-announce-tls-port", "0")
