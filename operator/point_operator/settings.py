"""The operator's own configuration, from its environment."""

import os
import socket
from collections.abc import Mapping

import msgspec

from point_operator.model.gateways import DEFAULT, NAMESPACE, ListedGateway, ListError, read


class SettingError(Exception):
    """A variable that can't be used: one line that names it, its value and what is allowed."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What is in force for this process."""

    gateways: tuple[ListedGateway, ...] = (DEFAULT,)
    """What PointServices may be reached by. The first serves those that name none."""
    watch_namespaces: tuple[str, ...] = ()
    """Where PointServices are looked after; empty for everywhere."""
    former_gateway_namespaces: tuple[str, ...] = ()
    """Where gateways were that are not listed any more, to be cleared; only needed where not everywhere is read."""
    hosts_listed: bool = False
    """Whether a namespace without the annotation `names.HOSTS` may have no host at all, instead of any."""
    rate_limit_image: str = "docker.io/envoyproxy/ratelimit:e2a87f41"
    """Image of the Envoy rate limit service, for limits of scope Global."""
    runbook_url: str = ""
    """The page to which alerts link, that of docs/runbook.md; empty for none."""
    namespace: str = "point-system"
    """Where the Lease lies."""
    identity: str = "point-operator"
    """Who this process is among its replicas."""
    http_port: int = 8080
    log_level: str = "INFO"
    workers: int = 8
    """PointServices that are looked at at the same time."""
    resync_seconds: int = 60
    """A PointService is looked at this often although nothing happened: Secrets are not watched, and a watch
    may stall."""

    @property
    def read_namespaces(self) -> tuple[str, ...]:
        """Where anything is read: where PointServices are looked after and at the gateways; empty for everywhere."""
        if not self.watch_namespaces:
            return ()
        at_gateways = (one.namespace for one in self.gateways)
        return tuple(sorted({*self.watch_namespaces, *at_gateways, *self.former_gateway_namespaces}))


def load(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings. Raises SettingError."""
    defaults = Settings()
    try:
        listed = read(environment.get("POINT_OPERATOR_GATEWAYS", str(DEFAULT)))
    except ListError as error:
        raise SettingError(f"POINT_OPERATOR_GATEWAYS: {error}") from error
    level = environment.get("POINT_OPERATOR_LOG_LEVEL", defaults.log_level).upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise SettingError(f"POINT_OPERATOR_LOG_LEVEL: {level!r} is none of DEBUG, INFO, WARNING, ERROR")
    runbook_url = environment.get("POINT_OPERATOR_RUNBOOK_URL", defaults.runbook_url)
    if runbook_url and not runbook_url.startswith(("https://", "http://")):
        raise SettingError(f"POINT_OPERATOR_RUNBOOK_URL: {runbook_url!r} is no http or https URL")
    return Settings(
        gateways=listed,
        watch_namespaces=_names(environment, "POINT_OPERATOR_WATCH_NAMESPACES"),
        former_gateway_namespaces=_names(environment, "POINT_OPERATOR_FORMER_GATEWAY_NAMESPACES"),
        hosts_listed=_switch(environment, "POINT_OPERATOR_HOSTS_LISTED"),
        rate_limit_image=environment.get("POINT_OPERATOR_RATE_LIMIT_IMAGE") or defaults.rate_limit_image,
        runbook_url=runbook_url,
        namespace=environment.get("POINT_OPERATOR_NAMESPACE", defaults.namespace),
        identity=environment.get("POINT_OPERATOR_POD", f"{socket.gethostname()}-{os.getpid()}"),
        http_port=_number(environment, "POINT_OPERATOR_HTTP_PORT", defaults.http_port, most=65535),
        log_level=level,
        workers=_number(environment, "POINT_OPERATOR_WORKERS", defaults.workers, most=64),
        resync_seconds=_number(
            environment, "POINT_OPERATOR_RESYNC_SECONDS", defaults.resync_seconds, most=3600
        ),
    )


def _names(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    found = tuple(one.strip() for one in environment.get(name, "").split(",") if one.strip())
    for one in found:
        if not NAMESPACE.fullmatch(one):
            raise SettingError(f"{name}: {one!r} is no name of a namespace (names apart by commas)")
    return found


def _switch(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name, "false")
    if text not in ("true", "false"):
        raise SettingError(f"{name}: {text!r} is neither true nor false")
    return text == "true"


def _number(environment: Mapping[str, str], name: str, default: int, *, most: int) -> int:
    text = environment.get(name, str(default))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise SettingError(f"{name}: {text!r} is not a whole number from 1 to {most}")
    return int(text)
