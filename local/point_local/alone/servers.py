"""Real servers on loopback for tests and `make serve`: a MySQL-compatible database and Redis.

Each has its own folder, free port, TLS and password, is waited for, and is stopped by its own pid. They run
as whoever starts them and need no installed service.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from point_local.alone import mysqld
from point_local.alone.mysqld import Flavour, found
from point_local.alone.ports import HOST, free_port
from point_local.machine.pki import Authority, write_secret
from point_local.programs.command import LocalError

START_DEADLINE = 60.0  # seconds
STOP_DEADLINE = 20.0  # seconds
SCHEMA = "points"


class Server:
    """One server process: started, waited for, stopped or killed, and started again on the same data."""

    def __init__(self, name: str, directory: Path, port: int, authority: Authority) -> None:
        self.name = name
        self.directory = directory
        self.port = port
        self.ca_file = authority.cert
        self._process: subprocess.Popen[bytes] | None = None
        certificate, key = authority.issue(name, ["localhost", HOST])
        (directory / "server.crt").write_text(certificate)
        write_secret(directory / "server.key", key)

    @property
    def pid(self) -> int | None:
        """The running process, None when there is none."""
        return self._process.pid if self._process is not None else None

    def command(self) -> list[str]:
        """Return the command that runs the server."""
        raise NotImplementedError

    def start(self) -> None:
        """Start and return when it takes connections. Raises LocalError with the end of its log."""
        self.launch()
        self.wait_ready()

    def launch(self) -> None:
        """Start it and return at once. The server ends with the thread that calls this."""
        with (self.directory / "log").open("ab") as output:
            self._process = subprocess.Popen(
                _dies_with_us(self.command()), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def wait_ready(self) -> None:
        """Return when it takes connections. Raises LocalError with the end of its log."""
        log = self.directory / "log"
        _wait(lambda: self._answers(log), START_DEADLINE, f"{self.name} does not start, see {log}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it (SIGKILL: as a crash would) and return when it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        # A stopped (SIGSTOP) process acts on the signal only once it goes on.
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def freeze(self) -> None:
        """Let it hang: connections stay, nothing is answered. Returns once every thread of it stands still."""
        self._signal(signal.SIGSTOP)
        if self._process is not None:
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _answers(self, log: Path) -> bool:
        if self._process is None or self._process.poll() is not None:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
            raise LocalError(f"{self.name} ended at its start:\n{tail}")
        try:
            with socket.create_connection((HOST, self.port), timeout=1):
                return True
        except OSError:
            return False


class DatabaseServer(Server):
    """MySQL or MariaDB with two users: `master`, who may do everything, and the application's to be made."""

    def __init__(
        self, flavour: Flavour, directory: Path, port: int, authority: Authority, durable: bool
    ) -> None:
        super().__init__(flavour, directory, port, authority)
        self.flavour: Flavour = flavour
        self.schema = SCHEMA
        self.master = _credentials(directory / "master", "master")
        self.application = _credentials(directory / "application", "point")
        self._durable = durable
        self._program, self._install = (
            mysqld.mysql(directory) if flavour == "mysql" else mysqld.mariadb(directory)
        )

    def initialize(self, like: "DatabaseServer | None" = None) -> None:
        """Make the empty data folder, or a copy of one that was never started. Raises LocalError."""
        if like is not None:
            own = shutil.ignore_patterns("auto.cnf")  # who it is
            shutil.copytree(like.directory / "data", self.directory / "data", ignore=own)
        else:
            done = subprocess.run(self._install, capture_output=True, timeout=START_DEADLINE)
            if done.returncode != 0:
                said = done.stderr.decode(errors="replace")[-800:]
                raise LocalError(f"{self.name} can't make its data folder:\n{said}")
        password = (self.master / "password").read_text()
        write_secret(
            self.directory / "init.sql",
            f"CREATE USER IF NOT EXISTS 'master'@'%' IDENTIFIED BY '{password}';\n"
            "GRANT ALL PRIVILEGES ON *.* TO 'master'@'%' WITH GRANT OPTION;\n",
        )

    def command(self) -> list[str]:
        """Return the command that runs the server."""
        options = {
            "datadir": self.directory / "data",
            "bind-address": HOST,
            "port": self.port,
            "socket": self.directory / "socket",
            "pid-file": self.directory / "pid",
            "init-file": self.directory / "init.sql",
            "ssl-ca": self.ca_file,
            "ssl-cert": self.directory / "server.crt",
            "ssl-key": self.directory / "server.key",
            "innodb-buffer-pool-size": "4G" if self._durable else "64M",
            "max-connections": 300,
            "performance-schema": "OFF",
            "innodb-flush-log-at-trx-commit": 1 if self._durable else 2,
        }
        if self._durable:
            options |= {"log-bin": "binlog", "server-id": 1, "sync-binlog": 1}
        if self.flavour == "mysql":
            options |= {"mysqlx": "OFF", "secure-file-priv": ""}
            # With the usual 100 MB the server would write changed pages all the time to free its log.
            options |= {"innodb-redo-log-capacity": "2G"} if self._durable else {"disable-log-bin": "ON"}
        return [*self._program, "--no-defaults", "--user=root", *(f"--{k}={v}" for k, v in options.items())]


