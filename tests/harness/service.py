"""The service in a process or in this one, a member who uses it, and the check that ends every test."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import httpx
import pymysql
from bench.rows import DUE_MEMBERS, MANY_GRANTS
from point_local.alone import ports, servers
from point_service.contract.idempotency import Key, request_hash
from point_service.contract.identity import Caller, Role
from point_service.domain.grants import GrantKind
from point_service.domain.operations.cancel_earn import CancelEarn, CancelEarnRequest
from point_service.domain.operations.cancel_use import CancelUse, CancelUseRequest
from point_service.domain.operations.earn import Earn, EarnRequest
from point_service.domain.operations.operation import Operation
from point_service.domain.operations.use import Use, UseRequest
from point_service.domain.policy import Policy
from point_service.ledger.points import Outcome, Points
from point_service.ledger.views import Views
from point_service.mysql.database import Database

INVARIANTS = {
    "a balance is not the sum of the member's entries": """
        SELECT m.member_id, m.balance, COALESCE(SUM(e.amount), 0) AS entries FROM member_point m
        LEFT JOIN ledger_entry e ON e.member_id = m.member_id
        GROUP BY m.member_id, m.balance HAVING m.balance <> entries""",
    "a balance is not the sum of what is left of the member's grants": """
        SELECT m.member_id, m.balance, COALESCE(SUM(g.remaining), 0) AS remaining FROM member_point m
        LEFT JOIN point_ledger g ON g.member_id = m.member_id
        GROUP BY m.member_id, m.balance HAVING m.balance <> remaining""",
    "what is left of a grant is not the sum of its entries": """
        SELECT g.grant_id, g.remaining, COALESCE(SUM(e.amount), 0) AS entries FROM point_ledger g
        LEFT JOIN ledger_entry e ON e.grant_id = g.grant_id
        GROUP BY g.grant_id, g.remaining HAVING g.remaining <> entries""",
    "an order got back more than it used": """
        SELECT member_id, order_id, SUM(amount) AS total FROM ledger_entry WHERE order_id IS NOT NULL
        GROUP BY member_id, order_id HAVING total > 0""",
}


class Master:
    """The database's master user: looks at everything, and moves time by moving expiries."""

    def __init__(self, server: servers.DatabaseServer) -> None:
        self._server = server

    def connect(self, **options: Any) -> pymysql.connections.Connection:
        """Open a connection of its own."""
        return pymysql.connect(
            host=servers.HOST,
            port=self._server.port,
            user="master",
            password=(self._server.master / "password").read_text(),
            database=self._server.schema,
            autocommit=True,
            ssl_ca=str(self._server.ca_file),
            **options,
        )

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return list(cursor.fetchall())

    def expire(self, grant_id: int) -> None:
        """Let a grant's expiry have passed a second ago."""
        self.rows(
            "UPDATE point_ledger SET expires_at = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND WHERE grant_id = %s",
            grant_id,
        )

    def answers(self, member_id: str) -> list[tuple[int, str]]:
        """Return status and body of the answers that are kept for a member."""
        return self.rows("SELECT status, body FROM stored_answer WHERE member_id = %s", member_id)

    def age_answers(self, member_id: str, days: int) -> None:
        """Let a member's answers have been given so many days earlier."""
        self.rows(
            "UPDATE stored_answer SET day = day - INTERVAL %s DAY WHERE member_id = %s", days, member_id
        )

    def forget_answers(self, member_id: str) -> None:
        """Let the database have forgotten a member's answers by key, as it does after their retention."""
        self.rows("DELETE FROM stored_answer WHERE member_id = %s", member_id)

    def reopen(self) -> None:
        """Have answers by member again, as in a database that the version before has filled."""
        self.rows("RENAME TABLE idempotency_closed TO idempotency")
        self.rows("GRANT SELECT, INSERT, DELETE ON idempotency TO 'point'@'%'")

    def grant_many(self, member_id: str, count: int, *, amount: int = 1, days: int = 60) -> None:
        """Give a member many grants, a third of them MANUAL, that expire in seven hours of the same day."""
        values = {"member": member_id, "count": count, "amount": amount, "days": days}
        with self.connect() as connection, connection.cursor() as cursor:
            for statement in MANY_GRANTS:
                cursor.execute(statement, values)

    def make_due(self, count: int) -> None:
        """Make members d-0, d-1, ... in an empty schema, each with 10 points that are due and 5 that are not."""
        with self.connect() as connection, connection.cursor() as cursor:
            for statement in DUE_MEMBERS:
                cursor.execute(statement, {"count": count})

    def rows_read(self) -> int:
        """Return how many rows, and entries of indexes, the server has read."""
        return sum(int(count) for _, count in self.rows("SHOW GLOBAL STATUS LIKE 'Handler_read%'"))

    def sees_a_lock_wait(self) -> bool:
        """Tell whether some transaction waits for a lock."""
        # Not information_schema.innodb_trx: a copy that polling keeps from being renewed.
        [(_, _, status)] = self.rows("SHOW ENGINE INNODB STATUS")
        return "LOCK WAIT" in status

    def broken(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return the invariants that don't hold, with the rows that break them."""
        found = {name: self.rows(query) for name, query in INVARIANTS.items()}
        return {name: rows for name, rows in found.items() if rows}


class Pod(NamedTuple):
    """One pod's worth of the service."""

    points: Points
    views: Views
    database: Database
    policy: Policy


class Member:
    """One member's requests, each with its own key unless it is given.

    `client` is that of its token, if the pod is told; with `by_client` the pod keeps keys by it. With another `role`
    it is a system of the shop that asks.
    """

    def __init__(
        self,
        pod: Pod,
        member_id: str | None = None,
        *,
        client: str | None = None,
        by_client: bool = False,
        role: Role = Role.MEMBER,
    ) -> None:
        self.points, self.views, self.database, self.policy = pod
        self.member_id = member_id or f"m-{uuid.uuid4()}"
        self.client = client
        self.by_client = by_client
        self.role = role

    def key(self, operation: Operation, value: str | None = None) -> Key:
        """Return the key of a request for an operation."""
        caller = Caller(self.member_id, self.role, self.client)
        return Key(
            caller.scope,
            self.member_id,
            value or str(uuid.uuid4()),
            request_hash(operation.name, operation.request),
            caller.client_scope,
            self.by_client,
            operation.request.reference,
            caller.sources,
        )

    async def do(self, operation: Operation, key: str | None = None) -> Outcome:
        """Do an operation."""
        return await self.points.do(self.key(operation, key), operation)

    async def earn(
        self,
        amount: int,
        *,
        days: int | None = None,
        kind: GrantKind = GrantKind.NORMAL,
        key: str | None = None,
        reference: str | None = None,
    ) -> Outcome:
        """Grant points."""
        request = EarnRequest(amount=amount, expires_in_days=days, reference=reference)
        return await self.do(Earn(request, kind, self.policy), key)

    async def use(
        self,
        amount: int,
        order_id: str | None = None,
        *,
        key: str | None = None,
        reference: str | None = None,
    ) -> Outcome:
        """Use points, for an order of its own unless it is given."""
        order_id = order_id or str(uuid.uuid4())
        return await self.do(Use(UseRequest(order_id=order_id, amount=amount, reference=reference)), key)

    async def cancel_earn(
        self, grant_id: int, *, key: str | None = None, reference: str | None = None
    ) -> Outcome:
        """Take a grant back."""
        return await self.do(CancelEarn(CancelEarnRequest(reference=reference), grant_id), key)

    async def cancel_use(
        self, amount: int, order_id: str, *, key: str | None = None, reference: str | None = None
    ) -> Outcome:
        """Give points of an order back."""
        request = CancelUseRequest(order_id=order_id, amount=amount, reference=reference)
        return await self.do(CancelUse(request, self.policy), key)

    async def balance(self) -> int:
        """Return what can be spent."""
        return (await self.views.balance(self.member_id)).balance


class Served:
    """`point-service serve` as a process of its own; as a context it is started, and ended after it."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.port = ports.free_port()
        self.url = f"http://{servers.HOST}:{self.port}"
        self.variables = {**variables, "POINT_HTTP_ADDRESS": servers.HOST, "POINT_HTTP_PORT": str(self.port)}
        # A file: a pipe that nobody reads would stop the service once it is full.
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as this
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        print(self.end()[1])  # pytest shows it with a failure
        self._log.close()

    def start(self, seconds: float = 110) -> None:
        """Start it and wait until it is ready."""
        self.process = self._run("serve", stdout=self._log)
        deadline = time.monotonic() + seconds
        while self.readiness() != 200:
            assert self.process.poll() is None, "it ended at its start"
            assert time.monotonic() < deadline, "it is not ready in time"
            time.sleep(0.01)

    def readiness(self) -> int | None:
        """Return the status of /readyz, None when nobody answers."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code
        except httpx.TransportError:
            return None

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Stop it and return its exit status and what it logged so far."""
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(number)
            process.wait(40)
        self._log.seek(0)
        return process.returncode if process is not None else 0, self._log.read()

    def verify(self) -> str:
        """Run `point-service verify`; return what it printed last. Fails unless the ledger is sound."""
        checking = self._run("verify", stdout=subprocess.PIPE)
        printed, _ = checking.communicate(timeout=300)
        assert checking.returncode == 0, printed
        return printed.splitlines()[-1]

    def _run(self, command: str, stdout: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "point_service", command],
            env={**os.environ, **self.variables},
            stdout=stdout,
            text=True,
        )


class Proxy:
    """A TCP relay of loopback: an address that can lead elsewhere, or be slow. `delay` is seconds each way."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.delay = 0.0
        self.late = 0  # pieces on their way
        self.port = ports.free_port()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._relay, servers.HOST, self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection, to where the address leads now, until either side ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        writers = [writer]
        try:
            onwards, back = await asyncio.open_connection(servers.HOST, self.target)
            writers.append(back)
            ways = [asyncio.create_task(self._carry(*way)) for way in ((reader, back), (onwards, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass  # nobody there, or the test is over
        finally:
            for each in writers:
                each.transport.abort()
            self._connections.discard(task)

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            self.late += 1
            await asyncio.sleep(self.delay)
            self.late -= 1
            target.write(data)
            await target.drain()
