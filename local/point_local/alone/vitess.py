"""Vitess on this machine, thrown away after use: two shards of MySQL behind one vtgate, for `make shards`.

Everything listens on loopback alone. Vitess refuses to run as root, so its programs run as nobody then, in a folder
that is nobody's.
"""

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pymysql

from point_local.alone import mysqld
from point_local.alone.ports import HOST, free_port
from point_local.alone.servers import SCHEMA, DatabaseServer, Server
from point_local.alone.vschema import COLUMNS, Column, sequence_tables, sequences, sharded
from point_local.build import vitess as built
from point_local.machine.pki import Authority, write_secret
from point_local.programs import paths
from point_local.programs.command import LocalError

CELL = "here"
IDS = "ids"
"""The keyspace of one shard that has the sequences."""
SHARDS = ("-80", "80-")
TRANSACTION_LIMIT = (
    "10s"  # what `wait_timeout` does where it isn't ignored: a silent pod lets go of its members
)
TRANSACTIONS = 100  # at once, of a shard


class Mysql(DatabaseServer):
    """A MySQL whose every session begins as the service would have it: vttablet then lends its connections freely."""

    def command(self) -> list[str]:
        """Return the command that runs the server."""
        return [
            *super().command(),
            "--transaction-isolation=READ-COMMITTED",
            "--innodb-lock-wait-timeout=1",
            "--default-time-zone=+00:00",
            "--sql-mode=STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,ONLY_FULL_GROUP_BY",
        ]

    def rows(self, statement: str, *values: Any, schema: str | None = SCHEMA) -> list[tuple[Any, ...]]:
        """Run a statement as the master user and return its rows."""
        with (
            pymysql.connect(
                host=HOST,
                port=self.port,
                user="master",
                password=(self.master / "password").read_text(),
                database=schema,
                autocommit=True,
                ssl_ca=str(self.ca_file),
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, values or None)
            return list(cursor.fetchall())


class Etcd(Server):
    """The topology: who is where."""

    def command(self) -> list[str]:
        """Return the command that runs the server."""
        url, peer = f"http://{HOST}:{self.port}", f"http://{HOST}:{free_port()}"
        return [
            str(paths.BIN / "etcd"),
            f"--data-dir={self.directory / 'data'}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",  # the data is thrown away
            "--log-level=warn",
        ]


class Program(Server):
    """A server of Vitess, whose options are given; it answers on `port`."""

    def __init__(self, name: str, home: "Home", port: int, options: dict[str, Any]) -> None:
        directory = home.folder(name)
        super().__init__(name, directory, port, home.authority)
        for secret in ("server.crt", "server.key"):
            home.give(directory / secret)
        program = name.partition("-")[0]
        self._command = home.command(program, home.topology | _listening() | options)

    def command(self) -> list[str]:
        """Return the command that runs the server."""
        return self._command


class Home:
    """The folder of Vitess' programs and who they run as, and where the topology is."""

    def __init__(self, directory: Path, authority: Authority, etcd: Etcd) -> None:
        self.authority = authority
        self._owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._directory = directory
        self._programs = self.folder("programs")
        for name in built.PROGRAMS:  # the cache may lie where nobody can't look
            try:
                os.link(built.BIN / name, self._programs / name)
            except OSError:
                shutil.copy(built.BIN / name, self._programs / name)
        self.ca_file = self._directory / "ca.crt"
        shutil.copy(authority.cert, self.ca_file)
        self.topology: dict[str, Any] = {
            "topo-implementation": "etcd2",
            "topo-global-server-address": f"{HOST}:{etcd.port}",
            "topo-global-root": "/vitess/global",
        }

    def folder(self, name: str) -> Path:
        """Make a folder for the programs."""
        made = self._directory / name
        made.mkdir()
        self.give(made)
        return made

    def secret(self, path: Path, content: object) -> Path:
        """Write a secret that they can read, as JSON."""
        write_secret(path, json.dumps(content))
        self.give(path)
        return path

    def give(self, path: Path) -> None:
        """Let a file or folder be theirs."""
        if self._owner is not None:
            os.chown(path, self._owner.pw_uid, self._owner.pw_gid)

    def command(self, program: str, options: dict[str, Any], arguments: Sequence[str] = ()) -> list[str]:
        """Return the command that runs a program as who may."""
        flags = [f"--{name}={value}" for name, value in options.items()]
        command = [str(self._programs / program), *arguments, *flags]
        environment = [
            "env",
            f"VTDATAROOT={self._directory}",
            f"GOMAXPROCS={os.environ.get('GOMAXPROCS', 2)}",
        ]
        if self._owner is None:
            return [*environment, *command]
        setpriv = mysqld.found("setpriv") or "setpriv"
        user = [f"--reuid={self._owner.pw_uid}", f"--regid={self._owner.pw_gid}", "--clear-groups"]
        return [setpriv, *user, "--pdeathsig", "KILL", *environment, *command]

    def control(self, *arguments: str) -> None:
        """Run a command of vtctldclient on the topology itself. Raises LocalError."""
        done = subprocess.run(
            self.command("vtctldclient", self.topology | {"server": "internal"}, arguments),
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode != 0:
            raise LocalError(f"vtctldclient {arguments[0]} failed:\n{(done.stderr or done.stdout)[-800:]}")


class Vitess(NamedTuple):
    """What runs: the shards' databases by the shard's name, that of the ids, and vtgate's port by its mode."""

    shards: dict[str, Mysql]
    ids: Mysql
    gates: dict[str, int]


@contextmanager
def databases(names: Sequence[str]) -> Generator[tuple[Path, Authority, dict[str, Mysql]]]:
    """Run a MySQL for each name, until the block ends. Raises LocalError when there is none."""
    if (reason := mysqld.available("mysql")) is not None:
        raise LocalError(reason)
    with ExitStack() as stack:
        root = Path(stack.enter_context(TemporaryDirectory(prefix="point-vitess-")))
        root.chmod(0o711)  # who is nobody has folders in it
        authority = Authority("point-platform test authority", root / "ca" / "ca.crt", root / "ca" / "ca.key")
        running: dict[str, Mysql] = {}
        for name in names:
            directory = root / f"mysql{name}"
            directory.mkdir(mode=0o700)
            running[name] = server = Mysql("mysql", directory, free_port(), authority, durable=False)
            server.initialize()
            stack.callback(server.stop)
            server.launch()
        for server in running.values():
            server.wait_ready()
        yield root, authority, running
