"""The Secrets that pods mount: whether they hold what is needed, and when they changed."""

import asyncio
import base64
import contextlib
import functools
import hashlib
import os
import ssl
from collections.abc import Iterable, Mapping

import msgspec

from point_operator.kube.cluster import Cluster
from point_operator.model import kinds, names
from point_operator.model.api import PointService
from point_operator.resources.pods import container

CACHE_KEYS = ("password",)
"""What the cache's Secret must hold; its user name is optional."""
ROUNDS = 10_000
"""Of PBKDF2, some milliseconds: what is derived is seen by people who may not see the Secrets, and guessing at a weak
password from it should cost more than one hash."""


class Secrets(msgspec.Struct, frozen=True):
    """What was found. Their content is never kept."""

    config_hash: str
    """Changes when the data does that the service's pods mount, and with nothing else of their Secrets."""
    login: str
    """Changes when the user or the password of the database does."""
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
    problems: list[str] = []
    for name, keys in sorted(needed.items()):
        data = found[name]
        if data is None:
            problems.append(f"Secret {name} does not exist in namespace {point_service.namespace}")
        elif missing := sorted(keys - set(data)):
            problems.append(f"Secret {name} lacks {' and '.join(missing)}")
    cache = found.get(point_service.spec.cache.auth_secret) or {}
    database = [files for files in service if files.secret == point_service.spec.database.credentials_secret][
        :1
    ]
    return Secrets(
        config_hash=_derived(point_service, service, found),
        login=_derived(point_service, database, found),
        problems=tuple(problems),
        cache_user_named="username" in cache,
    )


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


async def _look(cluster: Cluster, point_service: PointService, name: str) -> Mapping[str, str] | None:
    secret = await cluster.get(kinds.SECRET, point_service.namespace, name)
    return None if secret is None else secret.get("data") or {}


def _derived(
    point_service: PointService,
    every: Iterable[container.Files],
    found: Mapping[str, Mapping[str, str] | None],
) -> str:
    """Return what changes with the data that a container sees as these files."""
    seen = {files.path: _seen(found[files.secret] or {}, files.items) for files in every}
    return _stretched(names.digest(seen), names.at_gateway(*point_service.key))


@functools.lru_cache(maxsize=4096)  # a look comes again and again, and finds the same
def _stretched(digest: str, salt: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", digest.encode(), salt.encode(), ROUNDS).hex()[:16]


def _seen(data: Mapping[str, str], items: tuple[str, ...]) -> dict[str, str]:
    return {key: value for key, value in data.items() if not items or key in items}
