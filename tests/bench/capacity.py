"""`make capacity`: what one use costs on this machine, into `measured.json`, from which `point-infra capacity` sizes.

Measured at half of what the service can do, since nobody runs at its end, with ids as long as UUIDs.
"""

import json
import statistics
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pymysql
import rows
from bench import Bench, Service, console
from point_infra.cost.capacity import MEASURED, Measured
from point_local.alone import servers
from point_local.build import packages

ROOT = Path(__file__).resolve().parents[2]
MEMBERS = 20_000
USES = 50_000
"""How many the tables grow by: fewer would go into pages that are there."""
TABLES = ("member_point", "point_ledger", "ledger_entry", "stored_answer")


class Counters:
    """What the database has counted so far."""

    def __init__(self, server: servers.DatabaseServer, schema: str) -> None:
        self._server, self._schema = server, schema

    def read(self) -> tuple[dict[str, int], int]:
        """Return each table's bytes with its indexes, and those of the redo log."""
        with (
            pymysql.connect(
                host=servers.HOST,
                port=self._server.port,
                user="master",
                password=(self._server.master / "password").read_text(),
                database=self._schema,
                ssl_ca=str(self._server.ca_file),
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SET SESSION information_schema_stats_expiry = 0")
            cursor.execute(f"ANALYZE TABLE {', '.join(TABLES)}")
            cursor.execute(
                "SELECT table_name, data_length + index_length FROM information_schema.tables"
                " WHERE table_schema = %s",
                (self._schema,),
            )
            sizes = {name: int(length) for name, length in cursor.fetchall() if name in TABLES}
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_os_log_written'")
            written = cursor.fetchone()
            return sizes, int(written[1]) if written else 0


def measure(
    bench: Bench, counters: Counters, service: Service, prefix: str, empty: dict[str, int]
) -> Measured:
    """Load the service and return what one use cost."""
    full, _ = counters.read()
    loads = [bench.http(service, prefix=prefix)]
    while sum(one.uses for one in loads) < USES:
        loads.append(bench.http(service, prefix=prefix))
    grown, log_before = counters.read()
    uses = sum(one.uses for one in loads)
    grew = {name: (grown[name] - full[name]) / uses for name in TABLES}
    load = bench.http(service, prefix=prefix, rate=statistics.median(one.rate for one in loads) / 2)
    _, log_after = counters.read()
    made = {name: full[name] - empty[name] for name in TABLES}
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    return Measured(
        date=datetime.now(UTC).date().isoformat(),
        commit=commit,
        rate=round(load.rate),
        service_ms=round(load.service, 2),
        database_ms=round(load.database, 2),
        cache_ms=round(load.redis, 2),
        redo=round((log_after - log_before) / load.uses),
        member=round(made["member_point"] / MEMBERS),
        grant=round(made["point_ledger"] / MEMBERS / rows.GRANTS),
        entry=round(grew["ledger_entry"]),
        answer=round(grew["stored_answer"]),
    )


def main() -> None:
    """Measure and write."""
    packages.ensure({**packages.SERVE, "wrk": "wrk"})
    with servers.database("mysql", durable=True) as database, servers.redis() as redis:
        bench = Bench(database, redis)
        counters = Counters(database, "capacity")
        prefix = f"{uuid.uuid4()}"[:30]
        bench.schema("capacity", 0, 0)
        empty, _ = counters.read()
        members = rows.load(database, "capacity", MEMBERS * rows.GRANTS, 0, prefix)
        with bench.service("capacity", members) as service:
            measured = measure(bench, counters, service, prefix, empty)
        console.print(f"verify: {bench.verify('capacity')}")
    MEASURED.write_text(json.dumps(vars(measured), indent=2) + "\n")
    console.print(measured)


if __name__ == "__main__":
    sys.exit(main())
