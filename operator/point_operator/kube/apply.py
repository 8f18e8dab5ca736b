"""Bring children to what the plan says: apply what differs, remove what is not wanted, touch nothing else."""

import contextlib
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from kubernetes.aio.dynamic.exceptions import ConflictError, DynamicApiError

from point_operator import metrics
from point_operator.kube import drift
from point_operator.kube.cluster import Cluster, Object
from point_operator.kube.ownership import NotOwnedError, is_ours
from point_operator.model import kinds, names

log = logging.getLogger(__name__)

Identity = tuple[str, str, str]
"""Kind, namespace and name of a child."""


def identity(manifest: Mapping[str, Any]) -> Identity:
    """Return what tells a child from every other one."""
    metadata = manifest["metadata"]
    return manifest["kind"], metadata["namespace"], metadata["name"]


def is_made_of(live: Mapping[str, Any], manifest: Mapping[str, Any]) -> bool:
    """Whether what was last applied to a child is this manifest."""
    return _hash(live) == _hash(manifest)


class Applier:
    """Applies manifests and remembers what the server made of them: an unchanged child costs nothing."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._seen: dict[str, _Seen] = {}
        """By uid: each child as it was after our last apply or check."""

    async def ensure(
        self, manifest: Object, live: Object | None, owner: str, start: Object | None = None
    ) -> Object:
        """Make a child be what the manifest says and return it as it then is.

        `live` is the child among those found by label, None when it is not there. `owner` is the
        `namespace/name` that an adoption annotation must name. `start` holds fields that are set when
        the child is made and then left to others. Raises NotOwnedError, or what the API raises with a
        note that names the child.
        """
        try:
            return await self._ensure(manifest, live, owner, start)
        except DynamicApiError as error:
            error.add_note("{} {}/{}".format(*identity(manifest)))
            raise

    async def _ensure(
        self, manifest: Object, live: Object | None, owner: str, start: Object | None
    ) -> Object:
        if live is None:
            live = await self._cluster.get(kinds.of(manifest), *identity(manifest)[1:])
        if live is None:
            applied = await self._cluster.apply(manifest)
            if start is not None:
                applied = await self._cluster.apply(start, names.STARTING_MANAGER)
            log.info("child created", extra={"child": "/".join(identity(manifest))})
            return self._remember(applied, manifest)
        if not is_ours(live, manifest) and not self._may_adopt(live, owner):
            raise NotOwnedError(live, owner)
        if kinds.of(manifest) is kinds.JOB and not is_made_of(live, manifest):
            return self._remember(live, manifest)  # a Job can't be changed
        if self._is_steady(live, manifest):
            return self._remember(live, manifest)
        return await self._repair(manifest, live, drift.additions(live, adopted=not is_ours(live, manifest)))

    def is_as_left(self, live: Mapping[str, Any], *, with_status: bool) -> bool:
        """Whether an event shows a child just as we left it, its status taken into account or not.

        Compared with what we left and not with the event before: someone may make the same change again.
        """
        metadata = live["metadata"]
        seen = self._seen.get(metadata["uid"])
        if seen is None or with_status:
            return seen is not None and seen.version == metadata["resourceVersion"]
        return seen.version == metadata["resourceVersion"] or seen.content == _content(live)

    def forget(self, live: Mapping[str, Any]) -> None:
        """Drop what is remembered of a deleted child."""
        self._seen.pop(live["metadata"]["uid"], None)

    async def prune(self, live: Iterable[Object], wanted: Iterable[Mapping[str, Any]]) -> list[Object]:
        """Delete the children that no manifest wants; return them."""
        keep = {identity(manifest) for manifest in wanted}
        unwanted = [one for one in live if identity(one) not in keep and not _is_going(one)]
        for one in unwanted:
            await self.remove(one)
        return unwanted

    async def remove(self, live: Object) -> None:
        """Delete one child. If its name was taken over meanwhile, it is left alone."""
        with contextlib.suppress(ConflictError):
            await self._cluster.delete(kinds.of(live), live)
        self.forget(live)
        log.info("child removed", extra={"child": "/".join(identity(live))})

    def _is_steady(self, live: Object, manifest: Object) -> bool:
        metadata = live["metadata"]
        seen = self._seen.get(metadata["uid"])
        if seen and (seen.version, seen.wanted) == (metadata["resourceVersion"], _hash(manifest)):
            return True
        as_applied = is_made_of(live, manifest) and drift.holds(manifest, live)
        return as_applied and not drift.additions(live)

    async def _repair(self, manifest: Object, live: Object, taken: drift.Fields) -> Object:
        kind = kinds.of(manifest)
        if is_made_of(live, manifest):
            metrics.REPAIRS.labels(kind.kind).inc()
        if taken:
            claimed = {"op": "replace", "path": "/metadata/managedFields", "value": drift.claim(live, taken)}
            await self._cluster.patch(kind, live, [claimed])
        applied = await self._cluster.apply(manifest)
        log.info("child changed", extra={"child": "/".join(identity(manifest))})
        return self._remember(applied, manifest)

    def _remember(self, live: Object, manifest: Object) -> Object:
        uid, version = live["metadata"]["uid"], live["metadata"]["resourceVersion"]
        seen = self._seen.get(uid)
        content = seen.content if seen and seen.version == version else _content(live)
        self._seen[uid] = _Seen(version, _hash(manifest), content)
        return live

    @staticmethod
    def _may_adopt(live: Mapping[str, Any], owner: str) -> bool:
        return (live["metadata"].get("annotations") or {}).get(names.ADOPT) == owner


class _Seen(msgspec.Struct, frozen=True):
    """What is remembered of a child."""

    version: str
    """Its resourceVersion."""
    wanted: str
    """Hash of its manifest."""
    content: str
    """Digest of what counts of it."""


def _content(live: Mapping[str, Any]) -> str:
    """Digest of an object without its status and what changes by itself."""
    metadata = {
        field: value
        for field, value in live["metadata"].items()
        if field not in ("resourceVersion", "managedFields")
    }
    rest = {field: value for field, value in live.items() if field not in ("metadata", "status")}
    return names.digest([metadata, rest])


def _hash(manifest: Mapping[str, Any]) -> str:
    return (manifest["metadata"].get("annotations") or {}).get(names.HASH, "")


def _is_going(live: Mapping[str, Any]) -> bool:
    return bool(live["metadata"].get("deletionTimestamp"))
