"""What Prometheus scrapes. Amounts are points, durations seconds."""

from prometheus_client import Counter, Gauge, Histogram

from point_service.contract.errors import Refusal
from point_service.domain.entries import EntryKind

REQUESTS = Counter("point_requests", "Requests answered", ["route", "method", "status"])
DURATION = Histogram(
    "point_request_duration_seconds",
    "From the request's first byte to the answer",
    ["route", "method"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
IN_FLIGHT = Gauge("point_requests_in_flight", "Requests being answered")
ADMISSION_LIMIT = Gauge(
    "point_admission_limit", "Requests that may be under way at once, by their kind", ["kind"]
)
ADMISSION_UNDER_WAY = Gauge("point_admission_under_way", "Of these, requests under way", ["kind"])
ADMISSION_REFUSED = Counter("point_admission_refused", "Requests refused because of overload", ["kind"])
POINTS = Counter("point_moved_points", "Points moved, by the kind of ledger entry", ["kind"])
REFUSED = Counter("point_refused", "Requests refused, by the problem's code", ["reason"])
REPLAYS = Counter("point_idempotent_replays", "Answers given again under their key", ["source"])
DATABASE_RETRIES = Counter(
    "point_database_retries", "Transactions run again, shared ones request by request", ["fault"]
)
POOL_SIZE = Gauge(
    "point_database_pool_size", "Connections to the writer that requests may have, without the shared one"
)
POOL_IN_USE = Gauge("point_database_pool_in_use", "Of these, connections lent out")
READER_POOL_SIZE = Gauge("point_reader_pool_size", "Connections to the reader that requests may have")
READER_POOL_IN_USE = Gauge("point_reader_pool_in_use", "Of these, connections lent out")
READER_UNAVAILABLE = Counter(
    "point_reader_unavailable", "Reads that went to the writer instead of the reader"
)
SHARED = Histogram(
    "point_shared_transaction_requests",
    "Requests that went into one transaction together",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)
REDIS_UNAVAILABLE = Counter(
    "point_redis_unavailable", "Calls that went on without Redis, by what was missed", ["purpose"]
)
LOCK_WAIT = Histogram(
    "point_lock_wait_seconds",
    "Time a request waited for its member's turn",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
)
EXPIRY_FINISHED = Gauge("point_expiry_finished_timestamp_seconds", "When the expiry job last came to its end")
UPKEEP_FAILURES = Counter(
    "point_upkeep_failures",
    "Background work that did not come to its end: the expiry, the forgetting of answers, one member's expiry",
    ["work"],
)

# A series exists from the start, at 0: a rate needs a first value, and an empty panel would look like a broken one.
for _kind in EntryKind:
    POINTS.labels(_kind)
for _refusal in Refusal.__subclasses__():
    REFUSED.labels(_refusal.code)
for _purpose in ("lock", "answer"):
    REDIS_UNAVAILABLE.labels(_purpose)
for _fault in (
    "deadlock",
    "lock_wait",
    "limit",
    "read_only",
    "lost_connection",
    "ended_connection",
    "not_opened",
):
    DATABASE_RETRIES.labels(_fault)
for _work in ("expiry", "answers", "member"):
    UPKEEP_FAILURES.labels(_work)
for _source in ("cache", "database"):
    REPLAYS.labels(_source)
