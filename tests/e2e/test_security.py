"""What the running stack refuses: rights, tokens, secrets where they can be seen, and a peer it can't verify."""

import base64
import json
import re
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml
from point_local.alone.ports import free_port
from point_local.build import image_files, rootfs, sbom, tools
from point_local.commands import up
from point_local.drill.observe import Object, get, items, service_pods
from point_local.failover import controller
from point_local.failover.record import Record
from point_local.machine.cluster import NODES, WORKERS
from point_local.machine.pki import Authority
from point_local.programs import paths, versions
from point_local.programs.command import LocalError, kubectl, run, succeeds, wait
from point_local.stack import (
    application,
    credentials,
    data,
    edge,
    manifests,
    namespaces,
    prometheus,
    sessions,
)
from point_local.stack.manifests import apply_all
from point_local.stack.reach import Peer, allowed
from point_local.stack.sessions import SilentError

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

OURS = (*namespaces.NAMESPACES, "point-system")
ASK_THE_API_SERVER = {
    ("istio-system", "istiod"),
    ("monitoring", "prometheus"),
    ("point-system", "point-operator"),
}
CONNECTION = re.compile(r"src=(\S+) dst=(\S+) sport=(\d+)")
UNVERIFIED = ("certificate verify failed", "unknown authority", "certificateerror")


def our_pods() -> list[Object]:
    """Every pod of our namespaces, also those that have ended."""
    return [pod for namespace in OURS for pod in items("pods", namespace)]


# What a pod may do


def test_every_namespace_of_ours_is_restricted() -> None:
    listed = json.loads(kubectl("get", "namespaces", "-o", "json"))["items"]
    levels = {
        n["metadata"]["name"]: n["metadata"]["labels"].get("pod-security.kubernetes.io/enforce")
        for n in listed
    }
    assert {n: levels.get(n) for n in OURS} == dict.fromkeys(OURS, "restricted")


@pytest.mark.parametrize("namespace", OURS)
def test_a_pod_that_asks_for_more_is_refused(namespace: str) -> None:
    attempt = ["run", "intruder", "--image=none", "--privileged", "--dry-run=server", "-n", namespace]
    with pytest.raises(LocalError, match='violates PodSecurity "restricted'):
        kubectl(*attempt)


def test_only_who_asks_the_api_server_has_a_token() -> None:
    holders = {
        (pod["metadata"]["namespace"], pod["spec"]["serviceAccountName"])
        for pod in our_pods()
        for volume in pod["spec"].get("volumes", [])
        for source in volume.get("projected", {}).get("sources", [])
        # A token with an audience of its own is for Istio, and good for nothing else.
        if "serviceAccountToken" in source and not source["serviceAccountToken"].get("audience")
    }
    assert holders == ASK_THE_API_SERVER


# What an image holds


def test_no_image_has_a_program_with_the_rights_of_its_owner() -> None:
    archives = sorted(paths.IMAGES.glob("*.tar"))
    assert len(archives) > 10
    found = {a.name: image_files.set_id(image_files.listing(a)) for a in archives}
    assert {name: files for name, files in found.items() if files} == {}


def test_neither_service_nor_operator_has_a_shell() -> None:
    for name in up.OWN:
        assert image_files.shells(image_files.listing(_archive(name))) == []
    pod = str(service_pods()[0]["metadata"]["name"])
    assert not succeeds(["kubectl", "exec", "-n", "points", pod, "-c", "app", "--", "sh", "-c", "true"])


INSTALLED = """
import importlib.metadata, json
paragraphs = open("/var/lib/dpkg/status").read().split("\\n\\n")
fields = [dict(l.split(": ", 1) for l in p.splitlines() if ": " in l) for p in paragraphs]
print(json.dumps(
    [[d.metadata["Name"].lower().replace("_", "-"), d.version] for d in importlib.metadata.distributions()]
    + [[f["Package"], f["Version"]] for f in fields if f.get("Status") == "install ok installed"]
))
"""


@pytest.mark.parametrize("name", up.OWN)
def test_every_installed_distribution_is_in_the_bill_of_materials(name: str) -> None:
    where = {
        versions.SERVICE_IMAGE: ("points", "app.kubernetes.io/component=service", "app"),
        versions.OPERATOR_IMAGE: ("point-system", "app.kubernetes.io/name=point-operator", "operator"),
    }
    namespace, selector, container = where[name]
    pod = str(items("pods", namespace, selector)[0]["metadata"]["name"])
    python = ["/opt/point/bin/python", "-c", INSTALLED]
    installed = json.loads(kubectl("exec", "-n", namespace, pod, "-c", container, "--", *python))
    bill = json.loads(sbom.path(_archive(name)).read_text())
    assert {(c["name"], c["version"]) for c in bill["components"]} == {(n, v) for n, v in installed}


