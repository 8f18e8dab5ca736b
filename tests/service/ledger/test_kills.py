"""The service, Redis and MySQL killed under load: the client's own ledger of answers against the database's.

`POINT_KILLS` says how often the service is killed, `POINT_ROWS` how many entries the ledger has before that:

    POINT_KILLS=100 pytest tests/service/ledger/test_kills.py -s
"""

import asyncio
import random
import shutil
import signal
import uuid
from collections import Counter
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from harness.sizes import size
from point_local.alone import mysqld, ports, serve, servers
from point_local.machine.pki import Authority
from point_local.programs import paths
from point_service.contract.idempotency import Key
from point_service.contract.identity import Caller, Role
from point_service.mysql.migrate import migrate
from point_service.settings import load
from pymysql.cursors import DictCursor

KILLS = size("KILLS", 5, 100)
ROWS = size("ROWS", 20_000, 100_000)
MEMBERS = 12
CLIENTS = 12

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(180 + 20 * KILLS)]


class Copy(servers.DatabaseServer):
    """MySQL as writer or as its copy: a commit is acknowledged once the other one has it on disk, too."""

    def __init__(self, number, directory, authority, twin=None):
        directory.mkdir()
        super().__init__("mysql", directory, ports.free_port(), authority, durable=True)
        self.number = number
        self.waits_for_the_copy = False
        if twin is not None:  # the same users, who come with the data
            self.master, self.application = twin.master, twin.application

    def initialize(self):
        super().initialize()
        first = self.directory / "init.sql"
        first.write_text("SET sql_log_bin = 0;\n" + first.read_text())

    def clone(self, twin):
        """Begin with the data of `twin`, which is stopped."""
        shutil.copytree(twin.directory / "data", self.directory / "data")
        (self.directory / "data" / "auto.cnf").unlink()
        shutil.copy(twin.directory / "init.sql", self.directory)

    def command(self):
        options = {
            "server-id": self.number,
            "innodb-buffer-pool-size": "128M",
            "gtid-mode": "ON",
            "enforce-gtid-consistency": "ON",
            "relay-log": "relay",
            "sync-relay-log": 1,
            "skip-replica-start": "ON",
            "plugin-dir": paths.ROOTFS / "mysql/usr/lib/mysql/plugin",
            "plugin-load-add": "semisync_source.so;semisync_replica.so",
            "loose-rpl-semi-sync-source-timeout": 1_000_000_000,
            "loose-rpl-semi-sync-source-enabled": "ON" if self.waits_for_the_copy else "OFF",
            "loose-rpl-semi-sync-replica-enabled": "ON",
        }
        return [*super().command(), *(f"--{name}={value}" for name, value in options.items())]


class Pair:
    """A writer and its copy, and who is which."""

    def __init__(self, writer, copy, master_of):
        self.writer, self.copy = writer, copy
        self._master_of = master_of

    @property
    def master(self):
        return self._master_of(self.writer)

    def follow(self):
        """Let the copy copy, and the writer wait for it."""
        copy = self._master_of(self.copy)
        password = (self.writer.master / "password").read_text()
        copy.rows("SET GLOBAL rpl_semi_sync_source_enabled = OFF")
        copy.rows("SET GLOBAL super_read_only = ON")
        copy.rows(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = %s, SOURCE_USER = 'master',"
            " SOURCE_PASSWORD = %s, SOURCE_AUTO_POSITION = 1, SOURCE_SSL = 1, SOURCE_SSL_CA = %s,"
            " SOURCE_SSL_VERIFY_SERVER_CERT = 1, SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 1000000",
            self.writer.port,
            password,
            str(self.writer.ca_file),
        )
        copy.rows("START REPLICA")
        self.copy.waits_for_the_copy, self.writer.waits_for_the_copy = False, True
        self.master.rows("SET GLOBAL rpl_semi_sync_source_enabled = ON")

    def promote(self):
        """Make the copy the writer, with everything that it was sent; what was acknowledged is among it."""
        copy = self._master_of(self.copy)
        copy.rows("STOP REPLICA IO_THREAD")
        with copy.connect(cursorclass=DictCursor) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW REPLICA STATUS")
            received = cursor.fetchone()["Retrieved_Gtid_Set"]
        assert copy.rows("SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, 60)", received) == [(0,)]
        copy.rows("STOP REPLICA")
        copy.rows("RESET REPLICA ALL")
        copy.rows("SET GLOBAL super_read_only = OFF")
        copy.rows("SET GLOBAL read_only = OFF")
        self.writer, self.copy = self.copy, self.writer


