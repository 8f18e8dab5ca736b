"""Two shards of Vitess on this machine, for `make shards`: members by hash, ids from sequences, a vtgate a mode.

Everything listens on loopback alone, and nothing is left of it.
"""

import json
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from point_local.alone import mysqld, serve
from point_local.alone.ports import HOST, free_port
from point_local.alone.servers import SCHEMA
from point_local.alone.vitess import Etcd, Home, Mysql, Options, Program
from point_local.alone.vschema import COLUMNS, Column, sequence_tables, sequences, sharded
from point_local.machine.pki import Authority
from point_local.programs.command import LocalError

CELL = "here"
IDS = "ids"
"""The keyspace of one shard that has the sequences."""
SHARDS = ("-80", "80-")
TRANSACTION_LIMIT = (
    "10s"  # what a silent pod's `wait_timeout` does elsewhere; vtgate takes that and ignores it
)
AT_ONCE = 100  # transactions of a shard, and as many reads
# The tablet's statements of a request, and what it keeps for itself, are the application user's.
OWN = r"GRANT ALL ON `\_vt`.* TO 'point'@'%'"
# All but the application's see to the tables and to Vitess' own.
USERS = ("appdebug", "allprivs", "dba", "filtered", "repl", "erepl", "clone")


class Gate(NamedTuple):
    """A vtgate: its port for MySQL's protocol, and the file in which it notes the statements that failed."""

    port: int
    failed: Path


class Vitess(NamedTuple):
    """What runs: the shards' databases by the shard's name, and the vtgates by their transaction mode."""

    shards: dict[str, Mysql]
    gates: dict[str, Gate]

    def environment(self, mode: str) -> dict[str, str]:
        """Return the service's variables for a vtgate."""
        first = next(iter(self.shards.values()))
        return serve.environment(first, None) | {"POINT_DATABASE_PORT": str(self.gates[mode].port)}


@contextmanager
def running(modes: Sequence[str]) -> Generator[Vitess]:
    """Run Vitess for the block, with a vtgate for each transaction mode. Raises LocalError."""
    if (reason := mysqld.available("mysql")) is not None:
        raise LocalError(reason)
    with ExitStack() as stack:
        root = Path(stack.enter_context(TemporaryDirectory(prefix="point-vitess-")))
        root.chmod(0o711)  # nobody's folders are in it
        authority = Authority("point-platform test authority", root / "ca" / "ca.crt", root / "ca" / "ca.key")
        databases = _databases(stack, root, authority)
        columns = _tables(databases)
        (root / "etcd").mkdir()
        etcd = Etcd("etcd", root / "etcd", free_port(), authority)
        stack.callback(etcd.stop)
        etcd.start()
        home = Home(root, authority, etcd)
        home.control("AddCellInfo", "--root=/vitess/here", f"--server-address={HOST}:{etcd.port}", CELL)
        for keyspace in (SCHEMA, IDS):
            home.control("CreateKeyspace", keyspace)
        _tablets(stack, home, databases)
        for keyspace, schema in ((SCHEMA, sharded(columns, IDS)), (IDS, sequences(columns))):
            home.control("ApplyVSchema", f"--vschema={json.dumps(schema)}", keyspace)
        shards = {name: databases[name] for name in SHARDS}
        gates = {mode: _gate(stack, home, mode, shards[SHARDS[0]]) for mode in modes}
        yield Vitess(shards, gates)


def _databases(stack: ExitStack, root: Path, authority: Authority) -> dict[str, Mysql]:
    """Run a MySQL for each shard, and one for the sequences."""
    databases: dict[str, Mysql] = {}
    for name in (*SHARDS, IDS):
        directory = root / f"mysql_{name}"
        directory.mkdir(mode=0o700)
        databases[name] = server = Mysql("mysql", directory, free_port(), authority, durable=False)
        server.initialize(like=next(iter(databases.values())) if len(databases) > 1 else None)
    for server in databases.values():
        stack.callback(server.stop)
        server.launch()
    for server in databases.values():
        server.wait_ready()
    return databases


