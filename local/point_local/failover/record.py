"""What the controller keeps in the cluster: who the writer is, and where the data tier's Services lead."""

import functools
from collections.abc import Callable
from typing import TypeVar

from point_local.programs import paths
from point_local.programs.command import LocalError

NAMESPACE = "data"
NAME = "mysql-roles"
PATIENCE_SECONDS = 4.0

T = TypeVar("T")


class Record:
    """A connection to the API server, kept. Every call raises LocalError when that is away."""

    def __init__(self) -> None:
        # Imported here: it takes half a second to load, and few commands need it.
        from kubernetes import config
        from kubernetes.client import CoreV1Api, V1ConfigMap, V1ObjectMeta
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        self._api = CoreV1Api(config.new_client_from_config(str(paths.KUBECONFIG)))
        self._api.api_client.configuration.retries = False
        self._failures = (ApiException, HTTPError, OSError)
        self._missing = ApiException
        self._config_map = functools.partial(V1ConfigMap, metadata=V1ObjectMeta(name=NAME))

    def writer(self) -> str | None:
        """The zone of the writer, None when none was recorded yet."""
        read = functools.partial(self._api.read_namespaced_config_map, NAME, NAMESPACE)
        try:
            found = self._ask(read)
        except LocalError as error:
            if isinstance(error.__cause__, self._missing) and error.__cause__.status == 404:
                return None
            raise
        return (found.data or {}).get("writer")

    def write(self, writer: str) -> None:
        """Record the writer's zone, before it is made the writer."""
        if self.writer() is None:
            first = self._config_map(data={"writer": writer})
            self._ask(functools.partial(self._api.create_namespaced_config_map, NAMESPACE, first))
        else:
            change = {"data": {"writer": writer}}
            self._ask(functools.partial(self._api.patch_namespaced_config_map, NAME, NAMESPACE, change))

    def point(self, service: str, zone: str) -> None:
        """Let a Service lead to one zone's database."""
        body = {"spec": {"selector": {"app": "mysql", "instance": f"mysql-{zone}"}}}
        self._ask(functools.partial(self._api.patch_namespaced_service, service, NAMESPACE, body))

    def end(self, zone: str) -> None:
        """End one zone's database at once; it starts anew, read-only."""
        self._ask(
            functools.partial(
                self._api.delete_namespaced_pod, f"mysql-{zone}-0", NAMESPACE, grace_period_seconds=0
            )
        )

    def _ask(self, call: Callable[..., T]) -> T:
        try:
            return call(_request_timeout=PATIENCE_SECONDS)
        except self._failures as error:
            said = getattr(error, "reason", None) or error
            raise LocalError(f"the API server: {said}") from error
