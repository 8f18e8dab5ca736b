"""What changes or goes between reading and writing is looked at again, and nobody hears of it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from kubernetes.aio.dynamic.exceptions import ConflictError, UnprocessibleEntityError
from point_operator.kube import connection
from point_operator.kube.cluster import Cluster
from point_operator.model import kinds

pytestmark = pytest.mark.integration

ANNOTATE = {"op": "add", "path": "/metadata/annotations", "value": {"note": "ours"}}


@pytest.fixture
async def cluster(server: Any) -> AsyncIterator[Cluster]:
    """The operator's own client, as the administrator."""
    async with await connection.connect(str(server.kubeconfig)) as client:
        yield Cluster(client)


@pytest.fixture
def read(kube: Any) -> dict[str, Any]:
    """A Service as it was read."""
    kube.clear(kinds.SERVICE, "default")
    body = {"metadata": {"name": "raced", "namespace": "default"}, "spec": {"ports": [{"port": 80}]}}
    return kube.create(kinds.SERVICE, body)


async def test_a_patch_of_what_has_changed_is_a_conflict(
    cluster: Cluster, kube: Any, read: dict[str, Any]
) -> None:
    kube.patch(kinds.SERVICE, "default", "raced", {"metadata": {"annotations": {"note": "theirs"}}})
    with pytest.raises(ConflictError):
        await cluster.patch(kinds.SERVICE, read, [ANNOTATE])


async def test_a_patch_of_what_has_gone_is_a_conflict(
    cluster: Cluster, kube: Any, read: dict[str, Any]
) -> None:
    kube.delete(kinds.SERVICE, "default", "raced")
    with pytest.raises(ConflictError):
        await cluster.patch(kinds.SERVICE, read, [ANNOTATE])


async def test_so_is_one_of_what_was_made_anew_under_its_name(
    cluster: Cluster, kube: Any, read: dict[str, Any]
) -> None:
    kube.delete(kinds.SERVICE, "default", "raced")
    kube.create(
        kinds.SERVICE,
        {key: read[key] for key in ("metadata", "spec")}
        | {
            "metadata": {"name": "raced", "namespace": "default"},
            "spec": {"ports": [{"port": 80}]},
        },
    )
    with pytest.raises(ConflictError):
        await cluster.patch(kinds.SERVICE, read, [ANNOTATE])


async def test_a_patch_that_the_server_does_not_take_is_none(cluster: Cluster, read: dict[str, Any]) -> None:
    with pytest.raises(UnprocessibleEntityError, match="port"):
        await cluster.patch(
            kinds.SERVICE, read, [{"op": "replace", "path": "/spec/ports/0/port", "value": 99999}]
        )
