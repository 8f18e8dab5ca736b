"""The failover controller of the local data tier, as Aurora's and ElastiCache's control planes are of theirs.

It runs on the host, outside the zones, with a connection to each server (`stack/sessions.py`). Who the writer is lies
in the ConfigMap `data/mysql-roles` (`record.py`), written before the writer is made one, so a controller that dies
half-way is continued by the next.
"""

import contextlib
import fcntl
import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

from point_local.build import rootfs
from point_local.failover import gtid
from point_local.failover.record import Record
from point_local.failover.roles import (
    Action,
    Apply,
    Copy,
    Fence,
    Follow,
    Freeze,
    MakeWriter,
    Promote,
    Rebuild,
    decide,
    reader,
)
from point_local.programs import paths
from point_local.programs.command import LocalError
from point_local.programs.daemon import Daemon
from point_local.stack import data, sessions

ZONES = ("a", "b", "c")
EVERY_SECONDS = 1.5
HURRY_SECONDS = 0.3
"""Between two looks while the writer is silent."""
_LONGEST_LOOK = EVERY_SECONDS + sessions.PATIENCE_SECONDS + 0.5
DAEMON = Daemon(paths.STATE / "failover.pid")
"""The controller in the background."""
_OBSERVE = """
SELECT JSON_OBJECT(
  'executed', @@GLOBAL.gtid_executed, 'owned', @@GLOBAL.gtid_owned, 'read_only', @@GLOBAL.read_only,
  'received', (SELECT RECEIVED_TRANSACTION_SET FROM performance_schema.replication_connection_status LIMIT 1),
  'state', (SELECT SERVICE_STATE FROM performance_schema.replication_connection_status LIMIT 1),
  'applying', (SELECT SERVICE_STATE FROM performance_schema.replication_applier_status LIMIT 1),
  'source', (SELECT HOST FROM performance_schema.replication_connection_configuration LIMIT 1))
"""
log = logging.getLogger("failover")


def start() -> None:
    """Start the controller in the background, unless it runs."""
    DAEMON.start([paths.ROOT / ".venv" / "bin" / "point-local", "failover"], paths.LOGS / "failover.log")


def watches() -> bool:
    """Whether the controller runs, or has nothing to watch because the data tier is MariaDB's."""
    return DAEMON.process() is not None or rootfs.database() == "mariadb"


