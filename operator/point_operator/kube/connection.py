"""How to reach the API server: as the pod's service account, or by a kubeconfig outside of a cluster."""

from pathlib import Path
from typing import Any

import kopf
import yaml
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from point_operator.settings import SettingError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
CONNECTIONS = 64


def in_cluster() -> bool:
    """Whether this process runs in a pod that has a service account's token."""
    return SERVICE_ACCOUNT.exists()


async def connect(kubeconfig: str | None = None) -> ApiClient:
    """Return a client. Without `kubeconfig`: the service account if there is one, else $KUBECONFIG.

    Raises SettingError when there is neither, or it can't be read.
    """
    configuration = Configuration()
    configuration.connection_pool_maxsize = CONNECTIONS
    # Else ~/.netrc is looked for before each request, in a thread of its own: a sixth of what the operator computes.
    configuration.client_session_kwargs = {"trust_env": False}
    try:
        if kubeconfig is None and in_cluster():
            config.load_incluster_config(client_configuration=configuration)
        else:
            await config.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
    except (config.ConfigException, OSError, ValueError, TypeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise SettingError(f"no way to the API server: {kubeconfig or 'kubeconfig'}: {reason}") from error
    return ApiClient(configuration)


def login(registry: kopf.OperatorRegistry, client: ApiClient, kubeconfig: str | None) -> None:
    """Have kopf use the same credentials. It asks again when they are refused, as an old token is."""

    @kopf.on.login(registry=registry)
    async def _login(**keywords: Any) -> kopf.ConnectionInfo | None:
        if kubeconfig is None and in_cluster():
            return kopf.login_with_service_account(**keywords)
        configuration = client.configuration
        token = (configuration.api_key or {}).get("BearerToken", "").removeprefix("Bearer ")
        return kopf.ConnectionInfo(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
            token=token or None,
        )
