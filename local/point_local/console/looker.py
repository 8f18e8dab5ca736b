"""One look at the running stack: each part by itself, so that what does not answer hides nothing else."""

import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from point_local.console import figures, member, service, state, switches, timeline
from point_local.console.books import Books, Line
from point_local.drill.observe import Object
from point_local.failover import controller
from point_local.failover.roles import Copy
from point_local.look import boards
from point_local.machine.cluster import NODES
from point_local.machine.node import Node
from point_local.programs.command import LocalError
from point_local.stack import api, application, data, edge, prometheus, sessions

PATIENCE_SECONDS = 4.0
BOARD_SECONDS = 60.0
"""How long the dashboard's queries are kept."""

T = TypeVar("T")


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """The way in: the name, where it leads, and what /healthz is answered there (None: nothing)."""

    host: str
    address: str | None
    answers: int | None


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a page shows; `at` in seconds since 1970."""

    at: float
    edge: Edge
    zones: Sequence[state.Zone]
    pods: Sequence[state.Pod]
    figures: Mapping[str, float | None]
    service: service.Service | None
    opened: float | None
    """Since when the books are counted, in seconds since 1970."""
    books: Mapping[str, Line]
    """By kind of entry."""
    problems: Sequence[str]
    """What did not answer, a line each."""
    desk: "Shown"


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What was done from a page, and what happened."""

    switches: switches.Shown
    timeline: Sequence[timeline.Line]
    member: member.Shown
    command: str
    """The last patch of the PointService that was asked for."""


class Desk:
    """What pages do, the same for each of them."""

    def __init__(self) -> None:
        self.timeline = timeline.Timeline()
        self.switches = switches.Switches(self.timeline)
        self.member = member.Member()
        self.command = ""

    def shown(self) -> Shown:
        """How all is now."""
        return Shown(
            switches=self.switches.shown(),
            timeline=self.timeline.lines(),
            member=self.member.shown(),
            command=self.command,
        )


class Looker:
    """Remembers between looks what is dear to ask. One look at a time."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._changes = timeline.Changes()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="look")
        self._queries: tuple[float, str] = (0.0, "")
        self._books: Books | None = None

    def look(self) -> str:
        """The state now, as JSON."""
        with self._lock:
            return msgspec.json.encode(self._state()).decode()

    def forget(self) -> None:
        """The last page is gone: the next one's books begin with it."""
        self._books = None
        self._changes.forget()

    def _state(self) -> State:
        problems: list[str] = []
        at = time.time()

        def start(what: str, ask: Callable[[], T], without: T) -> Callable[[], T]:
            asked = self._pool.submit(ask)

            def wait() -> T:
                try:
                    return asked.result()
                except LocalError as error:
                    problems.append(f"{what}: {str(error).splitlines()[0]}")
                except Exception as error:  # a fault of this page may not end the watch
                    problems.append(f"{what}: {type(error).__name__}: {error}")
                return without

            return wait

        none: list[Object] = []
        pods = start("pods", lambda: _items("/api/v1/pods", "metadata.namespace!=kube-system"), none)
        nodes = start("machines", lambda: _items("/api/v1/nodes"), none)
        lease = start("the operator's leader", lambda: _get(_LEASE), {})
        copies = start("the database", _databases, ("", {}))
        caches = start("Redis", _caches, {})
        figure = start("Prometheus", self._figures, {})
        way_in = start("the edge", _edge, Edge(host=application.hosts()[0], address=None, answers=None))
        told = start("the PointService", _pointservice, None)
        writer, seen = copies()
        no_lines: Mapping[str, Line] = {}
        books = start("the books", lambda: self._count(writer), no_lines)
        said = state.database_roles(writer, seen) | state.cache_roles(caches()) | state.leader(lease())
        running = {n.name: _lit(n) for n in NODES}
        dark = [name for name, lit in running.items() if not lit]
        zones, there, edge_is = state.zones(nodes(), running), state.pods(pods(), said, dark), way_in()
        sight = timeline.Sight(at=at, zones=zones, pods=there, answers=edge_is.answers)
        for text, bad in self._changes.seen(sight):
            self._desk.timeline.tell(text, bad=bad, at=at)
        return State(
            at=at,
            edge=edge_is,
            zones=zones,
            pods=there,
            figures=figure(),
            service=told(),
            books=books(),
            opened=self._books.opened if self._books else None,
            problems=problems,
            desk=self._desk.shown(),
        )

    def _count(self, writer: str) -> Mapping[str, Line]:
        def ask(question: str) -> Sequence[tuple[object, ...]]:
            return sessions.reader(writer).run(question)

        if not writer:
            return {}
        self._books = books = self._books or Books()
        return books.read(ask)

    def _figures(self) -> Mapping[str, float | None]:
        asked, question = self._queries
        if time.monotonic() - asked > BOARD_SECONDS or not question:
            board = boards.dashboards().get(f"{application.NAMESPACE}.{application.NAME}", {"panels": []})
            question = figures.question(figures.expressions(board))
            self._queries = (time.monotonic(), question)
        return figures.answer(prometheus.query(question, timeout=PATIENCE_SECONDS))


_LEASE = "/apis/coordination.k8s.io/v1/namespaces/point-system/leases/point-operator"


def _lit(node: Node) -> bool:
    """Whether a machine's processes run and its network is up."""
    try:
        flags = Path(f"/sys/class/net/v-{node.name}/flags").read_text()
    except OSError:
        return False
    return node.init() is not None and bool(int(flags, 16) & 1)


def _get(path: str) -> Object:
    return api.get(path, timeout=PATIENCE_SECONDS)


def _items(path: str, where: str = "") -> list[Object]:
    return api.get(path, timeout=PATIENCE_SECONDS, fieldSelector=where)["items"]


def _pointservice() -> service.Service | None:
    path = f"namespaces/{application.NAMESPACE}"
    found = _get(f"/apis/pointservice.io/v1beta1/{path}/pointservices/{application.NAME}")
    return service.service(found, _items(f"/api/v1/{path}/events", "involvedObject.kind=PointService"))


def _databases() -> tuple[str, Mapping[str, Copy | None]]:
    record = _get("/api/v1/namespaces/data/configmaps/mysql-roles")
    writer = str(record["data"]["writer"])
    return writer, controller.observe(writer)


def _caches() -> Mapping[str, Sequence[object] | None]:
    def role(zone: str) -> Sequence[object] | None:
        try:
            return data.valkey(zone, "role")
        except LocalError:
            return None

    return {zone: role(zone) for zone in data.CACHE_ZONES}


def _edge() -> Edge:
    host = application.hosts()[0]
    try:
        address = socket.gethostbyname(host)
    except OSError:
        address = None
    return Edge(host=host, address=address, answers=edge.status(host))
