"""A gateway pod without a cluster: istiod, on a real API server, tells an Envoy what our manifests mean."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import yaml
from harness import gateway_api
from point_local.alone import apiserver
from point_local.alone.ports import free_port
from point_local.build import tools
from point_local.machine.pki import Authority, write_secret
from point_local.programs import paths
from point_operator.model import gateways, kinds
from point_operator.model.gateways import ListedGateway
from point_operator.resources.metadata import governing

DEADLINE = 60.0
"""Seconds that istiod and Envoy may take to be ready."""
TRUSTING: Mapping[str, Any] = {"gatewayTopology": {"numTrustedProxies": 1}}
"""The ProxyConfig of a gateway behind a load balancer."""
_UNDERSTOOD = {
    kinds.GATEWAY.kind,
    kinds.VIRTUAL_SERVICE.kind,
    kinds.HTTP_ROUTE.kind,
    kinds.ENVOY_FILTER.kind,
    kinds.REQUEST_AUTHENTICATION.kind,
    kinds.AUTHORIZATION_POLICY.kind,
}
"""What a gateway makes of a PointService. Mutual TLS needs an agent beside the Envoy and is left out."""


def our_proxy() -> dict[str, Any]:
    """The ProxyConfig that our own gateways have, on AWS and on the local cluster."""
    values = yaml.safe_load((paths.ROOT / "pulumi/point_infra/incluster/istio/gateway.yaml").read_text())
    return yaml.safe_load(values["podAnnotations"]["proxy.istio.io/config"])


class Door(msgspec.Struct, frozen=True):
    """Where a running gateway listens for HTTPS, on loopback, and who signed its certificate."""

    port: int
    authority: Path
    plain: int = 0
    """Where a Gateway of Gateway API listens without TLS."""

    @property
    def address(self) -> tuple[str, int]:
        """As sockets take it."""
        return "127.0.0.1", self.port


@contextmanager
def gateway(
    server: apiserver.ApiServer,
    manifests: Sequence[Mapping[str, Any]],
    backends: Mapping[str, int],
    proxy: Mapping[str, Any] = TRUSTING,
    place: ListedGateway = gateways.DEFAULT,
    **settings: str,
) -> Generator[Door]:
    """Run a gateway that has `manifests`; `backends` are ports on loopback by the names of Services, `settings`
    variables of istiod, `proxy` its own pods' ProxyConfig, `place` is what the operator's list says of it.

    Raises RuntimeError when istiod or Envoy ends, or is not ready in time.
    """
    directory = server.directory / "mesh"
    directory.mkdir()
    port, plain = free_port(), free_port() if place.parent else 0
    routes = [one["spec"] for one in manifests if one["kind"] in {kind.kind for kind in kinds.ROUTES}]
    hosts = [host for route in routes for host in route.get("hosts") or route["hostnames"]]
    authority = Authority("gateway", directory / "ca.crt", directory / "ca.key")
    certificate, key = authority.issue(hosts[0], [*hosts, "localhost"])
    (directory / "tls.crt").write_text(certificate)
    write_secret(directory / "tls.key", key)
    wanted = [
        *(_on_loopback(one, port) for one in manifests if one["kind"] in _UNDERSTOOD),
        *(_backend(host, backend) for host, backend in backends.items()),
        _local_listener(directory, place, port),
    ]
    if place.parent:
        ports = {gateway_api.SECURE: port, gateway_api.PLAIN: plain}
        wanted += gateway_api.manifests(place, ports, certificate, key)
        # An HTTPRoute names Services, which must be there; where they are is still for `backends` to say.
        wanted += [_on_loopback(one, port) for one in manifests if one["kind"] == kinds.SERVICE.kind]
    for namespace in sorted({one["metadata"]["namespace"] for one in wanted} | {"istio-system"}):
        server.kubectl("create", "namespace", namespace, check=False)
    # As JSON: a hash such as 12e34 is text in PyYAML's YAML and a number in kubectl's.
    together = {"apiVersion": "v1", "kind": "List", "items": wanted}
    server.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(together))
    with ExitStack() as stack:
        discovery = _istiod(stack, server, directory, settings)
        _envoy(stack, directory, _bootstrap(discovery, proxy, place), port)
        yield Door(port, authority.cert, plain)


def _istiod(stack: ExitStack, server: apiserver.ApiServer, directory: Path, chosen: Mapping[str, str]) -> int:
    """Start istiod; return its port for proxies."""
    grpc, http = free_port(), free_port()
    mesh = {"trustDomain": "cluster.local", "enableAutoMtls": False}
    (directory / "mesh.yaml").write_text(yaml.safe_dump(mesh))
    command = [
        str(paths.BIN / "pilot-discovery"),
        "discovery",
        f"--kubeconfig={server.kubeconfig}",
        f"--meshConfig={directory / 'mesh.yaml'}",
        f"--grpcAddr=127.0.0.1:{grpc}",
        f"--httpAddr=127.0.0.1:{http}",
        f"--monitoringAddr=127.0.0.1:{free_port()}",
        "--secureGRPCAddr=",
        "--httpsAddr=",
        "--ctrlz_port=0",
    ]
    settings = {  # as local/point_local/stack/manifests/istiod.yaml has it for an Envoy that is not Istio's
        "PILOT_ENABLE_METADATA_EXCHANGE": "false",
        "PILOT_ENABLE_ALPN_FILTER": "false",
        "PILOT_CERT_PROVIDER": "none",
        "ENABLE_CA_SERVER": "false",
        "PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER": "false",
        "POD_NAMESPACE": "istio-system",
        "POD_NAME": "istiod",
        **chosen,
    }
    log = directory / "istiod.log"
    process = _start(stack, command, log, settings)
    _wait(f"http://127.0.0.1:{http}/ready", process, log, lambda answer: answer.status_code == 200)
    return grpc


def _envoy(stack: ExitStack, directory: Path, bootstrap: Mapping[str, Any], port: int) -> None:
    log, config = directory / "envoy.log", directory / "envoy.json"
    config.write_text(json.dumps(bootstrap))
    command = [str(tools.envoy()), "-c", str(config), "--concurrency", "1", "--disable-hot-restart"]
    process = _start(stack, command, log, {})
    _wait(f"https://127.0.0.1:{port}/", process, log, lambda _: True)


def _start(
    stack: ExitStack, command: list[str], log: Path, settings: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    output = stack.enter_context(log.open("wb"))
    environment = {**os.environ, **settings}
    process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def _wait(
    url: str, process: "subprocess.Popen[bytes]", log: Path, enough: Callable[[httpx.Response], bool]
) -> None:
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            # Only whether it answers at all; who asks something of it checks the certificate.
            if enough(httpx.get(url, verify=False, timeout=5)):
                return
        except httpx.TransportError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{url} does not answer:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.1)


def _on_loopback(manifest: Mapping[str, Any], port: int) -> dict[str, Any]:
    """The manifest without its owner, who is not there, and on a port that is free."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "ownerReferences"}
    spec = manifest["spec"]
    if manifest["kind"] == kinds.GATEWAY.kind:
        spec = spec | {"servers": [one | {"port": one["port"] | {"number": port}} for one in spec["servers"]]}
    return {**manifest, "metadata": metadata, "spec": spec}