def _archive(name: str) -> Path:
    return paths.IMAGES / (name.replace("/", "_").replace(":", "_") + ".tar")


# Who talks to whom


def test_every_namespace_of_ours_denies_by_default() -> None:
    for namespace in OURS:
        all_of_it = [p["spec"] for p in items("networkpolicies", namespace) if not p["spec"]["podSelector"]]
        assert any({*spec["policyTypes"]} == {"Ingress", "Egress"} for spec in all_of_it), namespace


def test_the_policies_let_through_every_connection_that_is_open_now() -> None:
    """The cluster's network enforces no policy; this shows that one which does would break nothing."""
    policies = [p for namespace in OURS for p in items("networkpolicies", namespace)]
    pods = {
        pod["status"].get("podIP"): Peer(pod["metadata"]["namespace"], pod["metadata"]["labels"])
        for pod in json.loads(kubectl("get", "pods", "-A", "-o", "json"))["items"]
        if not pod["spec"].get("hostNetwork")
    }
    seen: list[tuple[Peer, Peer, int]] = []
    for node in NODES:
        its_own = (f"10.244.{node.index}.1", node.address, "127.0.0.1")
        for line in run(["ip", "netns", "exec", node.name, "conntrack", "-L", "-p", "tcp"]).splitlines():
            # As it was asked for, and as it is answered: by the pod itself, whatever service it was asked as.
            (caller, _, _), (called, _, port) = CONNECTION.findall(line)
            known = {address: pods.get(address, Peer(address=address)) for address in (caller, called)}
            if caller not in its_own and any(k.namespace in OURS for k in known.values()):
                seen.append((known[caller], known[called], int(port)))
    assert len(seen) >= 10
    gone = [ip_network("10.244.0.0/16")]  # connections of pods that have ended are remembered for a while
    refused = [
        s
        for s in seen
        if not any(p.address and ip_address(p.address) in n for p in s[:2] for n in gone)
        and not allowed(policies, *s)
    ]
    assert refused == []


# Where secrets are


def test_no_pod_takes_a_secret_into_its_environment() -> None:
    for pod in our_pods():
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
            sources = [e.get("valueFrom", {}) for e in container.get("env", [])]
            sources += container.get("envFrom", [])
            assert not any("secretKeyRef" in s or "secretRef" in s for s in sources), pod["metadata"]["name"]


def test_no_process_shows_a_password_in_its_environment_or_arguments() -> None:
    passwords = {
        base64.b64decode(secret["data"]["password"])
        for namespace in OURS
        for secret in items("secrets", namespace)
        if "password" in secret.get("data", {})
    }
    assert len(passwords) >= 5
    looked = 0
    for process in psutil.process_iter():
        for file in ("environ", "cmdline"):
            try:
                shown = Path(f"/proc/{process.pid}/{file}").read_bytes()
            except OSError:  # it ended meanwhile
                continue
            looked += 1
            assert not any(p in shown for p in passwords), f"{file} of {process.pid}"
    assert looked > 50


# Every hop: a peer whose certificate another authority signed is not talked to


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    """An authority that nobody here trusts."""
    return Authority("nobody's", tmp_path / "other" / "ca.crt", tmp_path / "other" / "ca.key")


def test_the_edge_sends_nothing_to_a_gateway_it_cant_verify(tmp_path: Path, stranger: Authority) -> None:
    with _front(tmp_path / "right", edge.ca()) as ask:
        wait("the gateway is verified", lambda: ask() == (200, False), seconds=30)
    with _front(tmp_path / "wrong", stranger.cert) as ask:
        # Its health is asked for in plain text, so the gateway counts, and yet gets no request.
        wait("the gateway is not verified", lambda: ask() == (503, True), seconds=30)


@contextmanager
def _front(state: Path, ca: Path) -> Iterator[Callable[[], tuple[int, bool]]]:
    """The edge once more, on ports of its own and trusting `ca`.

    A call that asks it for the service's health gives the status, and whether a certificate was refused.
    """
    https, http = free_port(), free_port()
    state.mkdir()
    certificate, key = credentials.edge_authority().issue("localhost", ["localhost"])
    (state / "tls.crt").write_text(certificate)
    (state / "tls.key").write_text(key)
    values = {"state": state, "ca": ca, "host": application.hosts()[0], "https_port": https}
    config = manifests.render("edge", **values, http_port=http, targets=[n.address for n in WORKERS])
    (state / "envoy.yaml").write_text(config)
    context = ssl.create_default_context(cafile=str(edge.ca()))

    def ask() -> tuple[int, bool]:
        try:
            with httpx.Client(verify=context, headers={"Host": application.hosts()[0]}) as client:
                status = client.get(f"https://localhost:{https}/healthz").status_code
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(state / "admin.sock"))) as admin:
                counts = admin.get("http://envoy/stats?filter=ssl.fail_verify").text
        except httpx.HTTPError:  # it is just starting
            return 0, False
        return status, any(int(line.split(": ")[1]) > 0 for line in counts.splitlines())

    command = [tools.envoy(), "-c", state / "envoy.yaml", "--disable-hot-restart", "--concurrency", "1"]
    with (state / "log").open("wb") as log:
        envoy = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield ask
        finally:
            envoy.terminate()
            envoy.wait(20)


