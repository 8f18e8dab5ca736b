"""What is assumed of a month's traffic and volume, since nothing declares it."""

from dataclasses import dataclass

from point_infra.cost.prices import HOURS


@dataclass(frozen=True)
class Usage:
    """A month's traffic and volume: a shop of about 30 requests a second on average, and what follows from that.

    A request is some 3 kB in and out, has a line in the log of the service, and one in those of both proxies when it
    fails or is among the one in sixteen that are sampled (`incluster.mesh.ACCESS_LOG`).
    """

    requests_per_second: float = 30
    request_kb: float = 3
    application_line_bytes: float = 350
    access_line_bytes: float = 700
    sampled: float = 1 / 16
    other_logs_gb: float = 20
    """Control plane, database, nodes and what is refused."""
    nat_gb: float = 50
    image_cache_gb: float = 1
    """The charts' public images, for one processor, as they are kept."""
    storage_gb: float = 50
    io_millions: float = 100
    runner_minutes: float = 1200
    """30 deploys of 20 minutes, 60 previews of 10."""

    @property
    def requests_millions(self) -> float:
        """Requests a month."""
        return self.requests_per_second * HOURS * 3600 / 1e6

    @property
    def lcus(self) -> float:
        """Load balancer capacity units: 25 new connections a second or 1 GB an hour each, whichever is more."""
        return max(self.requests_per_second / 25, self.requests_per_second * 3600 * self.request_kb / 1e6)

    def logs_gb(self, *, containers: bool) -> float:
        """Taken in by CloudWatch, with or without what the containers write."""
        line = self.application_line_bytes + 2 * self.access_line_bytes * self.sampled
        return self.other_logs_gb + (self.requests_millions * line / 1000 if containers else 0)

    @property
    def traffic_gb(self) -> float:
        """Between clients and the load balancer."""
        return self.requests_millions * self.request_kb

    @property
    def egress_gb(self) -> float:
        """Half of the traffic leaves; the first 100 GB of an account's month are free."""
        return max(0, self.traffic_gb / 2 - 100)

    @property
    def cross_zone_gb(self) -> float:
        """A request meets another zone twice in three hops: gateway, service, database."""
        return 2 * self.traffic_gb


_TRIAL = Usage(
    requests_per_second=3, other_logs_gb=8, nat_gb=20, storage_gb=10, io_millions=10, runner_minutes=200
)


def of(profile: str) -> Usage:
    """What is assumed of a stack: a trial is tried by few."""
    return _TRIAL if profile == "trial" else Usage()