def _backend(host: str, port: int) -> dict[str, Any]:
    name, namespace, *_ = host.split(".")
    spec = {
        "hosts": [host],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "endpoints": [{"address": "127.0.0.1", "ports": {"http": port}}],
    }
    metadata = {"name": name, "namespace": namespace}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": metadata,
        "spec": spec,
    }


def _local_listener(directory: Path, place: ListedGateway, port: int) -> dict[str, Any]:
    """Put the listener on loopback, with its certificate from files: istiod gives secrets to proxies it knows.

    (A Gateway's own `bind` becomes part of the route's name, which the patches of routes then don't know.)
    """
    tls = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "tls_certificates": [
                {
                    "certificate_chain": {"filename": str(directory / "tls.crt")},
                    "private_key": {"filename": str(directory / "tls.key")},
                }
            ]
        },
    }
    changes = {
        "LISTENER": {"address": {"socket_address": {"address": "127.0.0.1"}}},
        # Of another name, it takes the place of Istio's instead of being merged into it.
        "FILTER_CHAIN": {"transport_socket": {"name": "files", "typed_config": tls}},
    }
    matches: dict[str, Any] = {"LISTENER": {}, "FILTER_CHAIN": {"listener": {"portNumber": port}}}
    patches = [
        {
            "applyTo": what,
            "match": {"context": "GATEWAY", **matches[what]},
            "patch": {"operation": "MERGE", "value": value},
        }
        for what, value in changes.items()
    ]
    return {
        "apiVersion": kinds.ENVOY_FILTER.api_version,
        "kind": kinds.ENVOY_FILTER.kind,
        "metadata": {"name": "local-listener", "namespace": place.namespace},
        "spec": {**governing(place, "workloadSelector", "labels"), "configPatches": patches},
    }


def _bootstrap(discovery: int, proxy: Mapping[str, Any], place: ListedGateway) -> dict[str, Any]:
    own = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    http2 = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": discovery}}
    xds = {
        "name": "istiod",
        "type": "STATIC",
        "connect_timeout": "5s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
        "load_assignment": {
            "cluster_name": "istiod",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
    ads = {
        "api_type": "GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": [{"envoy_grpc": {"cluster_name": "istiod"}}],
    }
    node = {
        "id": f"router~127.0.0.1~gateway.{place.namespace}~{place.namespace}.svc.cluster.local",
        "cluster": f"gateway.{place.namespace}",
        "metadata": {
            "NAMESPACE": place.namespace,
            "LABELS": place.selector,
            "SERVICE_ACCOUNT": place.service_account,
            "CLUSTER_ID": "Kubernetes",
            "ISTIO_VERSION": "1.31.0",
            "PROXY_CONFIG": proxy,
        },
    }
    dynamic = {"ads_config": ads, "lds_config": own, "cds_config": own}
    return {"node": node, "dynamic_resources": dynamic, "static_resources": {"clusters": [xds]}}