def test_a_service_pod_answers_only_the_meshs_certificates(tmp_path: Path, stranger: Authority) -> None:
    certificate, key = stranger.issue("gateway", ["gateway"])
    (tmp_path / "tls.crt").write_text(certificate)
    (tmp_path / "tls.key").write_text(key)
    pod = service_pods()[0]
    address, node = pod["status"]["podIP"], pod["spec"]["nodeName"]
    ask = ["ip", "netns", "exec", node, "curl", "-sS", "--max-time", "5"]
    assert succeeds([*ask, f"http://{address}:15021/healthz/ready"])  # there is a way to it
    assert not succeeds([*ask, f"http://{address}:8080/healthz"])
    pair = ["--cert", tmp_path / "tls.crt", "--key", tmp_path / "tls.key"]
    assert not succeeds([*ask, "-k", *pair, f"https://{address}:8080/healthz"])


def test_the_migration_says_nothing_to_a_database_it_cant_verify(stranger: Authority) -> None:
    job = items("jobs", "points", "app.kubernetes.io/component=migration")[0]
    with _lookalike(job, "database-ca", stranger) as read:
        wait("the database is refused", lambda: _says_unverified(read()), seconds=90)


def test_the_service_says_nothing_to_a_database_it_cant_verify(stranger: Authority) -> None:
    with _lookalike(_deployment("points", "points"), "database-ca", stranger) as read:
        wait("the database is refused", lambda: _says_unverified(read()), seconds=90)


def test_the_service_says_nothing_to_a_cache_it_cant_verify(stranger: Authority) -> None:
    earn = ["/opt/point/bin/python", "-c", EARN]
    with _lookalike(_deployment("points", "points"), "cache-ca", stranger) as read:

        def refused() -> bool:
            run(["kubectl", "exec", "-n", "points", LOOKALIKE, "--", *earn], check=False)
            return any(_says_unverified(line) for line in read().splitlines() if "Redis is away" in line)

        wait("the cache is refused", refused, seconds=90, every=1)


def test_the_operator_says_nothing_to_an_api_server_it_cant_verify(stranger: Authority) -> None:
    deployment = _deployment("point-operator", "point-system")
    with _lookalike(deployment, "api-server", stranger) as read:
        wait("the API server is refused", lambda: _says_unverified(read()), seconds=90)


def test_prometheus_asks_no_kubelet_that_it_cant_verify(stranger: Authority) -> None:
    deployment = _deployment("prometheus", prometheus.NAMESPACE)
    config = get("configmap", "prometheus", prometheus.NAMESPACE)
    assert config is not None
    scrapes = yaml.safe_load(config["data"]["prometheus.yml"])
    (kubelets,) = [s for s in scrapes["scrape_configs"] if s["job_name"] == "cadvisor"]
    kubelets["tls_config"] = {"ca_file": "/etc/prometheus/ca.crt"}
    text = yaml.safe_dump({"global": {"scrape_interval": "1s"}, "scrape_configs": [kubelets]})
    with _lookalike(deployment, "config", stranger, {"prometheus.yml": text}):
        path = f"/api/v1/namespaces/{prometheus.NAMESPACE}/pods/{LOOKALIKE}:9090/proxy/api/v1/targets"

        def refused() -> bool:
            raw = run(["kubectl", "get", "--raw", path], check=False)
            targets = json.loads(raw)["data"]["activeTargets"] if raw else []
            return bool(targets) and all(_says_unverified(t["lastError"]) for t in targets)

        wait("every kubelet is refused", refused, seconds=90)


def test_the_failover_controller_says_nothing_to_an_api_server_it_cant_verify(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stranger: Authority
) -> None:
    Record().writer()
    config = yaml.safe_load(paths.KUBECONFIG.read_text())
    ca = base64.b64encode(stranger.pem.encode()).decode()
    config["clusters"][0]["cluster"]["certificate-authority-data"] = ca
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    monkeypatch.setattr(paths, "KUBECONFIG", tmp_path / "kubeconfig")
    with pytest.raises(LocalError, match=r"(?i)certificate verify failed"):
        Record().writer()


