"""What the dashboard of a PointService shows: numbers of now, then its requests, then what serves them.

Only metrics of the service itself (`service/point_service/telemetry/metrics.py`), of any Python process, of the
proxies and of kubelets are asked for, so no other exporter is needed.
"""

from kubernetes.utils.quantity import parse_quantity

from point_operator.model import names
from point_operator.model.api import PointService
from point_operator.resources.watching import service_requests, service_saturation
from point_operator.resources.watching.panels import RATE, Row, Stat
from point_operator.resources.watching.service_requests import POD_P99
from point_operator.resources.watching.service_saturation import PODS
from point_operator.resources.watching.slo import ERRORS, limited


def values(point_service: PointService) -> dict[str, str]:
    """Return what takes the place of each word with a dollar sign in a query."""
    name, namespace, spec = point_service.name, point_service.namespace, point_service.spec
    canary = f"(-{names.CANARY})?"
    # Character classes rather than backslashes, which PromQL and JSON would each want doubled.
    cluster = f"outbound[|][0-9]+[|][^|]*[|]{name}{canary}[.]{namespace}[.]svc[.]cluster[.]local"
    return {
        "pods": f'namespace="{namespace}",pod=~"{name}{canary}-[a-z0-9]+-[a-z0-9]+"',
        "gateways": f'namespace="{spec.gateway.namespace}"',
        "gateway": f'namespace="{spec.gateway.namespace}",cluster_name=~"{cluster}"',
        "limited": f'namespace="{spec.gateway.namespace}",component="{namespace}/{name}"',
        "min_pods": str(spec.autoscaling.min_replicas),
        "max_pods": str(spec.autoscaling.max_replicas),
        "cpu": f"{parse_quantity(spec.resources.requests.cpu):f}",
        "cpu_target": str(spec.autoscaling.target_cpu_utilization_percentage / 100),
        "memory": f"{parse_quantity(spec.resources.limits.memory):f}",
    }


NOW = Row(
    "",
    (
        Stat("Requests", "reqps", ERRORS.every_over(RATE)),
        Stat(
            "Answers without a server error",
            "percentunit",
            f"1 - ({ERRORS.bad_over('$__range')}) / ({ERRORS.every_over('$__range')})",
            ((0, "red"), (1 - ERRORS.budget, "green")),
            decimals=3,
            about="Over the time shown. The promise is 99.9%.",
        ),
        Stat("99 of 100 answered within", "s", POD_P99, ((0, "green"), (0.25, "yellow"), (0.5, "red"))),
        Stat(
            "Error budget burns",
            "none",
            ERRORS.burn("1h"),
            ((0, "green"), (1, "yellow"), (6, "red")),
            decimals=2,
            about="Over one hour: at 1 the budget lasts exactly 30 days, at 14.4 two days.",
        ),
        Stat("Pods", "none", PODS),
        Stat(
            "Over the rate limit",
            "reqps",
            limited(RATE),
            ((0, "green"), (1, "yellow")),
            about="Requests per second that the gateway refuses with 429.",
        ),
    ),
)

ROWS = (
    NOW,
    service_requests.PROMISES,
    service_requests.REQUESTS,
    service_requests.POINTS,
    service_saturation.SATURATION,
    service_saturation.ADMISSION,
    service_saturation.DATABASE_AND_REDIS,
    service_saturation.GATEWAY_AND_MESH,
)