def _tables(databases: dict[str, Mysql]) -> Sequence[Column]:
    """Make the tables in each shard by itself, and the sequences; return the tables' columns."""
    for name in SHARDS:
        serve.migrate(serve.environment(databases[name], None))
        databases[name].rows(OWN)
    columns = [Column(*row) for row in databases[SHARDS[0]].rows(COLUMNS, SCHEMA)]
    ids = databases[IDS]
    ids.rows(f"CREATE DATABASE {IDS}", schema=None)
    for statement in sequence_tables(columns):
        ids.rows(statement, schema=IDS)
    return columns


def _tablets(stack: ExitStack, home: Home, databases: dict[str, Mysql]) -> None:
    """Run a vttablet before each database, and say that it is its shard's primary."""
    tablets: dict[str, Program] = {}
    for number, (name, database) in enumerate(databases.items(), 101):
        port, alias = free_port(), f"{CELL}-{number}"
        keyspace, shard = (IDS, "0") if name == IDS else (SCHEMA, name)
        tablet = Program(f"vttablet-{number}", home, port)
        passwords = {
            (folder / "username").read_text(): [(folder / "password").read_text()]
            for folder in (database.master, database.application)
        }
        credentials = home.secret(tablet.directory / "credentials.json", passwords)
        options: Options = {
            "tablet-path": alias,
            "tablet-hostname": HOST,
            "init-keyspace": keyspace,
            "init-shard": shard,
            "init-tablet-type": "replica",
            "init-db-name-override": keyspace,
            "port": port,
            "grpc-port": free_port(),
            "service-map": "grpc-queryservice,grpc-tabletmanager",
            "unmanaged": "true",
            "db-host": HOST,
            "db-port": database.port,
            "db-ssl-mode": "verify_ca",
            "db-ssl-ca": home.ca_file,
            "db-credentials-file": credentials,
            # Of the members' rows it has the rights that the migration gave, and no more.
            "db-app-user": "master" if name == IDS else "point",
            **{f"db-{user}-user": "master" for user in USERS},
            "queryserver-config-transaction-timeout": TRANSACTION_LIMIT,
            "queryserver-config-transaction-cap": AT_ONCE,
            "queryserver-config-pool-size": AT_ONCE,
        }
        tablet.options |= options
        stack.callback(tablet.stop)
        tablet.launch()
        tablets[alias] = tablet
    for alias, tablet in tablets.items():
        tablet.wait_ready()
        home.control("TabletExternallyReparented", alias)
    for keyspace in (SCHEMA, IDS):  # a primary notes its tables for vtgate, which without them can plan less
        home.control("ReloadSchemaKeyspace", "--include-primary", keyspace)


def _gate(stack: ExitStack, home: Home, mode: str, known: Mysql) -> Gate:
    """Run a vtgate that knows the application's user of a database."""
    port = free_port()
    gate = Program(f"vtgate-{mode}", home, port)
    user, password = ((known.application / name).read_text() for name in ("username", "password"))
    failed = gate.directory / "failed"
    gate.options |= {
        "transaction-mode": mode,
        "cell": CELL,
        "cells-to-watch": CELL,
        "tablet-types-to-wait": "PRIMARY",
        "service-map": "grpc-vtgateservice",
        "port": free_port(),
        "grpc-port": free_port(),
        "log-queries-to-file": failed,
        "querylog-format": "json",
        "querylog-mode": "error",
        "mysql-server-port": port,
        "mysql-server-bind-address": HOST,
        "mysql-server-ssl-cert": gate.directory / "server.crt",
        "mysql-server-ssl-key": gate.directory / "server.key",
        "mysql-auth-server-static-file": home.secret(
            gate.directory / "users.json", {user: [{"Password": password}]}
        ),
    }
    stack.callback(gate.stop)
    gate.start()
    return Gate(port, failed)