def test_the_failover_controller_says_nothing_to_a_server_it_cant_verify(stranger: Authority) -> None:
    if rootfs.database() == "mysql":
        assert sessions.MySql("a").value("SELECT 1") == 1
        with pytest.raises(SilentError, match=r"(?i)certificate verify failed"):
            sessions.MySql("a", ssl.create_default_context(cadata=stranger.pem)).value("SELECT 1")
    assert sessions.Valkey("a").call("ping") == "PONG"
    with pytest.raises(SilentError, match=r"(?i)certificate verify failed"):
        sessions.Valkey("a", stranger.pem).call("ping")


def test_the_failover_controllers_user_reads_no_point() -> None:
    if rootfs.database() != "mysql":
        pytest.skip("MariaDB has no failover")
    with pytest.raises(SilentError, match="denied"):
        sessions.MySql("a").value("SELECT COUNT(*) FROM points.member_point")


def test_a_copy_takes_nothing_from_a_writer_it_cant_verify(stranger: Authority) -> None:
    if rootfs.database() != "mysql":
        pytest.skip("MariaDB's copies are set up once and for all")
    zone, writer = "b", controller.recorded_writer()
    exec_ = ["kubectl", "exec", "-i", "-n", "data", f"mysql-{zone}-0", "--"]
    run([*exec_, "sh", "-c", "cat > /tmp/stranger.crt"], stdin=stranger.pem)

    def refused() -> bool:
        # Said again each time: the failover controller may have put it right in between, as it should.
        data.execute(
            zone,
            "STOP REPLICA IO_THREAD; CHANGE REPLICATION SOURCE TO SOURCE_SSL_CA='/tmp/stranger.crt';"
            " START REPLICA IO_THREAD; DO SLEEP(1)",
        )
        said = "SELECT LAST_ERROR_MESSAGE FROM performance_schema.replication_connection_status"
        return _says_unverified(data.execute(zone, said))

    try:
        wait("the writer is refused", refused, seconds=60)
    finally:
        data.follow(zone, writer)
    wait("the copies follow the writer", data.whole, seconds=60, every=1)


LOOKALIKE = "stranger"
EARN = """
import os, urllib.request
names = {"X-Member-Id": "m-stranger", "X-Member-Role": "service", "Content-Type": "application/json"}
names["Idempotency-Key"] = os.urandom(8).hex()
ask = urllib.request.Request("http://127.0.0.1:8080/v1/points/earn", b'{"amount": 1}', names)
print(urllib.request.urlopen(ask, timeout=10).status)
"""


@contextmanager
def _lookalike(
    workload: Object, volume: str, authority: Authority, files: dict[str, str] | None = None
) -> Iterator[Callable[[], str]]:
    """A pod as the workload's own, but one whose `volume` holds another authority; a call that reads its log.

    `files` are more files in that volume. The volume `api-server` is where a token for it would be.
    """
    namespace = workload["metadata"]["namespace"]
    template = workload["spec"]["template"]
    spec: dict[str, Any] = {**template["spec"], "restartPolicy": "Never"}
    made = {"name": LOOKALIKE, "namespace": namespace}
    trusted = {"ca.crt": authority.pem, **(files or {})}
    if volume == "api-server":
        _trust_for_the_api_server(spec)
    else:
        spec["volumes"] = [v for v in spec["volumes"] if v["name"] != volume]
        spec["volumes"].append({"name": volume, "configMap": {"name": LOOKALIKE}})
    # Outside the mesh, and no member of the workload: its own labels would bring it requests.
    labels = {"app.kubernetes.io/component": "stranger", "sidecar.istio.io/inject": "false"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {**made, "labels": labels}, "spec": spec}
    _remove(namespace)
    apply_all([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": made, "data": trusted}, pod])
    try:
        yield lambda: run(["kubectl", "logs", LOOKALIKE, "-n", namespace, "--tail=200"], check=False)
    finally:
        _remove(namespace)


def _trust_for_the_api_server(spec: dict[str, Any]) -> None:
    sources = [
        {"serviceAccountToken": {"path": "token"}},
        {"configMap": {"name": LOOKALIKE}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]
    spec["automountServiceAccountToken"] = False
    spec["volumes"] = [*spec["volumes"], {"name": "api-server", "projected": {"sources": sources}}]
    mount = {"name": "api-server", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    for container in spec["containers"]:
        container["volumeMounts"] = [*container["volumeMounts"], mount]


def _remove(namespace: str) -> None:
    gone = ["--ignore-not-found", "--grace-period=0", "--force", "-n", namespace]
    run(["kubectl", "delete", f"pod/{LOOKALIKE}", f"configmap/{LOOKALIKE}", *gone])


def _deployment(name: str, namespace: str) -> Object:
    found = get("deployment", name, namespace)
    assert found is not None
    return found


def _says_unverified(text: str) -> bool:
    return any(words in text.lower() for words in UNVERIFIED)
