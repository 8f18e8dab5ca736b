"""The servers that Vitess is made of, each thrown away after use: MySQL, etcd and its own programs.

Vitess refuses to run as root, so its programs then run as nobody, in folders that are nobody's.
"""

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pymysql

from point_local.alone import mysqld
from point_local.alone.ports import HOST, free_port
from point_local.alone.servers import SCHEMA, DatabaseServer, Server
from point_local.build import vitess as built
from point_local.machine.pki import Authority, write_secret
from point_local.programs import paths
from point_local.programs.command import LocalError

Options = dict[str, Any]
LOOPBACK: Options = {"bind-address": HOST, "grpc-bind-address": HOST, "logtostderr": "true"}


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
    """A server of Vitess with the `options` that are given; once it answers on `port` it is ready."""

    def __init__(self, name: str, home: "Home", port: int) -> None:
        super().__init__(name, home.folder(name), port, home.authority)
        for made in ("server.crt", "server.key"):
            home.give(self.directory / made)
        self.options: Options = {}
        self._home = home

    def command(self) -> list[str]:
        """Return the command that runs the server."""
        return self._home.command(self.name.partition("-")[0], self._home.topology | LOOPBACK | self.options)


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
        self.topology: Options = {
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

    def command(self, program: str, options: Options, arguments: Sequence[str] = ()) -> list[str]:
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
