"""What a demand needs and costs: from measured costs of a use to Aurora's class, pods, nodes, storage and USD a month.

Processors here and vCPUs there are taken for the same, which no measurement on one machine can say; the shares that
are left free are what stands against it.
"""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

from point_infra.cost import estimate
from point_infra.cost.prices import HOURS, Price, Prices
from point_infra.cost.usage import Usage

MEASURED = Path(__file__).with_name("measured.json")
"""What `make capacity` measured last."""

GIB = 1024**3
SIZES = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge")
_LARGES = (1, 2, 4, 8, 16, 24, 32)
"""How many times a large each size is, in vCPUs, memory and price alike (2 vCPUs and 16 GiB of an r6g.large)."""
FAMILY = "db.r6g"
DEMANDS = (
    (100_000, 1, 3),
    (1_000_000, 6, 5),
    (10_000_000, 60, 5),
    (50_000_000, 300, 5),
    (100_000_000, 600, 10),
)
"""Members, uses a second at the busiest and years of history of the table in docs/capacity.md: four uses a month each,
and a moment four times as busy as the mean."""
INDEX_PAGES = 5
"""That an entry is written into at random, by its member: where they are not in memory, Aurora reads them first."""


@dataclass(frozen=True)
class Measured:
    """Costs of one use, of one point, at half of what the service can do: CPU in ms, the rest in bytes."""

    date: str
    commit: str
    rate: float
    """Uses a second at which it was measured."""
    service_ms: float
    database_ms: float
    cache_ms: float
    redo: float
    """Of the redo log, which is what Aurora writes."""
    member: float
    grant: float
    entry: float
    answer: float
    """The four rows with all their indexes."""


@dataclass(frozen=True)
class Demand:
    """What is asked for, and what is assumed of how a programme is used."""

    members: int
    busiest: float
    """Uses a second."""
    years: float
    """Of history that is kept."""
    average: float = 0.25
    """Of the busiest: what a day's mean is."""
    grants: float = 1
    """A use: who buys earns, too."""
    entries: float = 2.5
    """A use: its own and its grant's, a second grant that it empties, an expiry now and then."""
    live_grants: float = 5
    """Of a member."""
    reads: float = 3
    """A use."""
    answers_hours: float = 24
    hot_days: float = 30
    """History that is still looked at, and should be in memory."""

    @property
    def uses_a_month(self) -> float:
        """Uses."""
        return self.busiest * self.average * HOURS * 3600


@dataclass(frozen=True)
class Limits:
    """How full what is paid for may be at the busiest moment, and what a request costs on its way."""

    database: float = 0.5
    memory: float = 0.6
    """Of the database's: what InnoDB keeps pages in, less what connections take."""
    pod_cores: float = 0.14
    """Where the autoscaler adds a pod: 70% of the 200m that it asks for."""
    nodes: float = 0.5
    node_cores: float = 1.5
    """Of an m5.large, what its agents leave."""
    other_cores: float = 3
    """Of the cluster: istiod, operator, controllers, Prometheus."""
    proxies_ms: float = 1.7
    """CPU of the gateway and both sidecars a use, measured on the stack of one machine."""


