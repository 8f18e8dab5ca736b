"""Configuration from the environment, checked once at start.

Every value comes from a `POINT_*` variable; secrets come from files that those variables name, and are read
when a connection is made, so that a rotated password needs no restart.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from point_service.domain.policy import Policy
from point_service.environment import Credentials, Environment, SettingError

SHARED_REQUESTS = 32  # the most that go into one transaction together
RETENTION_HOURS = 24  # that an answer is kept at least
OTLP = "http/protobuf"
CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")  # of the pod's own control group, version 2
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._:-]{0,252}[A-Za-z0-9])?")
OTLP_ENDPOINT = re.compile(r"https?://[A-Za-z0-9\[][A-Za-z0-9.:\]_-]{0,252}(/[^\s?#@]*)?")
DATABASE_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The MySQL-compatible database. Times are seconds."""

    host: str
    reader_host: str | None
    port: int
    name: str
    credentials: Credentials | None
    migration_credentials: Credentials | None
    tls: bool
    ca_file: Path | None
    pool_size: int
    acquire_timeout: float
    connection_lifetime: float

    @property
    def ledger(self) -> str:
        """A short name of the ledger that this is, another for every other one."""
        return hashlib.sha256(f"{self.host}:{self.port}/{self.name}".encode()).hexdigest()[:12]


class CacheSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Redis or Valkey. Times are seconds."""

    host: str
    port: int
    cluster_mode: bool
    credentials: Credentials | None
    tls: bool
    ca_file: Path | None
    timeout: float
    answer_ttl: int


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What is in force for this process. Times are seconds."""

    database: DatabaseSettings
    cache: CacheSettings | None
    policy: Policy
    http_address: str
    http_port: int
    log_level: str
    log_key_file: Path | None
    lock_enabled: bool
    shared_requests: int
    request_timeout: float
    target_latency: float
    drain_timeout: float
    idempotency_retention_hours: int
    keys_by_client: bool
    upkeep_interval: float
    traces_endpoint: str | None
    zone: str | None
    pod_name: str | None


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `environment` (the process's own by default). Raises SettingError."""
    return _settings(Environment(os.environ if environment is None else environment))


def shown(environment: Mapping[str, str] | None = None) -> str:
    """Return every variable that `load` reads, a line each, with the value in force. Raises SettingError.

    There is no secret in them, only where the secrets lie.
    """
    env = Environment(os.environ if environment is None else environment)
    _settings(env)
    return "\n".join(f"{name}={value}" for name, value in sorted(env.in_force.items()))


def _settings(env: Environment) -> Settings:
    return Settings(
        database=_database(env),
        cache=_cache(env),
        policy=_policy(env),
        http_address=env.text("POINT_HTTP_ADDRESS", "0.0.0.0"),  # noqa: S104 - a pod's port is its interface
        http_port=env.whole("POINT_HTTP_PORT", 8080, 1, 65535),
        log_level=env.one_of("POINT_LOG_LEVEL", "INFO", LOG_LEVELS),
        log_key_file=env.key("POINT_LOG_KEY_FILE"),
        lock_enabled=env.flag("POINT_LOCK_ENABLED", True),
        shared_requests=env.whole("POINT_SHARED_TRANSACTION_REQUESTS", SHARED_REQUESTS, 1, 500),
        request_timeout=env.seconds("POINT_REQUEST_TIMEOUT_SECONDS", 4.5, 0.5, 60),
        target_latency=env.seconds("POINT_TARGET_LATENCY_SECONDS", 0.25, 0, 60),
        drain_timeout=env.seconds("POINT_DRAIN_TIMEOUT_SECONDS", 20, 0, 300),
        idempotency_retention_hours=env.whole("POINT_IDEMPOTENCY_RETENTION_HOURS", RETENTION_HOURS, 1, 720),
        keys_by_client=env.one_of("POINT_IDEMPOTENCY_SCOPE", "Caller", ("CALLER", "CLIENT")) == "CLIENT",
        upkeep_interval=env.seconds("POINT_UPKEEP_INTERVAL_SECONDS", 60, 0, 86_400),
        traces_endpoint=_traces_endpoint(env),
        zone=env.optional("POINT_ZONE"),
        pod_name=env.optional("POINT_POD_NAME"),
    )


def pool_size(cpu_limit: Path = CPU_LIMIT) -> int:
    """Return how many connections the CPUs that this process may use keep busy: 10 each, from 4 to 50."""
    cpus = float(len(os.sched_getaffinity(0)))
    try:
        quota, period = cpu_limit.read_text("ascii").split()
        cpus = min(cpus, int(quota) / int(period))
    except (OSError, ValueError):  # no control group, or "max": no limit
        pass
    return max(4, min(50, round(10 * cpus)))


def _traces_endpoint(env: Environment) -> str | None:
    """Return the OTLP receiver's base URL, None when there is none: traces are then off."""
    if env.optional("OTEL_EXPORTER_OTLP_ENDPOINT") is None:
        return None
    protocol = env.text("OTEL_EXPORTER_OTLP_PROTOCOL", OTLP)
    if protocol != OTLP:
        raise SettingError(f"OTEL_EXPORTER_OTLP_PROTOCOL: {protocol!r} is not {OTLP}, the one there is")
    if "@" in env.text("OTEL_EXPORTER_OTLP_ENDPOINT"):  # not shown: there may be a password in it
        raise SettingError(
            "OTEL_EXPORTER_OTLP_ENDPOINT: has credentials; OTEL_EXPORTER_OTLP_HEADERS is for them"
        )
    return env.matching("OTEL_EXPORTER_OTLP_ENDPOINT", OTLP_ENDPOINT, "an http or https URL")


def _database(env: Environment) -> DatabaseSettings:
    return DatabaseSettings(
        host=env.matching("POINT_DATABASE_HOST", HOST, "a host name"),
        reader_host=(
            env.matching("POINT_DATABASE_READER_HOST", HOST, "a host name")
            if env.optional("POINT_DATABASE_READER_HOST")
            else None
        ),
        port=env.whole("POINT_DATABASE_PORT", 3306, 1, 65535),
        name=env.matching("POINT_DATABASE_NAME", DATABASE_NAME, "1 to 64 letters, digits or _", "points"),
        credentials=env.credentials("POINT_DATABASE_CREDENTIALS_DIR"),
        migration_credentials=env.credentials("POINT_DATABASE_MIGRATION_CREDENTIALS_DIR"),
        tls=env.flag("POINT_DATABASE_TLS", True),
        ca_file=env.authorities("POINT_DATABASE_CA_FILE"),
        pool_size=env.whole("POINT_DATABASE_POOL_SIZE", pool_size(), 1, 500),
        acquire_timeout=env.seconds("POINT_DATABASE_ACQUIRE_TIMEOUT_SECONDS", 2, 0.1, 60),
        connection_lifetime=env.seconds("POINT_DATABASE_CONNECTION_LIFETIME_SECONDS", 300, 1, 86_400),
    )


def _cache(env: Environment) -> CacheSettings | None:
    if env.optional("POINT_CACHE_HOST") is None:
        return None
    return CacheSettings(
        host=env.matching("POINT_CACHE_HOST", HOST, "a host name"),
        port=env.whole("POINT_CACHE_PORT", 6379, 1, 65535),
        cluster_mode=env.flag("POINT_CACHE_CLUSTER_MODE", True),
        credentials=env.credentials("POINT_CACHE_CREDENTIALS_DIR"),
        tls=env.flag("POINT_CACHE_TLS", True),
        ca_file=env.authorities("POINT_CACHE_CA_FILE"),
        timeout=env.seconds("POINT_CACHE_TIMEOUT_SECONDS", 0.25, 0.01, 10),
        answer_ttl=env.whole("POINT_CACHE_ANSWER_TTL_SECONDS", 3_600, 1, 86_400),
    )


def _policy(env: Environment) -> Policy:
    most, usual = 1_000_000_000_000, Policy()
    policy = Policy(
        min_earn=env.whole("POINT_POLICY_MIN_EARN", usual.min_earn, 1, most),
        max_earn=env.whole("POINT_POLICY_MAX_EARN", usual.max_earn, 1, most),
        max_balance=env.whole("POINT_POLICY_MAX_BALANCE", usual.max_balance, 1, most),
        default_expiry_days=env.whole(
            "POINT_POLICY_DEFAULT_EXPIRY_DAYS", usual.default_expiry_days, 1, 36_500
        ),
        max_expiry_days=env.whole("POINT_POLICY_MAX_EXPIRY_DAYS", usual.max_expiry_days, 1, 36_500),
        expiring_soon_days=env.whole("POINT_POLICY_EXPIRING_SOON_DAYS", usual.expiring_soon_days, 1, 366),
    )
    for low, high, low_value, high_value in (
        ("MIN_EARN", "MAX_EARN", policy.min_earn, policy.max_earn),
        ("MAX_EARN", "MAX_BALANCE", policy.max_earn, policy.max_balance),
        ("DEFAULT_EXPIRY_DAYS", "MAX_EXPIRY_DAYS", policy.default_expiry_days, policy.max_expiry_days),
    ):
        if low_value > high_value:
            raise SettingError(
                f"POINT_POLICY_{low}: {low_value} is more than POINT_POLICY_{high}, which is {high_value}"
            )
    return policy