class RedisServer(Server):
    """Redis with TLS and a password; in cluster mode one primary that announces its host name."""

    def __init__(self, directory: Path, port: int, authority: Authority, cluster: bool) -> None:
        super().__init__("redis", directory, port, authority)
        self.credentials = _credentials(directory / "credentials", None)
        self.cluster = cluster
        self.bus_port = free_port()

    def command(self) -> list[str]:
        """Return the command that runs the server."""
        options = {
            "bind": HOST,
            "port": "0",
            "tls-port": str(self.port),
            "tls-ca-cert-file": str(self.ca_file),
            "tls-cert-file": str(self.directory / "server.crt"),
            "tls-key-file": str(self.directory / "server.key"),
            "tls-auth-clients": "no",
            "requirepass": (self.credentials / "password").read_text(),
            "dir": str(self.directory),
            "save": "",
            "maxmemory": "64mb",
            "maxmemory-policy": "allkeys-lru",
        }
        if self.cluster:
            options |= {
                "cluster-enabled": "yes",
                "cluster-port": str(self.bus_port),
                "tls-cluster": "yes",
                "cluster-announce-hostname": "localhost",
                "cluster-preferred-endpoint-type": "hostname",
            }
        config = self.directory / "redis.conf"  # a file: the password must not be on the command line
        write_secret(config, "".join(f'{name} "{value}"\n' for name, value in options.items()))
        return ["redis-server", str(config)]

    def wait_ready(self) -> None:
        """Return when it takes connections, in cluster mode when every slot is served."""
        super().wait_ready()
        if self.cluster:
            if "cluster_slots_assigned:16384" not in self.call("CLUSTER", "INFO"):
                self.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
            _wait(
                lambda: "cluster_state:ok" in self.call("CLUSTER", "INFO"),
                START_DEADLINE,
                "the Redis cluster does not come up",
            )

    def call(self, *command: str) -> str:
        """Run one command and return what redis-cli prints. Raises LocalError."""
        done = subprocess.run(
            ["redis-cli", "-h", HOST, "-p", str(self.port), "--tls", "--cacert", str(self.ca_file), *command],
            env={"REDISCLI_AUTH": (self.credentials / "password").read_text(), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            timeout=10,
            text=True,
        )
        if done.returncode != 0:
            raise LocalError(f"redis-cli {command[0]}: {done.stderr.strip()}")
        return done.stdout


@contextmanager
def database(flavour: Flavour, *, durable: bool = False) -> Generator[DatabaseServer]:
    """Run a database for the block. `durable`: every commit reaches the disk and its binary log, as in production."""
    with TemporaryDirectory(prefix="point-database-") as folder:
        directory = Path(folder)
        server = DatabaseServer(flavour, directory, free_port(), _authority(directory), durable)
        server.initialize()
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def redis(*, cluster: bool = True) -> Generator[RedisServer]:
    """Run Redis for the block."""
    with TemporaryDirectory(prefix="point-redis-") as folder:
        directory = Path(folder)
        server = RedisServer(directory, free_port(), _authority(directory), cluster)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _credentials(directory: Path, username: str | None) -> Path:
    if username is not None:
        write_secret(directory / "username", username)
    write_secret(directory / "password", secrets.token_hex(16))
    return directory


def _authority(directory: Path) -> Authority:
    return Authority("point-platform test authority", directory / "ca.crt", directory / "ca.key")


def _dies_with_us(command: Sequence[str]) -> list[str]:
    """Have the kernel end the server when we are killed and can't."""
    setpriv = found("setpriv")
    return [setpriv, "--pdeathsig", "KILL", *command] if setpriv else list(command)


def _wait(condition: Callable[[], bool], seconds: float, failure: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise LocalError(f"{failure} (waited {seconds:.0f} s)")
        time.sleep(0.02)
