"""What members are promised, how it is measured, and how fast the error budget may burn.

A member sees what the gateway answers: also the 503 when no pod is ready, which no pod counts. So errors are
counted at the gateway, and in the pods only where nobody scrapes the gateway's proxies
(`operator/deploy/monitoring`). In a query `$pods` and `$gateway` stand for label matchers (`service_dashboard.values`).
"""

import msgspec

PROBES = 'route!~"/(healthz|readyz|metrics)"'
"""Leaves out what the platform asks: no member waits for that."""


class Objective(msgspec.Struct, frozen=True):
    """A promise over 30 days: at most the share `budget` of all answers is bad."""

    name: str
    """Also the part of the recorded series' name that tells what is bad."""
    budget: float
    bad: str
    """PromQL, `$window` for the range: bad answers per second."""
    every: str
    """The same for all answers."""

    def bad_over(self, window: str) -> str:
        """Bad answers per second over a window such as `5m`."""
        return self.bad.replace("$window", window)

    def every_over(self, window: str) -> str:
        """Answers per second over a window."""
        return self.every.replace("$window", window)

    def burn(self, window: str) -> str:
        """How many times faster than it may the budget is used up: 1 lasts exactly 30 days."""
        return f"({self.bad_over(window)}) / ({self.every_over(window)}) / {self.budget}"


_ANSWERED = (
    'sum(rate(envoy_cluster_upstream_rq{$gateway,response_code_class!=""}[$window])) '
    f"or sum(rate(point_requests_total{{$pods,{PROBES}}}[$window]))"
)
ERRORS = Objective(
    name="errors",
    budget=0.001,
    bad='sum(rate(envoy_cluster_upstream_rq{$gateway,response_code_class="5xx"}[$window])) '
    f'or sum(rate(point_requests_total{{$pods,{PROBES},status=~"5.."}}[$window])) '
    f"or 0 * ({_ANSWERED})",  # a series for a status exists only once there was one
    every=_ANSWERED,
)
"""99.9% of answers are no server errors."""

SLOW_SECONDS = 0.5
SLOW = Objective(
    name="slow",
    budget=0.01,
    bad=f"sum(rate(point_request_duration_seconds_count{{$pods,{PROBES}}}[$window])) - "
    f'sum(rate(point_request_duration_seconds_bucket{{$pods,{PROBES},le="{SLOW_SECONDS}"}}[$window]))',
    every=f"sum(rate(point_request_duration_seconds_count{{$pods,{PROBES}}}[$window]))",
)
"""99% of answers take no longer than half a second, inside the pods."""


def limited(window: str) -> str:
    """PromQL: requests per second that the gateway refuses for the rate limit, whoever counts them."""
    by_gateway = f"sum(rate(envoy_http_local_rate_limit_rate_limited{{$limited}}[{window}]))"
    by_service = (
        f"(sum(rate(envoy_cluster_ratelimit_{counted}_over_limit{{$gateway}}[{window}])) or vector(0))"
        for counted in ("service", "member")
    )
    return " + ".join([by_gateway, *by_service])


class Burn(msgspec.Struct, frozen=True):
    """Two windows over which the budget burns at `factor` times the rate that lasts 30 days.

    The long one tells that it matters, the short one that it still goes on.
    """

    long: str
    short: str
    factor: float
    severity: str


BURNS = (  # Google's SRE workbook, chapter 5, table 5-8: 2% of the budget in 1 h, 5% in 6 h, 10% in 3 days
    Burn("1h", "5m", 14.4, "page"),
    Burn("6h", "30m", 6, "page"),
    Burn("3d", "6h", 1, "ticket"),
)
LEAST_BAD = 10
"""Fewer bad answers in the long window call nobody: at night one of thirty would be a share of 3%."""
