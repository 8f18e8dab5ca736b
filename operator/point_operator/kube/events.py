"""Kubernetes Events, one for each change of state that a person may want to know of."""

import datetime
import logging
import uuid
from collections.abc import Mapping
from typing import Any

from kubernetes.aio.dynamic.exceptions import DynamicApiError

from point_operator.kube.cluster import Cluster
from point_operator.model import kinds, names

log = logging.getLogger(__name__)

LONGEST_NOTE = 1024
"""Characters that the API allows in an Event's note."""


async def post(
    cluster: Cluster, body: Mapping[str, Any], reason: str, note: str, *, warning: bool, instance: str
) -> None:
    """Post one Event about a PointService. A failure is only logged: no reconcile is repeated for it."""
    metadata = body["metadata"]
    event = {
        "apiVersion": kinds.EVENT.api_version,
        "kind": kinds.EVENT.kind,
        "metadata": {
            "name": f"{metadata['name']}.{uuid.uuid4().hex[:16]}",
            "namespace": metadata["namespace"],
        },
        "eventTime": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": f"pointservice.io/{names.FIELD_MANAGER}",
        "reportingInstance": instance,
        "action": "Reconcile",
        "reason": reason,
        "note": note[:LONGEST_NOTE],
        "type": "Warning" if warning else "Normal",
        "regarding": {
            "apiVersion": kinds.POINT_SERVICE.api_version,
            "kind": kinds.POINT_SERVICE.kind,
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
    }
    try:
        await cluster.create(kinds.EVENT, event)
    except (DynamicApiError, OSError, TimeoutError) as error:
        log.warning("can't post an Event: %s", type(error).__name__)
