"""A connection to the API server, kept: what is asked often needs no program started for it."""

import atexit
import base64
import functools
import ssl
import tempfile
from typing import Any

import httpx
import yaml

from point_local.programs import paths
from point_local.programs.command import LocalError

PATIENCE_SECONDS = 30.0


def get(path: str, *, timeout: float = PATIENCE_SECONDS, **parameters: object) -> Any:
    """The JSON that the API server answers to GET `path`. Raises LocalError when it refuses or is away."""
    query = {name: str(value) for name, value in parameters.items()}
    try:
        answer = _client().get(path, params=query, timeout=timeout)
        answer.raise_for_status()
        return answer.json()
    except httpx.HTTPStatusError as error:
        raise LocalError(
            f"the API server: {path}: {error.response.status_code} {error.response.text[:200]}"
        ) from error
    except (httpx.HTTPError, ValueError) as error:
        raise LocalError(f"the API server: {path}: {type(error).__name__} {error}") from error


@functools.cache
def _client() -> httpx.Client:
    try:
        config = yaml.safe_load(paths.KUBECONFIG.read_text())
    except OSError as error:
        raise LocalError("the local cluster does not run: `make up` starts it") from error
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as pair:  # OpenSSL takes a client's key from a file only
        pair.write(_decoded(user["client-certificate-data"]) + b"\n" + _decoded(user["client-key-data"]))
        pair.flush()
        context.load_cert_chain(pair.name)
    client = httpx.Client(
        base_url=cluster["server"],
        verify=context,
        trust_env=False,
        headers={
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        },  # it is near: packing only costs
        limits=httpx.Limits(keepalive_expiry=30),
    )
    atexit.register(client.close)
    return client


def _decoded(text: str) -> bytes:
    return base64.b64decode(text)
