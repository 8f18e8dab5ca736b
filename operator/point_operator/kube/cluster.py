"""The Kubernetes API, as plain dictionaries. Every call ends within `TIMEOUT` seconds.

Errors are those of `kubernetes.aio.dynamic.exceptions`, one class for each HTTP status, and OSError for whatever has no
status: no connection, none in time (TimeoutError), or an answer that breaks off (ConnectionError).
"""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import aiohttp
import msgspec
from kubernetes.aio.client import ApiClient
from kubernetes.aio.dynamic import DynamicClient
from kubernetes.aio.dynamic.exceptions import ConflictError, NotFoundError, UnprocessibleEntityError

from point_operator import metrics
from point_operator.model import kinds, names

TIMEOUT = 10.0

Object = dict[str, Any]
T = TypeVar("T")


async def together(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Await calls side by side. Raises what the first of them raised, but once all have ended: none goes on."""
    ended = await asyncio.gather(*calls, return_exceptions=True)
    for one in ended:
        if isinstance(one, BaseException):
            raise one
    return [one for one in ended if not isinstance(one, BaseException)]


class Cluster:
    """One connection pool to the API server. The URL paths are known (`kinds`), so nothing is discovered.

    Where only some namespaces may be read, what is asked of all is asked of those.
    """

    def __init__(self, client: ApiClient, namespaces: Sequence[str] = ()) -> None:
        self._client = DynamicClient(client)
        self._namespaces = tuple(namespaces)

    async def get(self, kind: kinds.Kind, namespace: str, name: str) -> Object | None:
        """Return an object, or None when it or its kind does not exist, as one with an impossible name."""
        if not all(kinds.is_name(one) for one in (namespace or name, name)):
            return None
        try:
            return await self._request("get", kind.path(namespace, name))
        except NotFoundError:
            return None

    async def list(self, kind: kinds.Kind, namespace: str = "", selector: str = "") -> list[Object]:
        """Return the objects that a label selector finds; none when the kind does not exist."""
        if self._namespaces and not namespace:
            found = await together(self.list(kind, one, selector) for one in self._namespaces)
            return [live for lives in found for live in lives]
        try:
            answer = await self._request("get", kind.path(namespace), label_selector=selector or None)
        except NotFoundError:
            return []
        fixed = {"apiVersion": kind.api_version, "kind": kind.kind}  # a list leaves them out of its items
        return [fixed | item for item in answer.get("items") or []]

    async def serves(self, kind: kinds.Kind) -> bool:
        """Whether the API server knows a kind."""
        try:
            answer = await self._request("get", f"/apis/{kind.api_version}")
        except NotFoundError:
            return False
        return any(resource["name"] == kind.plural for resource in answer.get("resources", []))

    async def apply(self, manifest: Object, manager: str = names.FIELD_MANAGER) -> Object:
        """Apply on the server side as one field manager, taking over fields that others changed."""
        kind, metadata = kinds.of(manifest), manifest["metadata"]
        return await self._write(
            "apply",
            kind,
            "patch",
            kind.path(metadata["namespace"], metadata["name"]),
            body=manifest,
            content_type="application/apply-patch+yaml",
            field_manager=manager,
            force_conflicts=True,
        )

    async def patch(
        self, kind: kinds.Kind, body: Mapping[str, Any], operations: Sequence[Object], subresource: str = ""
    ) -> Object:
        """Apply a JSON patch to the object as it was read.

        Raises ConflictError when it has changed or gone since, UnprocessibleEntityError when the server does
        not take what it would become.
        """
        metadata = body["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"])
        test = {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]}
        try:
            return await self._write(
                "patch",
                kind,
                "patch",
                f"{path}/{subresource}" if subresource else path,
                body=[test, *operations],
                content_type="application/json-patch+json",
                field_manager=names.FIELD_MANAGER,
            )
        except NotFoundError as error:
            raise ConflictError(error) from error
        except UnprocessibleEntityError as error:
            # A test that fails is answered as a body that is wrong is.
            now = await self.get(kind, metadata["namespace"], metadata["name"])
            if now is None or now["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
                raise ConflictError(error) from error
            raise

    async def create(self, kind: kinds.Kind, body: Object) -> Object:
        """Create an object. Raises ConflictError when it exists."""
        return await self._write("create", kind, "post", kind.path(body["metadata"]["namespace"]), body=body)

    async def replace(self, kind: kinds.Kind, body: Object) -> Object:
        """Replace an object as it was read. Raises ConflictError when it has changed since."""
        metadata = body["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"])
        return await self._write("replace", kind, "put", path, body=body)

    async def delete(self, kind: kinds.Kind, body: Mapping[str, Any]) -> None:
        """Delete exactly the object that was read; nothing happens when it is gone already.

        Raises ConflictError when another object has taken its name.
        """
        metadata = body["metadata"]
        options = {"propagationPolicy": "Background", "preconditions": {"uid": metadata["uid"]}}
        path = kind.path(metadata["namespace"], metadata["name"])
        try:
            await self._write("delete", kind, "delete", path, body=options)
        except NotFoundError:
            return

    async def _write(self, verb: str, kind: kinds.Kind, method: str, path: str, **options: Any) -> Object:
        answer = await self._request(method, path, **options)
        metrics.WRITES.labels(verb, kind.kind).inc()
        return answer

    async def _request(self, method: str, path: str, **options: Any) -> Object:
        try:
            async with asyncio.timeout(
                TIMEOUT + 1
            ):  # the client's own limit leaves out waiting for a connection
                answer = await self._client.request(
                    method, path, serialize=False, _request_timeout=TIMEOUT, **options
                )
                return msgspec.json.decode(await answer.read())
        except OSError:
            raise  # some of aiohttp's are
        except (aiohttp.ClientError, msgspec.DecodeError) as error:
            raise ConnectionError(f"{method} {path}: {type(error).__name__}: {error}") from error