@pytest.fixture(scope="module")
def pair(tmp_path_factory, master_of):
    """A migrated writer with ROWS entries, and its copy, both durable."""
    if (reason := mysqld.available("mysql")) is not None:
        pytest.skip(reason)
    directory = tmp_path_factory.mktemp("pair")
    authority = Authority("point-platform test authority", directory / "ca.crt", directory / "ca.key")
    writer = Copy(1, directory / "one", authority)
    copy = Copy(2, directory / "two", authority, writer)
    pair = Pair(writer, copy, master_of)
    try:
        writer.initialize()
        writer.start()
        migrate(load(serve.environment(writer, None)).database)
        fill(pair.master)
        writer.stop()
        copy.clone(writer)
        for server in (writer, copy):
            server.launch()
        for server in (writer, copy):
            server.wait_ready()
        pair.follow()
        yield pair
    finally:
        writer.stop()
        copy.stop()
    shutil.rmtree(directory)


def fill(master):
    """Write members of five entries each: a grant, and four uses of it."""
    numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s) SELECT "
    with master.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION cte_max_recursion_depth = %s", (ROWS,))
        now = "UTC_TIMESTAMP(6)"
        for statement in (
            "INSERT INTO member_point (member_id, balance, version, created_at, updated_at)"
            f" {numbers} CONCAT('old-', i), 60, 5, {now}, {now} FROM n",
            "INSERT INTO point_ledger (grant_id, member_id, kind, amount, remaining, expires_at, created_at)"
            f" {numbers} i, CONCAT('old-', i), 'NORMAL', 100, 60, {now} + INTERVAL 1 YEAR, {now} FROM n",
            "INSERT INTO ledger_entry (member_id, grant_id, kind, amount, position, created_at)"
            f" {numbers} CONCAT('old-', i), i, 'EARN', 100, 0, {now} FROM n",
            *(
                "INSERT INTO ledger_entry (member_id, grant_id, kind, amount, order_id, position, created_at)"
                f" {numbers} CONCAT('old-', i), i, 'USE', -10, 'o-{order}', 0, {now} FROM n"
                for order in range(4)
            ),
        ):
            cursor.execute(statement, (ROWS // 5,))
        cursor.execute("ANALYZE TABLE member_point, point_ledger, ledger_entry")


@dataclass
class Sent:
    """One request, sent under its key until it has a final answer."""

    member: str
    operation: str
    path: str
    body: dict
    key: str
    lost: int = 0  # tries that got no answer: nobody knows what became of them
    put_off: int = 0  # tries that were told to come back
    answer: httpx.Response | None = None

    @property
    def done(self):
        return self.answer is not None and self.answer.status_code == 201

    @property
    def digest(self):
        """What its answer is kept under."""
        caller = Caller(self.member, Role.SERVICE).scope
        return Key(caller, self.member, self.key, "").digest(caller)

    def entries(self):
        """Return what the answer says that the ledger has: member, kind, grant, amount and order."""
        if not self.done:
            return []
        said, order = self.answer.json(), self.body.get("order_id")
        moved = {
            "EARN": lambda: [(said["grant_id"], said["amount"])],
            "CANCEL_EARN": lambda: [(said["grant_id"], -said["amount"])],
            "USE": lambda: [(part["grant_id"], -part["amount"]) for part in said["allocations"]],
            "CANCEL_USE": lambda: [
                (part["grant_id"], part["amount"]) for part in said["restored"] + said["regranted"]
            ],
        }
        return [
            (self.member, self.operation, grant, amount, order) for grant, amount in moved[self.operation]()
        ]


@dataclass
class Shop:
    """Clients that send random operations for some members, and remember every answer."""

    urls: list[str]
    sent: list[Sent] = field(default_factory=list)
    acknowledged: int = 0
    closed: bool = False

    def __post_init__(self):
        self.random = random.Random(7)
        self.prefix = uuid.uuid4().hex[:8]
        self.members = [f"m-{self.prefix}-{number}" for number in range(MEMBERS)]

    async def trade(self, client):
        """Send requests one after the other until the shop closes, and the last one until it is answered."""
        while not self.closed:
            request = self.next()
            self.sent.append(request)
            await self.send(client, request)

    def next(self):
        member = self.random.choice(self.members)
        mine = [sent for sent in self.sent[-400:] if sent.member == member and sent.done]
        uses = [sent for sent in mine if sent.operation == "USE"]
        earned = [sent for sent in mine if sent.operation == "EARN"]
        dice = self.random.random()
        if uses and dice < 0.2:
            order = self.random.choice(uses).body
            body = {"order_id": order["order_id"], "amount": self.random.randint(1, order["amount"])}
            return self.request(member, "CANCEL_USE", "/v1/points/use/cancel", body)
        if earned and dice < 0.3:
            grant = self.random.choice(earned).answer.json()["grant_id"]
            return self.request(member, "CANCEL_EARN", f"/v1/points/earn/{grant}/cancel", {})
        if earned and dice < 0.7:
            body = {"order_id": f"o-{len(self.sent)}", "amount": self.random.randint(1, 60)}
            return self.request(member, "USE", "/v1/points/use", body)
        return self.request(member, "EARN", "/v1/points/earn", {"amount": self.random.randint(1, 100)})

    def request(self, member, operation, path, body):
        return Sent(member, operation, path, body, f"{self.prefix}-{len(self.sent)}")

    async def send(self, client, request):
        """Send it to one pod or another until its answer is final."""
        headers = {
            "X-Member-Id": request.member,
            "X-Member-Role": "service",
            "Idempotency-Key": request.key,
        }
        while request.answer is None:
            url = self.random.choice(self.urls) + request.path
            try:
                answer = await client.post(url, json=request.body, headers=headers)
            except httpx.ConnectError:
                await asyncio.sleep(0.02)  # nobody there: it was not even sent
                continue
            except httpx.TransportError:
                request.lost += 1
                continue
            if "retry-after" in answer.headers:
                request.put_off += 1
                await asyncio.sleep(0.05)
                continue
            assert answer.status_code in (201, 404, 409), answer.text
            request.answer = answer
            self.acknowledged += 1

    async def progress(self, count):
        """Wait until `count` more requests are acknowledged."""
        wanted = self.acknowledged + count
        async with asyncio.timeout(110):
            while self.acknowledged < wanted:  # noqa: ASYNC110 - it is a number, not an event
                await asyncio.sleep(0.002)

    def compare(self, master):
        """Fail unless the ledger has what was acknowledged, and nothing else; return the counts as a line."""
        mine = ", ".join(f"'{member}'" for member in self.members)
        told = Counter(entry for sent in self.sent for entry in sent.entries())
        kept = Counter(
            master.rows(
                f"SELECT member_id, kind, grant_id, amount, order_id FROM ledger_entry WHERE member_id IN ({mine})"
            )
        )
        answers = {(sent.digest, sent.answer.status_code, sent.answer.text) for sent in self.sent}
        rows = master.rows(
            f"SELECT LOWER(HEX(digest)), status, body FROM stored_answer WHERE member_id IN ({mine})"
        )
        missing, doubled = told - kept, kept - told
        lost = [sent for sent in self.sent if sent.lost]
        replayed = [sent for sent in lost if "idempotency-replayed" in sent.answer.headers]
        line = (
            f"{len(self.sent)} requests, all acknowledged in the end: {len(self.sent) - len(lost)} at a first answer,"
            f" {len(lost)} after tries without one ({len(replayed)} of them were in the ledger already,"
            f" {len(lost) - len(replayed)} were not); {sum(sent.put_off for sent in self.sent)} tries put off;"
            f" {kept.total()} entries: {missing.total()} missing, {doubled.total()} doubled or unknown"
        )
        assert (missing, doubled) == (Counter(), Counter()), line
        assert (set(rows), len(rows)) == (answers, len(self.sent))
        return line


@asynccontextmanager
async def trading(pair, redis, service, what, port=None):
    """Two pods under load for the block; then the books are compared and the counts printed."""
    variables = serve.environment(pair.writer, redis) | {
        "POINT_DATABASE_PORT": str(port or pair.writer.port),
        "POINT_LOG_LEVEL": "ERROR",
    }
    pods = [service(variables), service(variables)]
    with ExitStack() as stack:
        # In threads: their way to the database may be relayed by this one.
        await asyncio.gather(*(asyncio.to_thread(stack.enter_context, pod) for pod in pods))
        shop = Shop([pod.url for pod in pods])
        async with httpx.AsyncClient(timeout=20) as client:
            clients = [asyncio.create_task(shop.trade(client)) for _ in range(CLIENTS)]
            try:
                await shop.progress(50)
                yield shop, pods
                await shop.progress(50)
                shop.closed = True
                async with asyncio.timeout(110):
                    await asyncio.gather(*clients)
            finally:
                for trader in clients:
                    trader.cancel()
                await asyncio.gather(*clients, return_exceptions=True)
            # What was acknowledged long ago is still answered the same.
            for request in shop.random.sample(shop.sent, 20):
                again = Sent(request.member, request.operation, request.path, request.body, request.key)
                await shop.send(client, again)
                assert again.answer.content == request.answer.content
        checked = await asyncio.to_thread(pods[0].verify)
        await asyncio.to_thread(stack.close)
    print(f"\n{what}: {shop.compare(pair.master)}; verify: {checked}")


async def test_a_service_killed_again_and_again_loses_and_doubles_nothing(pair, redis, service):
    async with trading(pair, redis, service, f"{KILLS} kills of a pod, {ROWS} entries") as (shop, pods):
        for number in range(KILLS):
            await shop.progress(shop.random.randint(5, 60))
            await asyncio.sleep(shop.random.uniform(0, 0.02))
            # Every fourth time both at once, so that nobody is left who knows more than the database.
            struck = pods if number % 4 == 3 else (shop.random.choice(pods),)
            for pod in struck:
                pod.end(signal.SIGKILL)
            await asyncio.gather(*(asyncio.to_thread(pod.start) for pod in struck))


async def test_redis_killed_and_started_again_under_load_changes_nothing(pair, redis, service):
    async with trading(pair, redis, service, "2 kills of Redis") as (shop, _):
        for _ in range(2):
            redis.stop(signal.SIGKILL)
            await shop.progress(50)  # without it
            redis.launch()
            await asyncio.to_thread(redis.wait_ready)
            await shop.progress(50)


async def test_mysql_killed_and_ended_under_load_loses_and_doubles_nothing(pair, redis, service):
    async with trading(pair, redis, service, "MySQL killed, then ended") as (shop, _):
        for number in (signal.SIGKILL, signal.SIGTERM):
            await shop.progress(shop.random.randint(20, 60))
            await asyncio.to_thread(pair.writer.stop, number)
            pair.writer.launch()
            await asyncio.to_thread(pair.writer.wait_ready)


async def test_a_promoted_copy_has_everything_that_was_acknowledged(pair, redis, service, proxy):
    """First as planned, the old writer read-only and its connections alive; then because the writer died."""
    async with (
        proxy(pair.writer.port) as endpoint,
        trading(pair, redis, service, "2 promotions", endpoint.port) as (shop, _),
    ):
        await asyncio.to_thread(pair.master.rows, "SET GLOBAL super_read_only = ON")
        await asyncio.to_thread(pair.promote)
        endpoint.target = pair.writer.port
        await asyncio.to_thread(pair.follow)
        await shop.progress(100)
        await asyncio.to_thread(pair.writer.stop, signal.SIGKILL)
        await asyncio.to_thread(pair.promote)
        endpoint.target = pair.writer.port


def test_the_comparison_finds_what_is_missing_and_what_is_there_twice():

    class Rows:
        def __init__(self, entries, answers):
            self._rows = [entries, answers]

        def rows(self, _):
            return self._rows.pop(0)

    shop = Shop(["http://one"])
    request = shop.request("m", "EARN", "/v1/points/earn", {"amount": 5})
    request.answer = httpx.Response(201, json={"grant_id": 1, "amount": 5})
    shop.sent.append(request)
    entry, answer = ("m", "EARN", 1, 5, None), (request.digest, 201, request.answer.text)
    assert "0 missing, 0 doubled" in shop.compare(Rows([entry], [answer]))
    for entries, said in (([], "1 missing, 0 doubled"), ([entry, entry], "0 missing, 1 doubled")):
        with pytest.raises(AssertionError, match=said):
            shop.compare(Rows(entries, [answer]))