@dataclass(frozen=True)
class Sizing:
    """What it takes. `database` is empty where no class of the family is large enough."""

    demand: Demand
    database: str
    cores: float
    """Of the writer, used at the busiest."""
    hot_gb: float
    storage_gb: float
    io_millions: float
    pods: int
    nodes: int
    cache_cores: float

    @property
    def usage(self) -> Usage:
        """What the cost table assumes of its traffic and volume."""
        each = 1 + self.demand.grants + self.demand.reads
        rate = self.demand.busiest * self.demand.average * each
        return replace(
            Usage(), requests_per_second=rate, storage_gb=self.storage_gb, io_millions=self.io_millions
        )

    @property
    def changes(self) -> dict[str, str]:
        """Of a stack's configuration, where one writer is enough."""
        per_zone = str(-(-self.nodes // 3))
        return {
            "databaseInstanceClass": self.database,
            "nodesPerZone": per_zone,
            "maxNodesPerZone": str(max(int(per_zone), 3)),
        }


def read(file: Path = MEASURED) -> Measured:
    """Return what was measured."""
    return Measured(**json.loads(file.read_text()))


def size(demand: Demand, measured: Measured, limits: Limits = Limits()) -> Sizing:
    """Return what a demand needs."""
    year = demand.uses_a_month * 12
    grants_a_year, entries_a_year = year * demand.grants, year * demand.entries
    answers = demand.uses_a_month / HOURS * demand.answers_hours * (1 + demand.grants)
    of_members = demand.members * measured.member
    stored = (
        of_members
        + demand.years * (grants_a_year * measured.grant + entries_a_year * measured.entry)
        + answers * measured.answer
    )
    hot = (
        of_members
        + demand.members * demand.live_grants * measured.grant
        + demand.hot_days / 365 * entries_a_year * measured.entry
        + answers * measured.answer
    )
    # A grant costs about what a use does: the same transaction, one row more.
    changes = demand.busiest * (1 + demand.grants)
    cores = changes * measured.database_ms / 1000
    times = next(
        (t for t in _LARGES if cores / limits.database <= 2 * t and hot / limits.memory <= 16 * GIB * t), None
    )
    missing = max(0, 1 - (times or 0) * 16 * GIB * limits.memory / stored)
    pages = math.ceil(measured.redo / 4096) + INDEX_PAGES * missing
    on_nodes = limits.other_cores + changes * (measured.service_ms + limits.proxies_ms) / 1000 / limits.nodes
    return Sizing(
        demand=demand,
        database=f"{FAMILY}.{SIZES[_LARGES.index(times)]}" if times else "",
        cores=cores,
        hot_gb=hot / GIB,
        storage_gb=stored / GIB,
        io_millions=demand.uses_a_month * (1 + demand.grants) * pages / 1e6,
        pods=max(2, math.ceil(changes * measured.service_ms / 1000 / limits.pod_cores)),
        nodes=max(3, math.ceil(on_nodes / limits.node_cores)),
        cache_cores=changes * measured.cache_ms / 1000,
    )


def most(measured: Measured, limits: Limits = Limits()) -> float:
    """Return the uses a second, each with its grant, where the processors of one writer end."""
    return 2 * _LARGES[-1] * limits.database * 1000 / measured.database_ms / 2


def priced(prices: Prices) -> Prices:
    """Return prices with those of the family's larger classes: Aurora's grow as the classes do."""
    large = prices.database[f"{FAMILY}.large"]
    grown = {
        f"{FAMILY}.{name}": Price((large.usd or 0) * times, f"{large.source}, times {times}", large.estimate)
        for name, times in zip(SIZES, _LARGES, strict=True)
    }
    return replace(prices, database={**grown, **prices.database})


def table(costs: list[tuple[Sizing, list[estimate.Line]]], measured: Measured, region: str) -> str:
    """Return one row a demand, as Markdown, and under it what was measured and where one writer ends."""
    columns = (
        "Members",
        "Uses/s",
        "Years",
        "Aurora",
        "its cores",
        "hot GB",
        "stored GB",
        "pods",
        "nodes",
        "USD a month",
    )
    head = f"| {' | '.join(columns)} |"
    rows = [head, "|---" * len(columns) + "|"]
    for needed, lines in costs:
        asked = needed.demand
        rows.append(
            f"| {asked.members:,} | {asked.busiest:,g} | {asked.years:g} | {needed.database or 'past one writer'} "
            f"| {needed.cores:.1f} | {needed.hot_gb:,.1f} | {needed.storage_gb:,.0f} | {needed.pods} | {needed.nodes} "
            f"| {f'{estimate.total(lines):,.0f}' if needed.database else '-'} |"
        )
    m = measured
    return "\n".join(
        [
            *rows,
            "",
            f"{region}. Measured {m.date}, commit {m.commit}, at {m.rate:,.0f} uses/s: {m.service_ms} ms of the "
            f"service, {m.database_ms} of MySQL, {m.cache_ms} of Redis a use; {m.redo:,.0f} bytes of redo log; rows "
            f"with indexes: member {m.member:.0f}, grant {m.grant:.0f}, entry {m.entry:.0f}, answer {m.answer:.0f} "
            "bytes.",
            f"One writer ends, by its processors, at {most(m):,.0f} uses a second with a grant each ({FAMILY}."
            f"{SIZES[-1]}, {Limits().database:.0%} busy).",
        ]
    )