def run() -> None:
    """Watch and act until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    ended = threading.Event()

    def end(_: int, __: FrameType | None) -> None:
        ended.set()

    signal.signal(signal.SIGTERM, end)
    controller = Controller()
    with (paths.STATE / "failover.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # never two at once
        # Apart from each other: a server that does not answer takes seconds of a look.
        cache = threading.Thread(target=_repeat, args=(_heal_cache, ended))
        cache.start()
        _repeat(controller.step, ended)
        cache.join()


def _repeat(look: Callable[[], float], ended: threading.Event) -> None:
    """Look until told to end; a look returns the seconds until the next one."""
    while not ended.is_set():
        pause = EVERY_SECONDS
        try:
            pause = look()
        except LocalError as error:  # the API server is away: nothing can be seen, so nothing is done
            log.warning("%s", str(error).splitlines()[0])
        except Exception:  # whatever it is, the next look may succeed, and nobody else would look
            log.exception("a look failed")
        ended.wait(pause)


class Controller:
    """What is remembered between two looks."""

    def __init__(self) -> None:
        self._looked = time.monotonic()
        self._silent = 0.0
        self._services: tuple[str, str] | None = None
        self._record: Record | None = None

    def step(self) -> float:
        """Look once at every server and do what must be done; what fails is tried again at the next look.

        Return the seconds until then.
        """
        record = self._record = self._record or Record()
        writer = _writer(record)
        copies = observe(writer)
        self._count_silence(copies[writer] is None)
        for action in decide(writer, copies, self._silent):
            log.info("%s", action)
            try:
                act(action, writer, record)
            except LocalError as error:
                log.warning("%s failed: %s", action, error)
                continue
            if isinstance(action, Promote):
                writer, self._silent = action.zone, 0.0
        if self._silent:
            return HURRY_SECONDS
        self._point_services(record, writer, reader(writer, copies))
        return EVERY_SECONDS

    def _count_silence(self, silent: bool) -> None:
        """Add up only the time in which somebody looked: a long action is no silence of the writer."""
        now = time.monotonic()
        self._silent = self._silent + min(now - self._looked, _LONGEST_LOOK) if silent else 0.0
        self._looked = now

    def _point_services(self, record: Record, writer: str, read: str) -> None:
        if self._services != (writer, read):
            record.point("mysql-writer", writer)
            record.point("mysql-reader", read)
            log.info("mysql-writer is in zone %s, mysql-reader in zone %s", writer, read)
            self._services = (writer, read)


def recorded_writer() -> str:
    """The zone of the writer. Raises LocalError when the API server is away or nobody can tell."""
    return _writer(Record())


def _writer(record: Record) -> str:
    """The zone of the writer.

    A data tier without a record is a new one, whose first writer is in zone a, unless a copy says otherwise.
    """
    found = record.writer()
    if found in ZONES:
        return found
    copies = observe(data.WRITER)
    writable = [z for z, c in copies.items() if c is not None and c.writable]
    new = all(c is not None and not c.executed for c in copies.values())
    if len(writable) != 1 and not new:
        raise LocalError(
            "there is no record of the writer (ConfigMap data/mysql-roles), and the copies don't tell"
        )
    record.write(writable[0] if writable else data.WRITER)
    return writable[0] if writable else data.WRITER


def observe(writer: str) -> Mapping[str, Copy | None]:
    """Every copy as it answers; the writer last, so that it is seen with all that the others have from it."""
    others = [z for z in ZONES if z != writer]
    with ThreadPoolExecutor() as pool:
        seen = dict(zip(others, pool.map(_observe_one, others), strict=True))
    return {**seen, writer: _observe_one(writer)}


def act(action: Action, writer: str, record: Record) -> None:
    """Do one thing. A copy that goes away meanwhile is seen at the next look."""
    zone = action.zone
    match action:
        case Promote():
            record.write(zone)
            _make_writer(zone)
        case MakeWriter():
            _make_writer(zone)
        case Apply():
            sessions.mysql(zone).run("START REPLICA SQL_THREAD", timeout=20)
        case Freeze():
            sessions.mysql(zone).run("STOP REPLICA IO_THREAD", timeout=20)
        case Follow():
            data.follow(zone, action.source)
        case Fence():
            record.end(zone)
        case Rebuild():
            data.clone(zone, writer)
        case _:
            raise TypeError(f"unknown action {action!r}")


def _make_writer(zone: str) -> None:
    sessions.mysql(zone).run(
        "STOP REPLICA",
        "RESET REPLICA ALL",
        "SET GLOBAL rpl_semi_sync_source_enabled = ON",
        "SET GLOBAL super_read_only = OFF",
        "SET GLOBAL read_only = OFF",
        timeout=20,
    )


def _observe_one(zone: str) -> Copy | None:
    try:
        answer = json.loads(sessions.mysql(zone).value(_OBSERVE))
    except LocalError:
        return None
    source = answer["source"]
    return Copy(
        executed=gtid.parse(answer["executed"]),
        received=gtid.parse(answer["received"] or ""),
        writable=not answer["read_only"],
        source=next((z for z in ZONES if source and source.startswith(f"mysql-{z}.")), None),
        receiving=answer["state"] in ("ON", "CONNECTING"),
        applying=answer["applying"] == "ON",
        owned=gtid.parse(answer["owned"] or ""),
    )


def _heal_cache() -> float:
    """Let the replica take over from a primary that is gone: one primary has no majority to elect with.

    Two servers that are both there and have lost each other (both started anew, with new addresses) are
    introduced to each other again.
    """
    views = {zone: _cache_view(zone) for zone in data.CACHE_ZONES}
    for zone, other in (data.CACHE_ZONES, data.CACHE_ZONES[::-1]):
        nodes = views[zone]
        if not nodes:
            continue
        myself = next((n for n in nodes if "myself" in n[2]), None)
        rest = [n for n in nodes if "myself" not in n[2]]
        lost = any(n[7] == "disconnected" or "fail" in n[2].replace("nofailover", "") for n in rest)
        if myself is None or not lost:
            continue
        with contextlib.suppress(LocalError):
            if views[other]:
                data.meet(zone, other)
            elif "slave" in myself[2]:
                log.info("the cache in zone %s takes over", zone)
                data.valkey(zone, "cluster", "failover", "takeover")
    return EVERY_SECONDS


def _cache_view(zone: str) -> list[list[str]] | None:
    """CLUSTER NODES as one server sees it, a list of fields a node; None when it does not answer."""
    try:
        return [line.split() for line in data.valkey(zone, "cluster", "nodes").splitlines()]
    except LocalError:
        return None
