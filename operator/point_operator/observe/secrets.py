"""The Secrets that pods mount: whether they hold what is needed, and when they changed."""

import asyncio
import base64
import contextlib
import os
import ssl
from collections.abc import Sequence

import msgspec

from point_operator.kube.cluster import Cluster
from point_operator.model import kinds, names
from point_operator.model.api import PointService
from point_operator.resources.pods import container

CACHE_KEYS = ("password",)
"""What the cache's Secret must hold; its user name is optional."""


class Secrets(msgspec.Struct, frozen=True):
    """What was found. Their content is never kept."""

    config_hash: str
    """Changes with every change of a Secret that the service's pods mount."""
    problems: tuple[str, ...]
    """What is missing, one sentence each."""
    cache_user_named: bool
    """Whether the cache's Secret names the user."""


async def look(cluster: Cluster, point_service: PointService) -> Secrets:
    """Read the Secrets that a PointService names."""
    service = container.service_files(point_service)
    needed = {files.secret: set[str]() for files in (*service, *container.migration_files(point_service))}
    for files in (*service, *container.migration_files(point_service)):
        needed[files.secret].update(files.items or CACHE_KEYS)
    found = dict(
        zip(
            needed,
            await asyncio.gather(*(_look(cluster, point_service, name) for name in needed)),
            strict=True,
        )
    )
    mounted = {files.secret: found[files.secret][0] for files in service}
    problems: list[str] = []
    for name, keys in sorted(needed.items()):
        version, has = found[name]
        if not version:
            problems.append(f"Secret {name} does not exist in namespace {point_service.namespace}")
        elif missing := sorted(keys - set(has)):
            problems.append(f"Secret {name} lacks {' and '.join(missing)}")
    _, cache_keys = found.get(point_service.spec.cache.auth_secret, ("", ()))
    return Secrets(names.digest(mounted)[:16], tuple(problems), "username" in cache_keys)


async def certificate_problem(cluster: Cluster, point_service: PointService) -> str:
    """Return what is wrong with the gateway's certificate, or nothing."""
    namespace, name = point_service.spec.gateway.namespace, point_service.credential_name
    secret = await cluster.get(kinds.SECRET, namespace, name)
    if secret is None:
        return f"Secret {name} (gateway.tls.credentialName) does not exist in namespace {namespace}"
    data = secret.get("data") or {}
    if missing := sorted({"tls.crt", "tls.key"} - set(data)):
        return f"Secret {namespace}/{name} (gateway.tls.credentialName) lacks {' and '.join(missing)}"
    if not _is_pair(data["tls.crt"], data["tls.key"]):
        return (
            f"Secret {namespace}/{name} (gateway.tls.credentialName) holds no certificate in PEM with its key"
        )
    return ""


def _is_pair(certificate: str, key: str) -> bool:
    """Whether two values of a Secret are a certificate and its private key. They never reach a disk."""
    with contextlib.ExitStack() as opened:
        paths: list[str] = []
        for value in (certificate, key):
            file = opened.enter_context(os.fdopen(os.memfd_create("pem"), "wb"))
            file.write(base64.b64decode(value))
            file.flush()
            paths.append(f"/proc/self/fd/{file.fileno()}")
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*paths, password="")
        except (OSError, ValueError):  # ssl.SSLError is an OSError
            return False
    return True


async def _look(cluster: Cluster, point_service: PointService, name: str) -> tuple[str, Sequence[str]]:
    secret = await cluster.get(kinds.SECRET, point_service.namespace, name)
    if secret is None:
        return "", ()
    return secret["metadata"]["resourceVersion"], tuple(secret.get("data") or {})
