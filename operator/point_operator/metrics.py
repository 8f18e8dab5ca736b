"""What Prometheus reads about the operator itself. Durations are seconds."""

from prometheus_client import Counter, Gauge, Histogram

from point_operator.model import kinds

RECONCILES = Counter("point_operator_reconciles", "Reconciles ended", ["result"])
DURATION = Histogram(
    "point_operator_reconcile_duration_seconds",
    "From taking a PointService up to its status being written",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
WRITES = Counter("point_operator_writes", "Writes to the Kubernetes API", ["verb", "kind"])
REPAIRS = Counter(
    "point_operator_drift_repaired", "Children set right after somebody had changed them", ["kind"]
)
ERRORS = Counter("point_operator_errors", "Reconciles that failed and will be repeated", ["reason"])
WAITING = Gauge("point_operator_queue_waiting", "PointServices that are due and not yet taken up")
LEADER = Gauge("point_operator_leader", "1 while this process holds the Lease")
MANAGED = Gauge("point_operator_point_services", "PointServices known")
DEGRADED = Gauge(
    "point_operator_degraded", "1 while a PointService (namespace/name) is Degraded", ["point_service"]
)

# A series exists from the start, at 0: a rate needs a value before the first increase.
for _kind in kinds.MADE:
    REPAIRS.labels(_kind.kind)
